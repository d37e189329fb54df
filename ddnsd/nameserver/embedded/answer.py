"""Reads a query, finds what the zones answer (RFC 1034 §4.3.2, RFC 4592), writes the response.

Queries come from anybody: nothing is read, and nothing looked up, that an answer does not need.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from dns.edns import EDECode
from dns.rcode import Rcode

from ddnsd.model.names import ancestors
from ddnsd.nameserver.embedded.cookies import Cookies
from ddnsd.nameserver.embedded.ratelimit import ResponseRates, Verdict
from ddnsd.nameserver.embedded.zone import Zone
from ddnsd.nameserver.interface import RecordType
from ddnsd.nameserver.wire import (
    AA,
    ANY,
    AXFR,
    CD,
    CLASS_IN,
    CODES,
    COOKIE,
    DO,
    EXTENDED_ERROR,
    HEADER,
    IXFR,
    MAX_MESSAGE,
    NS,
    OPCODE,
    OPT,
    QR,
    QUESTION,
    QUESTION_NAME,
    RD,
    TC,
    TSIG,
    Edns,
    Header,
    MalformedMessageError,
    encode,
    pack_name_below,
    pack_opt,
    pack_record,
    read_edns,
    read_message,
)

ServedZones = Mapping[str, Zone | None]  # by name; None is a zone of ours that is not loaded yet
MAX_QUERY = 4096  # octets; bounds the work on compression pointers, no honest query comes near
MAX_DATAGRAM = 1232  # octets that pass every path unfragmented (DNS flag day 2020)
_MIN_DATAGRAM = 512  # RFC 1035 §4.2.1, RFC 6891 §6.2.3
_OWN_TTL = 300  # seconds; a machine at home may have another address tomorrow
_ECHOED = RD | CD  # RFC 1035 §4.1.1, RFC 4035 §3.2.2


class Peer(NamedTuple):
    """The client: its address, and the address of this machine that it asked; "" where one is not known."""

    source: str = ""
    asked: str = ""


NOBODY = Peer()


class Policy(NamedTuple):
    """What there is beside the zones' records.

    `addresses` are this nameserver's own, for a zone whose name server is a name in the zone and has no
    records there; None: the address that was asked. `hidden` returns the one name in a zone that clients do
    not see, "" without one. Clients that show a cookie of `cookies` are known; `rates` limit all others.
    """

    addresses: tuple[str, ...] | None = None
    hidden: Callable[[str], str] = lambda _zone: ""
    cookies: Cookies | None = None
    rates: ResponseRates | None = None


NO_POLICY = Policy()


class Query(NamedTuple):
    """One question, also in its octets, which the response repeats; and the client's EDNS if it has any."""

    header: Header
    name: str
    type: int
    rdclass: int
    question: bytes
    edns: Edns | None


class DnsAnswer(NamedTuple):
    """A response before it is put together: the records of each section, packed.

    `reason` is for the client's eyes only (RFC 8914). `subject` is the owner name of the data, or of what
    says that there are none: the same for all names that one wildcard answers, or that do not exist in one
    zone.
    """

    rcode: Rcode
    authoritative: bool = False
    answer: Sequence[bytes] = ()
    authority: Sequence[bytes] = ()
    additional: Sequence[Sequence[bytes]] = ()  # by RRset
    reason: EDECode | None = None
    subject: str = ""


class Response(NamedTuple):
    """A message to send, and its code for the statistics."""

    wire: bytes
    rcode: Rcode


LIMITED = Response(b"", Rcode.NOERROR)
"""In place of an answer that is not sent, as its client gets too many of them."""

# A resolver goes on to another server of the zone after each of the two; only the second says that it
# need not come back.
NOT_LOADED = DnsAnswer(Rcode.SERVFAIL, reason=EDECode.NOT_READY)
NOT_OURS = DnsAnswer(Rcode.REFUSED, reason=EDECode.NOT_AUTHORITATIVE)


def respond(
    zones: ServedZones,
    wire: bytes,
    peer: Peer = NOBODY,
    policy: Policy = NO_POLICY,
    *,
    is_datagram: bool,
) -> Response | None:
    """Return the response to whatever was sent here, by UDP or TCP; None for what gets none.

    No answer goes to what has no header, or is itself a response (two servers would never stop).
    """
    header = _header(wire)
    if header is None:
        return None
    if not is_datagram:
        policy = policy._replace(rates=None)  # the address of a connection is not forged
    query = _read(header, wire)
    if isinstance(query, Rcode):
        rates = policy.rates
        is_limited = rates is not None and rates.verdict(peer.source, query) is Verdict.DROP
        return LIMITED if is_limited else _bare(header, query)
    return _respond(query, _answer(zones, query, peer, policy), peer, policy, _limit(query, is_datagram))


def fail(wire: bytes) -> Response | None:
    """Return the response of a server that cannot say more than that it failed."""
    header = _header(wire)
    return None if header is None else _bare(header, Rcode.SERVFAIL)


def _header(wire: bytes) -> Header | None:
    """Return the header of a message to be answered; None without one, or where it is a response."""
    if len(wire) < HEADER.size:
        return None
    header = Header(*HEADER.unpack_from(wire))
    return None if header.flags & QR else header


def _bare(header: Header, rcode: Rcode) -> Response:
    """Answer with a header alone: what follows in the query was not, or could not be, read."""
    flags = QR | header.flags & (OPCODE | RD) | rcode
    return Response(Header(header.id, flags, questions=0).pack(), rcode)


def _read(header: Header, wire: bytes) -> Query | Rcode:
    """Return the query in a message, or the code for what is none."""
    if header.opcode != 0:  # the publisher's UPDATEs come another way, nobody else's count
        return Rcode.NOTIMP
    if len(wire) > MAX_QUERY or not _is_plausible(header):
        return Rcode.FORMERR
    try:
        message = read_message(wire)
        if any(record.type == OPT for record in message.authorities):
            return Rcode.FORMERR
        if any(record.type == TSIG for record in message.additionals):
            return Rcode.NOTAUTH  # no key is known here (RFC 8945 §5.2.1)
        edns = read_edns(message)
    except MalformedMessageError:
        return Rcode.FORMERR
    name, type, rdclass, end = message.questions[0]
    return Query(header, name, type, rdclass, wire[HEADER.size : end], edns)


def _is_plausible(header: Header) -> bool:
    """Say whether a query may have these counts; known before anything is read.

    One question (RFC 9619), an SOA of IXFR (RFC 1995 §3), an OPT and a signature.
    """
    return (
        header.questions == 1 and header.answers == 0 and header.authorities <= 1 and header.additionals <= 2
    )


def _limit(query: Query, is_datagram: bool) -> int:
    """Return how many octets the response may have."""
    if not is_datagram:
        return MAX_MESSAGE
    payload = query.edns.payload if query.edns else 0
    return min(max(payload, _MIN_DATAGRAM), MAX_DATAGRAM)


def _answer(zones: ServedZones, query: Query, peer: Peer, policy: Policy) -> DnsAnswer:
    if query.edns is not None and query.edns.version > 0:
        return DnsAnswer(Rcode.BADVERS)
    if query.rdclass != CLASS_IN or query.type in (AXFR, IXFR):
        return DnsAnswer(Rcode.REFUSED, reason=EDECode.PROHIBITED)
    if (128 <= query.type < ANY) or query.type == OPT:  # of no record (RFC 6895 §3.1)
        return DnsAnswer(Rcode.NOTIMP)
    return answer(zones, query, peer, policy)


def answer(zones: ServedZones, query: Query, peer: Peer, policy: Policy) -> DnsAnswer:
    """Answer a question of class IN, for data and for ANY, from the closest zone above the name."""
    name = query.name
    origin = next((each for each in ancestors(name) if each in zones), None)
    if origin is None:
        return NOT_OURS
    zone = zones[origin]
    if zone is None:
        return NOT_LOADED
    source = zone.source(name)
    if _is_own(zone, name):
        found = _own(QUESTION_NAME, query.type, peer, policy)
    elif source is None or name == policy.hidden(origin):
        return _negative(zone, query, Rcode.NXDOMAIN)
    else:  # of ANY the one type that comes first (RFC 8482 §4.1)
        type = next(iter(zone.types(source)), ANY) if query.type == ANY else query.type
        found = zone.records(QUESTION_NAME, source, type)
    glue = _glue(zone, query, peer, policy) if query.type == NS and found else []
    if not found or (query.type == NS and not glue and _is_own(zone, zone.server)):
        # A resolver would take a name without an address for the zone's only name server: SERVFAIL.
        # Without it, it goes on with the delegation that led here, and the names there do have addresses.
        return _negative(zone, query, Rcode.NOERROR)
    return DnsAnswer(Rcode.NOERROR, authoritative=True, answer=found, additional=glue, subject=source or name)


def _is_own(zone: Zone, name: str) -> bool:
    """Say whether a name is this nameserver's own in a zone that has no records of it."""
    return bool(zone.server) and name == zone.server and not zone.types(name)


def _own(owner: bytes, type: int, peer: Peer, policy: Policy) -> list[bytes]:
    """Return this nameserver's own addresses; of ANY those of one family."""
    addresses = policy.addresses
    if addresses is None:  # the link's are of no use to others
        addresses = () if peer.asked.startswith("fe80:") or not peer.asked else (peer.asked,)
    if type == ANY:
        return _own(owner, CODES[RecordType.A], peer, policy) or _own(
            owner, CODES[RecordType.AAAA], peer, policy
        )
    if type not in (CODES[RecordType.A], CODES[RecordType.AAAA]):
        return []
    family = RecordType.A if type == CODES[RecordType.A] else RecordType.AAAA
    fitting = dict.fromkeys(each for each in addresses if (":" in each) is (family is RecordType.AAAA))
    return [pack_record(owner, type, CLASS_IN, _OWN_TTL, encode(family, each)) for each in fitting]


def _glue(zone: Zone, query: Query, peer: Peer, policy: Policy) -> list[list[bytes]]:
    """Return the addresses of the zone's name server, as far as this very zone has them."""
    if not zone.server:
        return []
    owner = pack_name_below(zone.name, zone.server, _zone_at(zone, query))
    is_own = _is_own(zone, zone.server)
    rrsets = [
        _own(owner, type, peer, policy) if is_own else zone.records(owner, zone.server, type)
        for type in (CODES[RecordType.A], CODES[RecordType.AAAA])
    ]
    return [records for records in rrsets if records]


def _negative(zone: Zone, query: Query, rcode: Rcode) -> DnsAnswer:
    """Say "no such name", or "not of this type" (NOERROR); the SOA says for how long (RFC 2308 §2)."""
    denial = zone.denial(_zone_at(zone, query))
    return DnsAnswer(rcode, authoritative=True, authority=(denial,), subject=zone.name)


def _zone_at(zone: Zone, query: Query) -> int:
    """Return where in the message, at the end of the name that is asked for, the zone's name begins."""
    return HEADER.size + len(query.question) - QUESTION.size - zone.size


def _respond(query: Query, answer: DnsAnswer, peer: Peer, policy: Policy, limit: int) -> Response:
    asked = query.edns.cookie if query.edns else b""
    cookie = policy.cookies.answer(asked, peer.source) if asked and policy.cookies else b""
    rates = policy.rates
    if rates and not (policy.cookies and policy.cookies.is_valid(asked, peer.source)):
        kind = (answer.rcode, answer.subject, query.type if answer.answer else None)
        verdict = rates.verdict(peer.source, kind)
        if verdict is Verdict.DROP:
            return LIMITED
        if verdict is Verdict.SLIP:
            return _put_together(query, DnsAnswer(Rcode.NOERROR), limit, cookie, TC)
    return _put_together(query, answer, limit, cookie)


def _put_together(query: Query, answer: DnsAnswer, limit: int, cookie: bytes, flags: int = 0) -> Response:
    """Return the message; `flags` may have TC where nothing is sent, whatever room there is."""
    header, rcode = query.header, answer.rcode
    opt = _opt(query.edns, answer, cookie) if query.edns else b""
    room = limit - HEADER.size - len(query.question) - len(opt)
    sections, is_truncated = _fitting(answer, room)
    flags |= QR | header.flags & _ECHOED | rcode & 0xF
    flags |= (AA if answer.authoritative else 0) | (TC if is_truncated else 0)
    answers, authorities, additionals = map(len, sections)
    counted = Header(header.id, flags, 1, answers, authorities, additionals + bool(opt))
    records = (record for section in sections for record in section)
    return Response(b"".join((counted.pack(), query.question, *records, opt)), rcode)


def _fitting(answer: DnsAnswer, room: int) -> tuple[tuple[list[bytes], list[bytes], list[bytes]], bool]:
    """Return the sections as far as there is room, and whether what is missing matters (RFC 2181 §9)."""
    sections: tuple[list[bytes], list[bytes], list[bytes]] = ([], [], [])
    for section, records in zip(sections, (answer.answer, answer.authority), strict=False):
        room -= sum(map(len, records))
        if room < 0:
            return sections, True
        section += _shuffled(records)
    for records in answer.additional:
        room -= sum(map(len, records))
        if room < 0:
            break  # glue helps, its absence misleads nobody
        sections[2].extend(_shuffled(records))
    return sections, False


def _shuffled(records: Sequence[bytes]) -> Sequence[bytes]:
    """Return them in any order: most clients take the first address, and so spread over all."""
    return random.sample(records, len(records)) if len(records) > 1 else records


def _opt(edns: Edns, answer: DnsAnswer, cookie: bytes) -> bytes:
    options: dict[int, bytes] = {}
    if answer.reason is not None:
        options[EXTENDED_ERROR] = int(answer.reason).to_bytes(2)
    if cookie:
        options[COOKIE] = cookie
    return pack_opt(MAX_DATAGRAM, answer.rcode, edns.flags & DO, options)
