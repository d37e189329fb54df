"""Reading queries. They come from anybody, so nothing is read that an answer does not need.

`dns.message.from_wire` is not for this: it makes rdata of every record in the message, and keeps the
classes of rdata in a table of the process that a record of an unknown class (RFC 2136's ANY is enough)
both grows and spoils, also for those who parse AAAA records elsewhere in the process.
"""

import struct
from typing import NamedTuple

import dns.edns
import dns.exception
import dns.flags
import dns.name
import dns.opcode
import dns.wire
from dns.exception import FormError
from dns.opcode import Opcode
from dns.rdataclass import RdataClass
from dns.rdatatype import RdataType

MAX_QUERY = 4096  # octets; bounds the work on compression pointers, no honest query comes near
COOKIE = dns.edns.OptionType.COOKIE  # RFC 7873 §4
COOKIE_LENGTHS = (8, *range(16, 41))  # octets: the client's half, or both
HEADER = struct.Struct("!6H")
_QR = int(dns.flags.QR)


class UnknownKeyError(Exception):
    """The message is signed (RFC 8945). No key is known here."""


class Header(NamedTuple):
    """A message's header (RFC 1035 §4.1.1): flags as one number, then the records in each section."""

    id: int
    flags: int
    questions: int
    answers: int
    authorities: int
    additionals: int

    @property
    def opcode(self) -> Opcode:
        """The kind of message."""
        return dns.opcode.from_flags(self.flags)


class Edns(NamedTuple):
    """What an OPT record says (RFC 6891 §6.1); of its options the cookie is of use here, "" without one."""

    payload: int  # octets that the client takes in a datagram
    version: int
    flags: int
    cookie: bytes = b""


class Query(NamedTuple):
    """One question, and the client's EDNS if it has any."""

    header: Header
    name: dns.name.Name
    rdtype: RdataType
    rdclass: RdataClass
    edns: Edns | None


class _Record(NamedTuple):
    name: dns.name.Name
    type: int
    rdclass: int
    ttl: int
    data: bytes


def read_header(wire: bytes) -> Header | None:
    """Return the header of a message that is no response; None if there is none to answer."""
    if len(wire) < HEADER.size:
        return None
    header = Header(*HEADER.unpack_from(wire))
    return None if header.flags & _QR else header


def read(header: Header, wire: bytes) -> Query:
    """Return the query of a message of opcode QUERY.

    Raises:
        FormError: it is none, or a damaged one.
        UnknownKeyError: it is signed.
    """
    if len(wire) > MAX_QUERY or not _is_plausible(header):
        raise FormError("too long, or counts that no query has")
    parser = dns.wire.Parser(wire, HEADER.size)
    name = parser.get_name()
    rdtype, rdclass = parser.get_struct("!HH")
    authority = [_record(parser) for _ in range(header.authorities)]
    additional = [_record(parser) for _ in range(header.additionals)]
    if parser.remaining() or any(record.type == RdataType.OPT for record in authority):
        raise FormError("octets after the message, or an OPT record where none may be")
    if any(record.type == RdataType.TSIG for record in additional):
        raise UnknownKeyError
    options = [_edns(record) for record in additional if record.type == RdataType.OPT]
    if len(options) > 1:
        raise FormError("more than one OPT record")
    return Query(
        header, name, RdataType.make(rdtype), RdataClass.make(rdclass), options[0] if options else None
    )


def _is_plausible(header: Header) -> bool:
    """Say whether a query may have these counts; known before anything is read.

    One question (RFC 9619), an SOA of IXFR (RFC 1995 §3), an OPT and a signature.
    """
    return (
        header.questions == 1 and header.answers == 0 and header.authorities <= 1 and header.additionals <= 2
    )


def _record(parser: dns.wire.Parser) -> _Record:
    name = dns.name.from_wire_parser(parser)
    rdtype, rdclass, ttl, length = parser.get_struct("!HHIH")
    return _Record(name, rdtype, rdclass, ttl, parser.get_bytes(length))


def _edns(record: _Record) -> Edns:
    if record.name != dns.name.root:
        raise FormError("an OPT record with a name")
    options = dns.wire.Parser(record.data)
    cookie = b""
    while options.remaining():
        option, length = options.get_struct("!HH")
        data = options.get_bytes(length)
        if option == COOKIE:
            if cookie or length not in COOKIE_LENGTHS:
                raise FormError("a cookie of a length that none has, or two of them")  # RFC 7873 §5.2.2
            cookie = data
    return Edns(record.rdclass, record.ttl >> 16 & 0xFF, record.ttl & 0xFFFF, cookie)
