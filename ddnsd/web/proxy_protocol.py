"""The PROXY protocol: by a header before TLS and HTTP a proxy says who has connected to it.

https://www.haproxy.org/download/2.6/doc/proxy-protocol.txt, §2.1 (version 1, one line of text) and §2.2
(version 2, binary). Extensions of version 2 (§2.2: "TLVs") are skipped.
"""

import re
from collections.abc import Callable, Iterable
from ipaddress import IPv4Address, IPv6Address

import structlog

_log = structlog.get_logger(__name__)

PATIENCE = 5.0
"""Seconds in which a header must be here: the specification wants 3 or more, for a segment that was lost."""

LONGEST = 4096
"""Octets of the longest header that is taken; version 2 could say 65,551, real ones have some hundred."""

_SIGNATURE_1, _SIGNATURE_2 = b"PROXY ", b"\r\n\r\n\0\r\nQUIT\n"
_LONGEST_1 = 107  # octets with the end of the line (§2.1)
_FIXED_2 = 16  # octets of version 2: signature, version and command, family and transport, length of the rest
_LOCAL, _PROXY = 0x20, 0x21  # version 2, and the command
_FAMILIES, _TRANSPORTS = 4, 3  # that exist: unspecified, IPv4, IPv6, Unix; unspecified, stream, datagram
_TCP_4, _TCP_6 = 0x11, 0x21
_LENGTHS = {_TCP_4: 12, _TCP_6: 36}  # octets of two addresses and two ports

_LINE = re.compile(
    r"PROXY (?:UNKNOWN(?: [^\r\n]*)?|TCP(?P<version>[46]) (?P<source>[0-9A-Fa-f:.]+)"
    r" (?P<target>[0-9A-Fa-f:.]+) (?P<from>[0-9]{1,5}) (?P<to>[0-9]{1,5}))\r\n"
)


class ProxyHeaderError(ValueError):
    """What was received is no header."""


def header_length(octets: bytes) -> int | None:
    """Return the length of the header that begins with these octets, None while more has to come to know.

    Raises:
        ProxyHeaderError: no header begins with them, or one that is too long.
    """
    if octets.startswith(_SIGNATURE_1):
        return _length_1(octets)
    if octets.startswith(_SIGNATURE_2):
        return _length_2(octets)
    if _SIGNATURE_1.startswith(octets) or _SIGNATURE_2.startswith(octets):
        return None
    raise ProxyHeaderError("neither version's signature")


def header_source(header: bytes) -> str | None:
    """Return the address of who has connected to the proxy, None if the header tells of none.

    That is a connection of the proxy's own, such as a health check (§2.1 UNKNOWN, §2.2 LOCAL), or one that
    is not of TCP over IPv4 or IPv6.

    Raises:
        ProxyHeaderError: it is no header.
    """
    return _source_1(header) if header.startswith(_SIGNATURE_1) else _source_2(header)


def _length_1(octets: bytes) -> int | None:
    end = octets.find(b"\r\n", 0, _LONGEST_1)
    if end >= 0:
        return end + 2
    if len(octets) >= _LONGEST_1:
        raise ProxyHeaderError("the line does not end")
    return None


def _length_2(octets: bytes) -> int | None:
    if len(octets) < _FIXED_2:
        return None
    length = _FIXED_2 + int.from_bytes(octets[14:_FIXED_2], "big")
    if length > LONGEST:
        raise ProxyHeaderError("too long")
    return length


def _source_1(header: bytes) -> str | None:
    line = _LINE.fullmatch(header.decode("latin-1"))
    if line is None:
        raise ProxyHeaderError("the line is malformed")
    if line["version"] is None:
        return None
    if max(int(line["from"]), int(line["to"])) > 0xFFFF:
        raise ProxyHeaderError("no such port")
    kind = IPv4Address if line["version"] == "4" else IPv6Address
    try:
        kind(line["target"])
        return str(kind(line["source"]))
    except ValueError as error:
        raise ProxyHeaderError("no such address") from error


def _source_2(header: bytes) -> str | None:
    command, family = header[12], header[13]
    if command == _LOCAL:
        return None  # whatever stands behind it
    if command != _PROXY or family >> 4 >= _FAMILIES or family & 0xF >= _TRANSPORTS:
        raise ProxyHeaderError("no such version, command, family or transport")
    length = _LENGTHS.get(family)
    if length is None:
        return None
    if len(header) < _FIXED_2 + length:
        raise ProxyHeaderError("too short for its addresses")
    if family == _TCP_4:
        return str(IPv4Address(header[_FIXED_2 : _FIXED_2 + 4]))
    return str(IPv6Address(header[_FIXED_2 : _FIXED_2 + 16]))


class ProxyProtocol:
    """Takes the header of each connection of a proxy."""

    def __init__(self, trusts: Callable[[str], bool], refused: Callable[[str], None], timeout: float) -> None:
        """`trusts` says whether a peer is a proxy; `refused` counts by reason (`PROXY_HEADER_FAILURES`)."""
        self.expects = trusts
        self.timeout = timeout
        self._refused = refused
        self._pending: set[PendingHeader] = set()

    @property
    def waiting(self) -> int:
        """How many connections have yet to show their header."""
        return len(self._pending)

    def waited_since(self) -> Iterable[float]:
        """Yield since when, by the loop's clock, each header is waited for."""
        return (header.since for header in self._pending)

    def begin(self, peer: str, now: float) -> "PendingHeader":
        """Wait for the header of a connection from there."""
        header = PendingHeader(self, peer, now)
        self._pending.add(header)
        return header

    def end(self, header: "PendingHeader") -> None:
        """Note that a header is waited for no longer; idempotent."""
        self._pending.discard(header)

    def refuse(self, peer: str, reason: str, why: str) -> None:
        """Note that a connection is closed."""
        self._refused(reason)
        _log.debug("proxy_header.refused", peer=peer, reason=reason, why=why)


class PendingHeader:
    """The header that one connection has yet to show."""

    def __init__(self, protocol: ProxyProtocol, peer: str, since: float) -> None:
        self.since = since
        self._protocol = protocol
        self._peer = peer
        self._octets = b""

    def take(self, octets: bytes) -> tuple[str, bytes] | None:
        """Take octets; return the source and what follows the header, None while it is not whole.

        Where the header names no source that is the peer itself: a trusted proxy's address, which is never
        published.

        Raises:
            ProxyHeaderError: it is no header; that is counted.
        """
        self._octets += octets
        try:
            length = header_length(self._octets)
            if length is None or len(self._octets) < length:
                return None
            source = header_source(self._octets[:length]) or self._peer
        except ProxyHeaderError as error:
            self.refuse("malformed", str(error))
            raise
        self._protocol.end(self)
        return source, self._octets[length:]

    def is_late(self, now: float) -> bool:
        """Say whether it should have been here."""
        return self.since <= now - self._protocol.timeout

    def end(self) -> None:
        """Note that the client sends no more. A look whether the port is open is no failure."""
        if self._octets:
            self.refuse("incomplete", "")
        self._protocol.end(self)

    def drop(self) -> None:
        """Note that the connection is closed for another reason; idempotent."""
        self._protocol.end(self)

    def refuse(self, reason: str, why: str) -> None:
        """Note that the connection is closed for it."""
        self._protocol.end(self)
        self._protocol.refuse(self._peer, reason, why)
