"""Values of records: the interface's texts and the rdata on the wire."""

import re
import socket
from collections.abc import Callable, Mapping
from ipaddress import IPv6Address
from typing import Final

import dns.exception
import dns.rdata
from dns.rdataclass import IN
from dns.rdatatype import RdataType

from ddnsd.nameserver.interface import RecordType
from ddnsd.nameserver.rfc2136.reader import MalformedError, Record

CODES: Final[Mapping[RecordType, int]] = {type: RdataType[type.value].value for type in RecordType}
TYPES: Final[Mapping[int, RecordType]] = {code: type for type, code in CODES.items()}
"""Record types by their numbers; what is missing, ddnsd has nothing to do with."""

_MAX_STRING = 255  # octets of a character-string (RFC 1035 §3.3)
_PLAIN = re.compile(rb"[ !#-\[\]-~]+")  # printable, neither quotation mark nor backslash


def encode(type: RecordType, value: str) -> bytes:
    """Return a value as rdata.

    Raises:
        ValueError: no record of this type has such a value.
    """
    try:
        return _ENCODERS[type](value)
    except (OSError, dns.exception.DNSException) as error:
        raise ValueError(f"not a value of {type}: {value[:80]!r}: {error}") from error


def decode(wire: bytes, record: Record) -> str:
    """Return the value of a record, in the one text of its type. Its type is one of `TYPES`.

    Raises:
        MalformedError: no record of this type has such rdata.
    """
    try:
        return _DECODERS[record.type](wire, record)
    except (ValueError, IndexError, dns.exception.DNSException) as error:
        raise MalformedError(f"{record.name} {TYPES[record.type]}: bad rdata: {error}") from error


def _encode_a(value: str) -> bytes:
    return socket.inet_pton(socket.AF_INET, value)


def _encode_aaaa(value: str) -> bytes:
    return socket.inet_pton(socket.AF_INET6, value)


def _encode_txt(value: str) -> bytes:
    """One string as it is; anything else as `_decode_txt` writes it."""
    octets = value.encode("ascii")
    if not _PLAIN.fullmatch(octets):
        return _encode_any(RecordType.TXT, value)
    if len(octets) > _MAX_STRING:
        raise ValueError(f"{len(octets)} octets in one string of a TXT record, {_MAX_STRING} at most")
    return bytes((len(octets),)) + octets


def _encode_any(type: RecordType, value: str) -> bytes:
    return dns.rdata.from_text(IN, RdataType[type.value], value).to_digestable()


def _decode_a(wire: bytes, record: Record) -> str:
    return socket.inet_ntop(socket.AF_INET, wire[record.start : record.start + record.length])


def _decode_aaaa(wire: bytes, record: Record) -> str:
    octets = wire[record.start : record.start + record.length]
    text = socket.inet_ntop(socket.AF_INET6, octets)
    # The C library writes ::192.0.2.1 where `model.addresses`, and RFC 5952, have ::c000:201.
    return str(IPv6Address(octets)) if "." in text else text


def _decode_txt(wire: bytes, record: Record) -> str:
    """One string of plain characters as it is; anything else in quotation marks, with escapes."""
    octets = wire[record.start + 1 : record.start + record.length]
    if len(octets) == wire[record.start] and _PLAIN.fullmatch(octets):
        return octets.decode("ascii")
    return _decode_any(wire, record)


def _decode_any(wire: bytes, record: Record) -> str:
    return dns.rdata.from_wire(IN, RdataType(record.type), wire, record.start, record.length).to_text()


_ENCODERS: Mapping[RecordType, Callable[[str], bytes]] = {
    RecordType.A: _encode_a,
    RecordType.AAAA: _encode_aaaa,
    RecordType.TXT: _encode_txt,
    RecordType.SOA: lambda value: _encode_any(RecordType.SOA, value),
    RecordType.CNAME: lambda value: _encode_any(RecordType.CNAME, value),
}
_DECODERS: Mapping[int, Callable[[bytes, Record], str]] = {
    CODES[RecordType.A]: _decode_a,
    CODES[RecordType.AAAA]: _decode_aaaa,
    CODES[RecordType.TXT]: _decode_txt,
    CODES[RecordType.SOA]: _decode_any,
    CODES[RecordType.CNAME]: _decode_any,
}
