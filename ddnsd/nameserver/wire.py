"""DNS messages as octets (RFC 1035 §4.1): headers, names, records and their values. Pure.

Messages from a nameserver may be hostile: reading one ends in bounded time, perhaps with an error.
"""

import re
import socket
import struct
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from ipaddress import IPv6Address
from typing import Final, NamedTuple

import dns.exception
import dns.name
import dns.rdata
from dns.rdataclass import IN
from dns.rdatatype import RdataType

from ddnsd.model.names import is_below
from ddnsd.nameserver.interface import Absent, Exists, Hidden, Rcode, RecordType, Replace, RRset, Update

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


_TSIG = 250  # RFC 8945 §4.2
_MAX_DEPTH = 128  # labels and pointers of one name; 255 octets hold 127 labels


class MalformedMessageError(ValueError):
    """The bytes are no DNS message, or not the answer to what was asked."""


class Record(NamedTuple):
    """A record as it stands in a message; its rdata are `length` octets from `start`."""

    name: str
    type: int
    rdclass: int
    ttl: int
    start: int
    length: int


class Message(NamedTuple):
    """A message that was read. `tsig` is its signature, which begins at `tsig_start`."""

    wire: bytes
    header: Header
    answers: list[Record]
    authorities: list[Record]
    tsig: Record | None
    tsig_start: int


def read_message(wire: bytes) -> Message:
    """Return what the bytes say.

    Raises:
        MalformedError: they are no message.
    """
    try:
        return _Reader(wire).message()
    except (IndexError, struct.error) as error:
        raise MalformedMessageError("the message is cut off") from error


class _Reader:
    """Reads a message from front to back, each name once: later ones point to it."""

    def __init__(self, wire: bytes) -> None:
        self._wire = wire
        self._at = HEADER.size
        self._names: dict[int, str] = {}

    def message(self) -> Message:
        header = Header(*HEADER.unpack_from(self._wire))
        for _ in range(header.questions):
            self._name()
            self._at += QUESTION.size
        answers = [self._record() for _ in range(header.answers)]
        authorities = [self._record() for _ in range(header.authorities)]
        last_start, last = self._at, None
        for _ in range(header.additionals):
            last_start, last = self._at, self._record()
        if self._at != len(self._wire):
            raise MalformedMessageError("the message does not end where its records do")
        tsig = last if last is not None and last.type == _TSIG else None
        return Message(self._wire, header, answers, authorities, tsig, last_start)

    def _record(self) -> Record:
        name = self._name()
        type, rdclass, ttl, length = RECORD.unpack_from(self._wire, self._at)
        start = self._at + RECORD.size
        self._at = start + length
        if self._at > len(self._wire):
            raise MalformedMessageError("a record is longer than the message")
        return Record(name, type, rdclass, ttl, start, length)

    def _name(self) -> str:
        name, self._at = self._name_at(self._at, 0)
        return name

    def _name_at(self, offset: int, depth: int) -> tuple[str, int]:
        """Return the name at the offset, and where it ends. The root is ""."""
        length = self._wire[offset]
        if length == 0:
            return "", offset + 1
        if length >= 0xC0:
            return self._pointed(offset, depth), offset + 2
        end = offset + 1 + length
        if length > MAX_LABEL or depth > _MAX_DEPTH:
            raise MalformedMessageError("not a name")
        rest, end = self._name_at(end, depth + 1)
        label = _label_text(self._wire[offset + 1 : offset + 1 + length])
        name = self._names[offset] = f"{label}.{rest}" if rest else label
        return name, end

    def _pointed(self, offset: int, depth: int) -> str:
        """Return the name that a pointer means; one that leads on and on, or in a circle, is none."""
        target = (self._wire[offset] & 0x3F) << 8 | self._wire[offset + 1]
        known = self._names.get(target)
        if known is not None:
            return known
        if depth > _MAX_DEPTH:
            raise MalformedMessageError("a name has too many pointers")
        return self._name_at(target, depth + 1)[0]


@lru_cache(maxsize=65536)
def _label_text(label: bytes) -> str:
    """Return a label in lower case, with what is no plain character escaped (RFC 1035 §5.1)."""
    return dns.name.Name((label,)).to_text().lower()


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
        raise MalformedMessageError(f"{record.name} {TYPES[record.type]}: bad rdata: {error}") from error


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


_QUERY, _UPDATE = 0 << 11, 5 << 11  # OPCODE (RFC 2136 §1.3); RD is 0: we ask the one who knows
_AXFR = 252
_NS, _CNAME, _SOA, _DNAME = 2, 5, 6, 39
_RCODES = {
    0: Rcode.NOERROR,
    1: Rcode.FORMERR,
    2: Rcode.SERVFAIL,
    3: Rcode.NXDOMAIN,
    4: Rcode.NOTIMP,
    5: Rcode.REFUSED,
    6: Rcode.YXDOMAIN,
    7: Rcode.YXRRSET,
    8: Rcode.NXRRSET,
    9: Rcode.NOTAUTH,
    10: Rcode.NOTZONE,
}


def update_message(id: int, update: Update) -> bytes:
    """Return an UPDATE (RFC 2136 §2).

    To replace an RRset is to delete it and to add the new records in the same message: a nameserver
    applies all of it in one step, so that the name never stops resolving.

    Raises:
        ValueError: a name or a value that no record can have.
    """
    prerequisites = [record for each in update.prerequisites for record in _prerequisite(update.zone, each)]
    changes = [record for change in update.changes for record in _change(update.zone, change)]
    header = Header(id, _UPDATE, answers=len(prerequisites), authorities=len(changes))
    zone = pack_question(update.zone, CODES[RecordType.SOA])
    return b"".join((header.pack(), zone, *prerequisites, *changes))


def _prerequisite(zone: str, prerequisite: Exists | Absent) -> Iterator[bytes]:
    owner, code = pack_name_below(zone, prerequisite.name), CODES[prerequisite.type]
    if isinstance(prerequisite, Absent):
        yield pack_record(owner, code, Class.NONE, 0, NO_RDATA)
        return
    for value in prerequisite.values:
        yield pack_record(owner, code, Class.IN, 0, encode(prerequisite.type, value))


def _change(zone: str, change: Replace) -> Iterator[bytes]:
    owner, code = pack_name_below(zone, change.name), CODES[change.type]
    yield pack_record(owner, code, Class.ANY, 0, NO_RDATA)
    for value in change.values:
        yield pack_record(owner, code, Class.IN, change.ttl, encode(change.type, value))


def query_message(id: int, name: str, type: RecordType) -> bytes:
    """Return a query for one RRset."""
    return Header(id, _QUERY).pack() + pack_question(name, CODES[type])


def transfer_message(id: int, zone: str) -> bytes:
    """Return the query for a whole zone (RFC 5936 §2.1)."""
    return Header(id, _QUERY).pack() + pack_question(zone, _AXFR)


def check_answers(message: Message, request: bytes) -> None:
    """Refuse what is not the answer to the request.

    Raises:
        MalformedError: it is not.
    """
    asked = Header(int.from_bytes(request[:2]), int.from_bytes(request[2:4]))
    answered = message.header
    if not answered.is_response or (answered.id, answered.opcode) != (asked.id, asked.opcode):
        raise MalformedMessageError("not an answer to what was asked")


def rcode(message: Message) -> Rcode:
    """Return the answer's code."""
    return _RCODES.get(message.header.rcode, Rcode.OTHER)


def answered_rrset(message: Message, zone: str, name: str, type: RecordType) -> RRset | None:
    """Return the RRset that an answer to `query_message` holds, or None for none.

    None too if the answer is not authoritative, is another name's (an alias), or shows itself to be
    that of a zone below. A nameserver that holds such a zone too and leaves its name out of a positive
    answer (Knot, PowerDNS) cannot be told apart from here.

    Raises:
        MalformedError: records that no record of this type can have.
    """
    code = CODES[type]
    found = [record for record in message.answers if record.type == code and record.name == name]
    if not found or not message.header.is_authoritative or _is_from_another_zone(message, zone):
        return None
    values = sorted({decode(message.wire, record) for record in found})
    return RRset(name, type, found[0].ttl, tuple(values))


def hidden(message: Message, zone: str, name: str) -> Hidden | None:
    """Return what an answer without the RRset shows in its place: an alias, or a delegation."""
    for record in message.answers:
        if record.type == _CNAME and record.name == name:
            dnames = (
                each.name for each in message.answers if each.type == _DNAME and is_below(name, each.name)
            )
            above = next(dnames, None)
            return Hidden(above, "DNAME") if above else Hidden(name, "CNAME")
    for record in message.authorities:
        if record.type in (_NS, _SOA) and is_below(record.name, zone):
            return Hidden(record.name, "NS")
    return None


def _is_from_another_zone(message: Message, zone: str) -> bool:
    return any(record.type == _NS and record.name != zone for record in message.authorities)
