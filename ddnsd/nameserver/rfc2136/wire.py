"""The format of DNS messages (RFC 1035 §4.1): headers, names and records as octets."""

import struct
from functools import lru_cache
from typing import NamedTuple

import dns.exception
import dns.name

MAX_MESSAGE = 65535  # octets; RFC 1035 §4.2.2, two octets of length
MAX_LABEL = 63  # octets
NO_RDATA = b""

HEADER = struct.Struct("!HHHHHH")
QUESTION = struct.Struct("!HH")
RECORD = struct.Struct("!HHIH")
_POINTER_TO_FIRST = struct.pack("!H", 0xC000 | HEADER.size)  # the name in the first question


class Class:
    """Classes of records; the last two are operators (RFC 2136 §2.4, §2.5)."""

    IN = 1
    NONE = 254
    ANY = 255


class Header(NamedTuple):
    """The header (RFC 1035 §4.1.1): id, flags, and the number of records in each section."""

    id: int
    flags: int
    questions: int = 1
    answers: int = 0  # in an UPDATE: prerequisites
    authorities: int = 0  # in an UPDATE: changes
    additionals: int = 0

    @property
    def is_response(self) -> bool:
        """QR."""
        return bool(self.flags & 0x8000)

    @property
    def opcode(self) -> int:
        """OPCODE: 0 a query, 5 an update."""
        return self.flags >> 11 & 0xF

    @property
    def is_authoritative(self) -> bool:
        """AA."""
        return bool(self.flags & 0x0400)

    @property
    def rcode(self) -> int:
        """RCODE, without the extension of EDNS: nothing that we send asks for it."""
        return self.flags & 0xF

    def pack(self) -> bytes:
        """Return the twelve octets."""
        return HEADER.pack(*self)


@lru_cache(maxsize=1024)
def pack_name(name: str) -> bytes:
    """Return a name uncompressed.

    Raises:
        ValueError: no name can be like this.
    """
    try:
        return dns.name.from_text(name).to_digestable()
    except dns.exception.DNSException as error:
        raise ValueError(f"not a domain name: {name[:80]!r}: {error}") from error


@lru_cache(maxsize=65536)
def pack_name_below(zone: str, name: str) -> bytes:
    """Return a name, compressed for a message whose first question is the zone (RFC 1035 §4.1.4).

    Raises:
        ValueError: no name can be like this.
    """
    if name == zone:
        return _POINTER_TO_FIRST
    relative = name.removesuffix("." + zone)
    if relative == name or "\\" in name:
        return pack_name(name)
    labels = relative.encode("ascii").split(b".")
    if not all(0 < len(label) <= MAX_LABEL for label in labels):
        raise ValueError(f"not a domain name: {name[:80]!r}")
    return b"".join(bytes((len(label),)) + label for label in labels) + _POINTER_TO_FIRST


def pack_question(name: str, type: int) -> bytes:
    """Return a question; in an UPDATE it names the zone."""
    return pack_name(name) + QUESTION.pack(type, Class.IN)


def pack_record(owner: bytes, type: int, rdclass: int, ttl: int, rdata: bytes) -> bytes:
    """Return a record; `owner` is a packed name."""
    return owner + RECORD.pack(type, rdclass, ttl, len(rdata)) + rdata
