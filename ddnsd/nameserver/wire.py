"""DNS messages as octets (RFC 1035 §4.1), for both nameservers: headers, names, records, values, EDNS. Pure.

Messages may be hostile. Reading one ends in bounded time and raises nothing but `MalformedMessageError`.

dnspython does the names and values that are rare. Its message classes are not used, for two reasons. They
take 14 times as long a record. And they make rdata of every record, with the classes of rdata in a table of
the process: a record of an unknown class (RFC 2136's ANY is enough) makes that table grow, and spoils it for
those that parse AAAA records elsewhere in the process.
"""

import re
import socket
import struct
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache, partial
from ipaddress import IPv6Address
from typing import Final, NamedTuple

import dns.exception
import dns.name
import dns.rcode
import dns.rdata
from dns.rdataclass import IN
from dns.rdatatype import RdataType

from ddnsd.model.names import is_below
from ddnsd.nameserver.interface import Absent, Exists, Hidden, Rcode, RecordType, Replace, RRset, Update

MAX_MESSAGE = 65535  # octets; RFC 1035 §4.2.2, two octets of length
MAX_LABEL, MAX_NAME = 63, 255  # octets; RFC 1035 §2.3.4
NO_RDATA = b""

HEADER = struct.Struct("!HHHHHH")
QUESTION = struct.Struct("!HH")
RECORD = struct.Struct("!HHIH")
_OPTION = struct.Struct("!HH")

# Flags of the header (RFC 1035 §4.1.1, RFC 4035 §3) and of an OPT record (RFC 3225). They are plain numbers,
# as the operators of enum flags cost more than a look-up in a zone.
QR, AA, TC, RD, CD = 0x8000, 0x0400, 0x0200, 0x0100, 0x0010
OPCODE = 0x7800
DO = 0x8000

NS, CNAME, SOA, DNAME, OPT, TSIG, IXFR, AXFR, ANY = 2, 5, 6, 39, 41, 250, 251, 252, 255  # record types
COOKIE, EXTENDED_ERROR = 10, 15  # options of EDNS (RFC 7873, RFC 8914)
_COOKIE_LENGTHS = (8, *range(16, 41))  # octets: the client's half, or both (RFC 7873 §4)


# Classes of records; the last two are operators (RFC 2136 §2.4, §2.5).
CLASS_IN, CLASS_NONE, CLASS_ANY = 1, 254, 255


class Header(NamedTuple):
    """The header (RFC 1035 §4.1.1): id, flags, and the number of records in each section."""

    id: int
    flags: int
    questions: int = 1
    answers: int = 0  # in an UPDATE: prerequisites
    authorities: int = 0  # in an UPDATE: changes
    additionals: int = 0

    @property
    def opcode(self) -> int:
        """OPCODE: 0 a query, 5 an update."""
        return self.flags >> 11 & 0xF

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
        return dns.name.from_text(name).to_wire() or b""  # the type is for a file's sake
    except dns.exception.DNSException as error:
        raise ValueError(f"not a domain name: {name[:80]!r}: {error}") from error


def pack_pointer(at: int) -> bytes:
    """Return a name that is written at an offset of the message already (RFC 1035 §4.1.4)."""
    return (0xC000 | at).to_bytes(2)


QUESTION_NAME = pack_pointer(HEADER.size)  # the name in the first question


@lru_cache(maxsize=65536)
def pack_name_below(zone: str, name: str, zone_at: int = HEADER.size) -> bytes:
    """Return a name, compressed for a message with the zone's name at the offset: as a rule in its question.

    Raises:
        ValueError: no name can be like this.
    """
    if name == zone:
        return pack_pointer(zone_at)
    relative = name.removesuffix("." + zone)
    if relative == name or "\\" in name:
        return pack_name(name)
    labels = relative.encode("ascii").split(b".")
    if not all(0 < len(label) <= MAX_LABEL for label in labels):
        raise ValueError(f"not a domain name: {name[:80]!r}")
    return b"".join(bytes((len(label),)) + label for label in labels) + pack_pointer(zone_at)


def pack_question(name: str, type: int) -> bytes:
    """Return a question; in an UPDATE it names the zone."""
    return pack_name(name) + QUESTION.pack(type, CLASS_IN)


def pack_record(owner: bytes, type: int, rdclass: int, ttl: int, rdata: bytes) -> bytes:
    """Return a record; `owner` is a packed name."""
    return owner + RECORD.pack(type, rdclass, ttl, len(rdata)) + rdata


class MalformedMessageError(ValueError):
    """The bytes are not a DNS message, or not the answer to what was asked."""


Question = tuple[str, int, int, int]
"""Name, type, class and where it ends. The first one's name points nowhere: there is none before it."""


class Record(NamedTuple):
    """A record of a message; its rdata are `length` octets from `start`."""

    name: str
    type: int
    rdclass: int
    ttl: int
    start: int
    length: int


class Message(NamedTuple):
    """A message that was read. Its last record begins at `last`."""

    wire: bytes
    header: Header
    questions: list[Question]
    answers: list[Record]
    authorities: list[Record]
    additionals: list[Record]
    last: int


def read_message(wire: bytes) -> Message:
    """Return what the bytes say.

    Raises:
        MalformedMessageError: they are not a message.
    """
    try:
        return _Reader(wire).message()
    except (IndexError, struct.error) as error:
        raise MalformedMessageError("the message is cut off") from error


_MAX_POINTERS = 128  # of one name


class _Reader:
    """Reads a message from front to back, each name once: later ones point to it."""

    def __init__(self, wire: bytes) -> None:
        self._wire = wire
        self._text = wire.lower().decode("latin-1")  # of which labels are cut, mostly: RFC 4343
        self._at = HEADER.size
        self._names: dict[int, str] = {}  # by where they begin

    def message(self) -> Message:
        header = Header(*HEADER.unpack_from(self._wire))
        questions = [self._question() for _ in range(header.questions)]
        answers = [self._record() for _ in range(header.answers)]
        authorities = [self._record() for _ in range(header.authorities)]
        additionals, last = [], self._at
        for _ in range(header.additionals):
            last = self._at
            additionals.append(self._record())
        if self._at != len(self._wire):
            raise MalformedMessageError("the message does not end where its records do")
        return Message(self._wire, header, questions, answers, authorities, additionals, last)

    def _question(self) -> Question:
        name, self._at = self._name_at(self._at, 0)
        type, rdclass = QUESTION.unpack_from(self._wire, self._at)
        self._at += QUESTION.size
        return name, type, rdclass, self._at

    def _record(self) -> Record:
        name, end = self._name_at(self._at, 0)
        type, rdclass, ttl, length = RECORD.unpack_from(self._wire, end)
        start = end + RECORD.size
        self._at = start + length
        if self._at > len(self._wire):
            raise MalformedMessageError("a record is longer than the message")
        # What `Record(...)` does too, in twice the time: a transfer has millions.
        return tuple.__new__(Record, (name, type, rdclass, ttl, start, length))

    def _name_at(self, start: int, pointers: int) -> tuple[str, int]:
        """Return the name that begins there, and where it ends. The root is ""."""
        wire, text, names, at = self._wire, self._text, self._names, start
        labels: list[tuple[int, str]] = []
        while 0 < (length := wire[at]) <= MAX_LABEL:
            if at - start > MAX_NAME:  # before its labels are read: they may be as many as the octets allow
                raise MalformedMessageError("a name is too long")
            end = at + 1 + length
            label = text[at + 1 : end]
            labels.append(
                (at, label if label.isascii() and label.isalnum() else _escaped(wire[at + 1 : end]))
            )
            at = end
        name, end = "", at + 1
        if length >= 0xC0:
            name, end = self._pointed((length & 0x3F) << 8 | wire[end], start, pointers), at + 2
        elif length > 0:
            raise MalformedMessageError("not a name")
        for offset, label in reversed(labels):
            name = names[offset] = f"{label}.{name}" if name else label
        if len(name) > MAX_NAME - 2 and _octets(name) > MAX_NAME:
            raise MalformedMessageError("a name is too long")
        return name, end

    def _pointed(self, target: int, start: int, pointers: int) -> str:
        """Return what a pointer in the name at `start` means: a name before that one (RFC 1035 §4.1.4)."""
        if not HEADER.size <= target < start:
            raise MalformedMessageError("a name points to none before it")
        name = self._names.get(target)
        if name is None:
            if pointers == _MAX_POINTERS:
                raise MalformedMessageError("a name has too many pointers")
            name = self._names[target] = self._name_at(target, pointers + 1)[0]
        return name


def _escaped(label: bytes) -> str:
    """Return a label in lower case, with all but plain characters escaped (RFC 1035 §5.1).

    A dot in it becomes a number: the text of one label never ends with the name of a zone.
    """
    if _PLAIN_LABEL.fullmatch(label):
        return label.decode("ascii").lower()
    return dns.name.Name((label,)).to_text().lower().replace("\\.", "\\046")


_PLAIN_LABEL = re.compile(rb"[-*0-9A-Z_a-z]+")
_ESCAPE = re.compile(r"\\(\d{3}|.)")


def _octets(name: str) -> int:
    """Return how long a name is uncompressed: a length before each label, and the root."""
    return len(_ESCAPE.sub("x", name)) + 2


class Edns(NamedTuple):
    """What an OPT record says (RFC 6891 §6.1); of its options the cookie is of use here, "" without one."""

    payload: int  # octets that the client takes in a datagram
    version: int
    flags: int
    cookie: bytes = b""


def read_edns(message: Message) -> Edns | None:
    """Return the EDNS of a message, None where there is none.

    Raises:
        MalformedMessageError: it cannot be read, or is there twice.
    """
    found = [record for record in message.additionals if record.type == OPT]
    if not found:
        return None
    if len(found) > 1 or found[0].name:
        raise MalformedMessageError("more than one OPT record, or one with a name")
    record, cookie = found[0], b""
    at, end = record.start, record.start + record.length
    while at < end:
        if at + _OPTION.size > end:
            raise MalformedMessageError("half an option")
        option, length = _OPTION.unpack_from(message.wire, at)
        data = message.wire[at + _OPTION.size : at + _OPTION.size + length]
        at += _OPTION.size + length
        if option == COOKIE:
            if cookie or length not in _COOKIE_LENGTHS:  # RFC 7873 §5.2.2
                raise MalformedMessageError("a cookie of a length that none has, or two of them")
            cookie = data
    if at > end:
        raise MalformedMessageError("half an option")
    return Edns(record.rdclass, record.ttl >> 16 & 0xFF, record.ttl & 0xFFFF, cookie)


def pack_opt(payload: int, rcode: int, flags: int, options: Mapping[int, bytes]) -> bytes:
    """Return an OPT record (RFC 6891 §6.1); `rcode` is the whole of it, the header has the low bits."""
    rdata = b"".join(_OPTION.pack(option, len(data)) + data for option, data in options.items())
    return b"\0" + RECORD.pack(OPT, payload, rcode >> 4 << 24 | flags, len(rdata)) + rdata


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
        return ENCODERS[type](value)
    except (OSError, dns.exception.DNSException) as error:
        raise ValueError(f"not a value of {type}: {value[:80]!r}: {error}") from error


def decode(wire: bytes, record: Record) -> str:
    """Return the value of a record, in the one text of its type. Its type is one of `TYPES`.

    Raises:
        MalformedMessageError: no record of this type has such rdata.
    """
    try:
        return _DECODERS[record.type](wire, record.start, record.length)
    except (ValueError, IndexError, dns.exception.DNSException) as error:
        raise MalformedMessageError(f"{record.name} {TYPES[record.type]}: bad rdata: {error}") from error


def _encode_txt(value: str) -> bytes:
    """One string as it is; anything else as `_decode_txt` writes it."""
    octets = value.encode("ascii")
    if not _PLAIN.fullmatch(octets):
        return _encode_any(RecordType.TXT, value)
    if len(octets) > _MAX_STRING:
        raise ValueError(f"{len(octets)} octets in one string of a TXT record, {_MAX_STRING} at most")
    return pack_strings(octets)


def pack_strings(octets: bytes) -> bytes:
    """Return the rdata of a TXT record, in as many strings as the octets need."""
    starts = range(0, len(octets) or 1, _MAX_STRING)
    strings = [octets[start : start + _MAX_STRING] for start in starts]
    return b"".join(bytes((len(each),)) + each for each in strings)


def _encode_any(type: RecordType, value: str) -> bytes:
    return dns.rdata.from_text(IN, RdataType[type.value], value).to_digestable()


def _decode_a(wire: bytes, start: int, length: int) -> str:
    one, two, three, four = wire[start : start + length]  # a ValueError if it has another length
    return f"{one}.{two}.{three}.{four}"


def _decode_aaaa(wire: bytes, start: int, length: int) -> str:
    octets = wire[start : start + length]
    text = socket.inet_ntop(socket.AF_INET6, octets)
    # The C library writes ::192.0.2.1 where `model.addresses`, and RFC 5952, have ::c000:201.
    return str(IPv6Address(octets)) if "." in text else text


def _decode_txt(wire: bytes, start: int, length: int) -> str:
    """One string of plain characters as it is; anything else in quotation marks, with escapes."""
    octets = wire[start + 1 : start + length]
    if len(octets) == wire[start] and _PLAIN.fullmatch(octets):
        return octets.decode("ascii")
    return dns.rdata.from_wire(IN, RdataType.TXT, wire, start, length).to_text()


# They raise ValueError, OSError or DNSException for a value that is not of the type.
ENCODERS: Mapping[RecordType, Callable[[str], bytes]] = {
    RecordType.A: partial(socket.inet_pton, socket.AF_INET),
    RecordType.AAAA: partial(socket.inet_pton, socket.AF_INET6),
    RecordType.TXT: _encode_txt,
    RecordType.SOA: lambda value: _encode_any(RecordType.SOA, value),
    RecordType.CNAME: lambda value: _encode_any(RecordType.CNAME, value),
}
_DECODERS: Mapping[int, Callable[[bytes, int, int], str]] = {
    CODES[RecordType.A]: _decode_a,
    CODES[RecordType.AAAA]: _decode_aaaa,
    CODES[RecordType.TXT]: _decode_txt,
    SOA: lambda *rdata: dns.rdata.from_wire(IN, RdataType.SOA, *rdata).to_text(),
    CNAME: lambda *rdata: dns.rdata.from_wire(IN, RdataType.CNAME, *rdata).to_text(),
}


_QUERY, _UPDATE = 0 << 11, 5 << 11  # OPCODE (RFC 2136 §1.3); RD is 0: we ask the one who knows
_RCODES = {dns.rcode.from_text(each).value: each for each in Rcode if each is not Rcode.OTHER}


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
        yield pack_record(owner, code, CLASS_NONE, 0, NO_RDATA)
        return
    for value in prerequisite.values:
        yield pack_record(owner, code, CLASS_IN, 0, encode(prerequisite.type, value))


def _change(zone: str, change: Replace) -> Iterator[bytes]:
    owner, code = pack_name_below(zone, change.name), CODES[change.type]
    yield pack_record(owner, code, CLASS_ANY, 0, NO_RDATA)
    for value in change.values:
        yield pack_record(owner, code, CLASS_IN, change.ttl, encode(change.type, value))


def query_message(id: int, name: str, type: RecordType) -> bytes:
    """Return a query for one RRset."""
    return Header(id, _QUERY).pack() + pack_question(name, CODES[type])


def transfer_message(id: int, zone: str) -> bytes:
    """Return the query for a whole zone (RFC 5936 §2.1)."""
    return Header(id, _QUERY).pack() + pack_question(zone, AXFR)


def check_answers(message: Message, request: bytes) -> None:
    """Refuse what is not the answer to the request.

    Raises:
        MalformedMessageError: it is not.
    """
    asked, answered = Header(*HEADER.unpack_from(request)), message.header
    if not answered.flags & QR or (answered.id, answered.opcode) != (asked.id, asked.opcode):
        raise MalformedMessageError("not an answer to what was asked")


def rcode(message: Message) -> Rcode:
    """Return the answer's code, without the extension of EDNS: nothing that we send asks for it."""
    return _RCODES.get(message.header.flags & 0xF, Rcode.OTHER)


def answered_rrset(message: Message, zone: str, name: str, type: RecordType) -> RRset | None:
    """Return the RRset that an answer to `query_message` holds, or None for none.

    None too if the answer is not authoritative, is another name's (an alias), or shows itself to be
    that of a zone below. A nameserver that holds such a zone too and leaves its name out of a positive
    answer (Knot, PowerDNS) cannot be recognised from here.

    Raises:
        MalformedMessageError: records that no record of this type can have.
    """
    code = CODES[type]
    found = [record for record in message.answers if record.type == code and record.name == name]
    if not found or not message.header.flags & AA or _is_from_another_zone(message, zone):
        return None
    values = sorted({decode(message.wire, record) for record in found})
    return RRset(name, type, found[0].ttl, tuple(values))


def hidden(message: Message, zone: str, name: str) -> Hidden | None:
    """Return what an answer without the RRset shows in its place: an alias, or a delegation."""
    for record in message.answers:
        if record.type == CNAME and record.name == name:
            dnames = (
                each.name for each in message.answers if each.type == DNAME and is_below(name, each.name)
            )
            above = next(dnames, None)
            return Hidden(above, "DNAME") if above else Hidden(name, "CNAME")
    for record in message.authorities:
        if record.type in (NS, SOA) and is_below(record.name, zone):
            return Hidden(record.name, "NS")
    return None


def _is_from_another_zone(message: Message, zone: str) -> bool:
    return any(record.type == NS and record.name != zone for record in message.authorities)
