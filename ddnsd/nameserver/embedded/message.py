"""Messages on the wire: a query in, its response out."""

from enum import IntEnum
from functools import lru_cache
from typing import NamedTuple

import dns.flags
import dns.name
import dns.opcode
import dns.rdatatype
import dns.rrset
from dns.edns import EDECode, EDEOption, GenericOption, Option
from dns.exception import FormError, TooBig
from dns.opcode import Opcode
from dns.rcode import Rcode
from dns.rdataclass import IN
from dns.rdatatype import RdataType
from dns.rdtypes.ANY.OPT import OPT
from dns.renderer import ADDITIONAL, ANSWER, AUTHORITY, Renderer

from ddnsd.nameserver.embedded.answer import EVERYTHING, Answer, View, Zones, answer
from ddnsd.nameserver.embedded.cookies import Cookies
from ddnsd.nameserver.embedded.query import COOKIE, HEADER, Header, Query, UnknownKeyError, read, read_header
from ddnsd.nameserver.embedded.ratelimit import ResponseRates, Verdict

MAX_DATAGRAM = 1232  # octets that pass every path unfragmented (DNS flag day 2020)
_MIN_DATAGRAM = 512  # RFC 1035 §4.2.1, RFC 6891 §6.2.3
_MAX_MESSAGE = 65535
_OPT_SIZE = 11  # RFC 6891 §6.1.2, without options
_OPTION_SIZE = 4  # of an option, without its data
# As plain numbers: the operators of enum flags would cost as much as the zone's own look-up.
_QR = int(dns.flags.QR)
_AA = int(dns.flags.AA)
_TC = int(dns.flags.TC)
_RD = int(dns.flags.RD)
_CD = int(dns.flags.CD)
_DO = int(dns.flags.DO)
_ECHOED = _RD | _CD  # RFC 1035 §4.1.1, RFC 4035 §3.2.2


class Transport(IntEnum):
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

    view: View = EVERYTHING
    cookies: Cookies | None = None
    rates: ResponseRates | None = None


NO_POLICY = Policy()
LIMITED = Response(b"", Rcode.NOERROR)
"""Stands for an answer that is not sent, as its client gets too many of them."""


def respond(
    zones: Zones, wire: bytes, transport: Transport, peer: Peer = NOBODY, policy: Policy = NO_POLICY
) -> Response | None:
    """Return the response to whatever was sent here; None for what gets none.

    No answer goes to what has no header, or is itself a response (two servers would never stop).
    """
    header = read_header(wire)
    if header is None:
        return None
    rates = policy.rates if transport is Transport.UDP else None
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
    query: Query, answer: Answer, limit: int, rates: ResponseRates | None, peer: Peer, policy: Policy
) -> Response:
    asked = query.edns.cookie if query.edns else b""
    cookie = policy.cookies.answer(asked, peer.source) if asked and policy.cookies else b""
    if rates and not (policy.cookies and policy.cookies.is_valid(asked, peer.source)):
        kind = (answer.rcode, answer.subject, query.rdtype if answer.answer else None)
        verdict = rates.verdict(peer.source, kind)
        if verdict is Verdict.DROP:
            return LIMITED
        if verdict is Verdict.SLIP:
            return _render(query, Answer(Rcode.NOERROR), limit, cookie, _TC)
    return _render(query, answer, limit, cookie)


def _refuse(header: Header, rcode: Rcode, rates: ResponseRates | None, peer: Peer) -> Response:
    verdict = rates.verdict(peer.source, rcode) if rates else Verdict.SEND
    return LIMITED if verdict is Verdict.DROP else _bare(header, rcode)


def fail(wire: bytes) -> Response | None:
    """Return the response of a server that cannot say more than that it failed."""
    header = read_header(wire)
    return None if header is None else _bare(header, Rcode.SERVFAIL)


def _bare(header: Header, rcode: Rcode) -> Response:
    """Answer with a header alone: what follows in the query was not, or could not be, read."""
    flags = _QR | dns.opcode.to_flags(header.opcode) | (header.flags & _RD) | rcode
    return Response(HEADER.pack(header.id, flags, 0, 0, 0, 0), rcode)


def _answer(zones: Zones, query: Query, view: View) -> Answer:
    if query.edns is not None and query.edns.version > 0:
        return Answer(Rcode.BADVERS)
    if query.rdclass != IN or query.rdtype in (RdataType.AXFR, RdataType.IXFR):
        return Answer(Rcode.REFUSED, reason=EDECode.PROHIBITED)
    if dns.rdatatype.is_metatype(query.rdtype) and query.rdtype != RdataType.ANY:
        return Answer(Rcode.NOTIMP)
    return answer(zones, query.name, query.rdtype, view)


def _limit(query: Query, transport: Transport) -> int:
    """Return how many octets the response may have."""
    if transport is Transport.TCP:
        return _MAX_MESSAGE
    payload = query.edns.payload if query.edns else 0
    return min(max(payload, _MIN_DATAGRAM), MAX_DATAGRAM)


def _render(query: Query, answer: Answer, limit: int, cookie: bytes = b"", truncated: int = 0) -> Response:
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


def _add_sections(renderer: Renderer, answer: Answer) -> None:
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
