"""Reads a query, finds what the zones answer (RFC 1034 §4.3.2, RFC 4592), writes the response.

Queries come from anybody, so nothing is read that an answer does not need. `dns.message.from_wire` is not for
this: it makes rdata of every record in the message, and keeps the classes of rdata in a table of the process.
A record of an unknown class (RFC 2136's ANY is enough) makes that table grow, and spoils it for those that
parse AAAA records elsewhere in the process.
"""

import struct
from collections.abc import Callable, Mapping
from enum import IntEnum
from functools import lru_cache
from typing import NamedTuple

import dns.edns
import dns.exception
import dns.flags
import dns.name
import dns.opcode
import dns.rdataset
import dns.rdatatype
import dns.rrset
import dns.wire
from dns.edns import EDECode, EDEOption, GenericOption, Option
from dns.exception import FormError, TooBig
from dns.opcode import Opcode
from dns.rcode import Rcode
from dns.rdataclass import IN, RdataClass
from dns.rdatatype import RdataType
from dns.rdtypes.ANY.NS import NS
from dns.rdtypes.ANY.OPT import OPT
from dns.rdtypes.IN.A import A
from dns.rdtypes.IN.AAAA import AAAA
from dns.renderer import ADDITIONAL, ANSWER, AUTHORITY, Renderer

from ddnsd.model.names import ancestors
from ddnsd.nameserver.embedded.cookies import Cookies
from ddnsd.nameserver.embedded.ratelimit import ResponseRates, Verdict
from ddnsd.nameserver.embedded.zone import Zone

ServedZones = Mapping[str, Zone | None]  # by name; None is a zone of ours that is not loaded yet
Owned = tuple[dns.name.Name, dns.rdataset.Rdataset]  # an RRset and its owner, in the case it is sent in


class DnsAnswer(NamedTuple):
    """A response before it is rendered.

    `reason` is for the client's eyes only (RFC 8914). `subject` is the owner name of the data, or of what
    says that there are none: the same for all names that one wildcard answers, or that do not exist in one
    zone.
    """

    rcode: Rcode
    authoritative: bool = False
    answer: tuple[Owned, ...] = ()
    authority: tuple[Owned, ...] = ()
    additional: tuple[Owned, ...] = ()
    reason: EDECode | None = None
    subject: str = ""


class ClientView(NamedTuple):
    """What one client sees beside the zones' records.

    `addresses` are this nameserver's own, for a zone whose name server is a name in it that no record
    stands at. `hidden` returns the one name in a zone that clients do not see, "" if there is none.
    """

    addresses: tuple[str, ...] = ()
    hidden: Callable[[str], str] = lambda _zone: ""


EVERYTHING = ClientView()
_OWN_TTL = 300  # seconds; a machine at home may have another address tomorrow


# A resolver goes on to another server of the zone after each of the two; only the second says that it
# need not come back.
NOT_LOADED = DnsAnswer(Rcode.SERVFAIL, reason=EDECode.NOT_READY)
NOT_OURS = DnsAnswer(Rcode.REFUSED, reason=EDECode.NOT_AUTHORITATIVE)


def answer(
    zones: ServedZones, qname: dns.name.Name, qtype: RdataType, view: ClientView = EVERYTHING
) -> DnsAnswer:
    """Answer a question of class IN, for data and for ANY, from the closest zone above the name."""
    name = _text(qname)
    origin = next((each for each in ancestors(name) if each in zones), None)
    if origin is None:
        return NOT_OURS
    zone = zones[origin]
    if zone is None:
        return NOT_LOADED
    source = zone.source(name)
    if _is_own(zone, name):
        found = _own(view.addresses, qtype)
    elif source is None or name == view.hidden(origin):
        return _negative(zone, Rcode.NXDOMAIN)
    else:
        found = zone.find(source, _any(zone, source) if qtype == RdataType.ANY else qtype)
    if found is None:
        return _negative(zone, Rcode.NOERROR)
    return _positive(zone, qname, found, view)._replace(subject=source or name)


def _is_own(zone: Zone, name: str) -> bool:
    """Say whether a name is this nameserver's own in a zone that has no records of it."""
    return bool(zone.server) and name == zone.server and not zone.types(name)


def _own(addresses: tuple[str, ...], qtype: RdataType) -> dns.rdataset.Rdataset | None:
    if qtype == RdataType.ANY:
        return _own(addresses, RdataType.A) or _own(addresses, RdataType.AAAA)
    return _own_records(addresses, qtype) if qtype in (RdataType.A, RdataType.AAAA) else None


@lru_cache(maxsize=256)
def _own_records(addresses: tuple[str, ...], rdtype: RdataType) -> dns.rdataset.Rdataset | None:
    make = AAAA if rdtype == RdataType.AAAA else A
    fitting = [address for address in addresses if (":" in address) is (rdtype == RdataType.AAAA)]
    rdatas = [make(IN, rdtype, address) for address in fitting]
    return dns.rdataset.from_rdata_list(_OWN_TTL, rdatas) if rdatas else None


def _text(qname: dns.name.Name) -> str:
    """Return the name as the zones write theirs; one that they cannot have stays different from all."""
    labels = (label.replace(b".", rb"\046") for label in qname.labels[:-1])
    return b".".join(labels).lower().decode("latin-1")


def _any(zone: Zone, name: str) -> RdataType:
    """Choose the one type that answers ANY (RFC 8482 §4.1)."""
    return next(iter(zone.types(name)), RdataType.ANY)


def _positive(zone: Zone, qname: dns.name.Name, found: dns.rdataset.Rdataset, view: ClientView) -> DnsAnswer:
    glue: tuple[Owned, ...] = ()
    if found.rdtype == RdataType.NS:
        glue = _glue(zone, found, view)
        if not glue and _is_own(zone, zone.server):
            # A resolver would take a name without an address for the zone's only name server: SERVFAIL.
            # Without it, it goes on with the delegation that it came by, whose names do have addresses.
            return _negative(zone, Rcode.NOERROR)
    return DnsAnswer(Rcode.NOERROR, authoritative=True, answer=((qname, found),), additional=glue)


def _glue(zone: Zone, servers: dns.rdataset.Rdataset, view: ClientView) -> tuple[Owned, ...]:
    """Return the addresses of the name servers, as far as this very zone has them."""
    targets = [rdata.target for rdata in servers if isinstance(rdata, NS)]
    types = (RdataType.A, RdataType.AAAA)
    found = ((target, _address(zone, _text(target), rdtype, view)) for target in targets for rdtype in types)
    return tuple((target, rdataset) for target, rdataset in found if rdataset is not None)


def _address(zone: Zone, name: str, rdtype: RdataType, view: ClientView) -> dns.rdataset.Rdataset | None:
    return _own(view.addresses, rdtype) if _is_own(zone, name) else zone.find(name, rdtype)


def _negative(zone: Zone, rcode: Rcode) -> DnsAnswer:
    """Say "no such name", or "not of this type" (NOERROR); the SOA says for how long (RFC 2308 §2)."""
    return DnsAnswer(rcode, authoritative=True, authority=((zone.origin, zone.denial),), subject=zone.name)


MAX_QUERY = 4096  # octets; bounds the work on compression pointers, no honest query comes near
COOKIE = dns.edns.OptionType.COOKIE  # RFC 7873 §4
COOKIE_LENGTHS = (8, *range(16, 41))  # octets: the client's half, or both
HEADER = struct.Struct("!6H")
_QR = int(dns.flags.QR)


class UnknownKeyError(Exception):
    """The message is signed (RFC 8945). No key is known here."""


class QueryHeader(NamedTuple):
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

    header: QueryHeader
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


def read_header(wire: bytes) -> QueryHeader | None:
    """Return the header of a message that is no response; None if there is none to answer."""
    if len(wire) < HEADER.size:
        return None
    header = QueryHeader(*HEADER.unpack_from(wire))
    return None if header.flags & _QR else header


def read(header: QueryHeader, wire: bytes) -> Query:
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


def _is_plausible(header: QueryHeader) -> bool:
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


MAX_DATAGRAM = 1232  # octets that pass every path unfragmented (DNS flag day 2020)
_MIN_DATAGRAM = 512  # RFC 1035 §4.2.1, RFC 6891 §6.2.3
_MAX_MESSAGE = 65535
_OPT_SIZE = 11  # RFC 6891 §6.1.2, without options
_OPTION_SIZE = 4  # of an option, without its data
# As plain numbers: the operators of enum flags would cost as much as the zone's own look-up.

_AA = int(dns.flags.AA)
_TC = int(dns.flags.TC)
_RD = int(dns.flags.RD)
_CD = int(dns.flags.CD)
_DO = int(dns.flags.DO)
_ECHOED = _RD | _CD  # RFC 1035 §4.1.1, RFC 4035 §3.2.2


class TransportProtocol(IntEnum):
    """How a query came."""

    UDP = 17
    TCP = 6


class Peer(NamedTuple):
    """Who asks: its address, and the address of this machine that it has asked; "" where not known."""

    source: str = ""
    asked: str = ""


NOBODY = Peer()


class Response(NamedTuple):
    """A rendered message, and its code for the statistics."""

    wire: bytes
    rcode: Rcode


class Policy(NamedTuple):
    """What there is beside the zones: who sees what, who is known by a cookie, how much strangers get."""

    view: ClientView = EVERYTHING
    cookies: Cookies | None = None
    rates: ResponseRates | None = None


NO_POLICY = Policy()
LIMITED = Response(b"", Rcode.NOERROR)
"""Stands for an answer that is not sent, as its client gets too many of them."""


def respond(
    zones: ServedZones,
    wire: bytes,
    transport: TransportProtocol,
    peer: Peer = NOBODY,
    policy: Policy = NO_POLICY,
) -> Response | None:
    """Return the response to whatever was sent here; None for what gets none.

    No answer goes to what has no header, or is itself a response (two servers would never stop).
    """
    header = read_header(wire)
    if header is None:
        return None
    rates = policy.rates if transport is TransportProtocol.UDP else None
    if header.opcode != Opcode.QUERY:  # the publisher's UPDATEs come another way, nobody else's count
        return _refuse(header, Rcode.NOTIMP, rates, peer)
    try:
        query = read(header, wire)
    except UnknownKeyError:
        return _refuse(header, Rcode.NOTAUTH, rates, peer)  # RFC 8945 §5.2.1
    except FormError:
        return _refuse(header, Rcode.FORMERR, rates, peer)
    return _respond(query, _answer(zones, query, policy.view), _limit(query, transport), rates, peer, policy)


def _respond(
    query: Query, answer: DnsAnswer, limit: int, rates: ResponseRates | None, peer: Peer, policy: Policy
) -> Response:
    asked = query.edns.cookie if query.edns else b""
    cookie = policy.cookies.answer(asked, peer.source) if asked and policy.cookies else b""
    if rates and not (policy.cookies and policy.cookies.is_valid(asked, peer.source)):
        kind = (answer.rcode, answer.subject, query.rdtype if answer.answer else None)
        verdict = rates.verdict(peer.source, kind)
        if verdict is Verdict.DROP:
            return LIMITED
        if verdict is Verdict.SLIP:
            return _render(query, DnsAnswer(Rcode.NOERROR), limit, cookie, _TC)
    return _render(query, answer, limit, cookie)


def _refuse(header: QueryHeader, rcode: Rcode, rates: ResponseRates | None, peer: Peer) -> Response:
    verdict = rates.verdict(peer.source, rcode) if rates else Verdict.SEND
    return LIMITED if verdict is Verdict.DROP else _bare(header, rcode)


def fail(wire: bytes) -> Response | None:
    """Return the response of a server that cannot say more than that it failed."""
    header = read_header(wire)
    return None if header is None else _bare(header, Rcode.SERVFAIL)


def _bare(header: QueryHeader, rcode: Rcode) -> Response:
    """Answer with a header alone: what follows in the query was not, or could not be, read."""
    flags = _QR | dns.opcode.to_flags(header.opcode) | (header.flags & _RD) | rcode
    return Response(HEADER.pack(header.id, flags, 0, 0, 0, 0), rcode)


def _answer(zones: ServedZones, query: Query, view: ClientView) -> DnsAnswer:
    if query.edns is not None and query.edns.version > 0:
        return DnsAnswer(Rcode.BADVERS)
    if query.rdclass != IN or query.rdtype in (RdataType.AXFR, RdataType.IXFR):
        return DnsAnswer(Rcode.REFUSED, reason=EDECode.PROHIBITED)
    if dns.rdatatype.is_metatype(query.rdtype) and query.rdtype != RdataType.ANY:
        return DnsAnswer(Rcode.NOTIMP)
    return answer(zones, query.name, query.rdtype, view)


def _limit(query: Query, transport: TransportProtocol) -> int:
    """Return how many octets the response may have."""
    if transport is TransportProtocol.TCP:
        return _MAX_MESSAGE
    payload = query.edns.payload if query.edns else 0
    return min(max(payload, _MIN_DATAGRAM), MAX_DATAGRAM)


def _render(query: Query, answer: DnsAnswer, limit: int, cookie: bytes = b"", truncated: int = 0) -> Response:
    """Render an answer; `truncated` is TC where nothing of it is sent, whatever room there is."""
    header, edns = query.header, query.edns
    flags = _QR | (_AA if answer.authoritative else 0) | (header.flags & _ECHOED) | (answer.rcode & 0xF)
    flags |= truncated
    renderer = Renderer(header.id, flags, limit)
    renderer.add_question(query.name, query.rdtype, query.rdclass)
    renderer.reserve(_OPT_SIZE + len(cookie) + (_OPTION_SIZE if cookie else 0) if edns else 0)
    _add_sections(renderer, answer)
    renderer.release_reserved()
    if edns:
        flags = (edns.flags & _DO) | (answer.rcode >> 4 << 24)  # RFC 3225 §3, RFC 6891 §6.1.3
        renderer.add_opt(
            _opt(flags, answer.reason) if not cookie else _opt_with(cookie, flags, answer.reason)
        )
    renderer.write_header()
    return Response(renderer.get_wire(), answer.rcode)


def _add_sections(renderer: Renderer, answer: DnsAnswer) -> None:
    """Render the sections; TC says that an RRset is missing that matters (RFC 2181 §9)."""
    try:
        for section, rrsets in ((ANSWER, answer.answer), (AUTHORITY, answer.authority)):
            for name, rdataset in rrsets:
                renderer.add_rdataset(section, name, rdataset)
    except TooBig:
        renderer.flags |= _TC
        return
    try:
        for name, rdataset in answer.additional:
            renderer.add_rdataset(ADDITIONAL, name, rdataset)
    except TooBig:
        return  # glue helps, its absence misleads nobody


@lru_cache(maxsize=64)
def _opt(flags: int, reason: EDECode | None) -> dns.rrset.RRset:
    return _opt_with(b"", flags, reason)


def _opt_with(cookie: bytes, flags: int, reason: EDECode | None) -> dns.rrset.RRset:
    options: list[Option] = [] if reason is None else [EDEOption(reason)]
    if cookie:
        options.append(GenericOption(COOKIE, cookie))
    return dns.rrset.from_rdata(dns.name.root, flags, OPT(MAX_DATAGRAM, RdataType.OPT, options))
