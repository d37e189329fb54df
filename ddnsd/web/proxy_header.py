"""The header of the PROXY protocol: by it a proxy says who has connected to it.

https://www.haproxy.org/download/2.6/doc/proxy-protocol.txt, §2.1 (version 1, one line of text) and §2.2
(version 2, binary). Extensions of version 2 (§2.2: "TLVs") are skipped.
"""

import re
from ipaddress import IPv4Address, IPv6Address

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
