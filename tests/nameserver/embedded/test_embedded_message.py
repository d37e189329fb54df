"""What the zones answer, message by message."""

import struct
from collections.abc import Callable
from typing import Any

import dns.edns
import dns.flags
import dns.message
import dns.rdataclass
import dns.rrset
import dns.tsigkeyring
import pytest
from dns.edns import EDECode
from dns.message import Message
from dns.opcode import Opcode
from dns.rcode import Rcode

from ddnsd.nameserver.embedded import Authority
from ddnsd.nameserver.embedded.answer import MAX_QUERY, Response, respond
from ddnsd.nameserver.embedded.zone import Zone
from ddnsd.nameserver.interface import RecordType, RRset
from ddnsd.nameserver.wire import answered_rrset, check_answers, query_message, read_message
from tests.narrow import present

OPT = b"\0" + b"\0\x29" + b"\4\xd0" + bytes(4) + b"\0\0"
QUERY = dns.message.make_query("blog.example.com", "A", id=4711).to_wire()

Zones = dict[str, Zone | None]


@pytest.fixture
def zones(contents: tuple[RRset, ...]) -> Zones:
    server = RRset("ns.example.com", RecordType.A, 60, ("192.0.2.53",))
    parent = Zone("example.com", Authority(minimum=30), 1).load((*contents, server))
    child = Zone("sub.example.com", Authority(), 1)
    return {"example.com": parent, "sub.example.com": child, "loading.example.com": None}


@pytest.fixture
def asked(zones: Zones) -> Callable[..., Message]:
    def asked(name: str, rdtype: str = "A", *, is_datagram: bool = True, **options: Any) -> Message:
        return exchange(zones, dns.message.make_query(name, rdtype, **options), is_datagram=is_datagram)

    return asked


def answered(zones: Zones, wire: bytes, *, is_datagram: bool) -> Response:
    """Return the answer to what is a query."""
    return present(respond(zones, wire, is_datagram=is_datagram))


def exchange(zones: Zones, query: Message, *, is_datagram: bool = True) -> Message:
    response = answered(zones, query.to_wire(), is_datagram=is_datagram)
    message = dns.message.from_wire(response.wire)
    assert query.is_response(message)
    assert not message.flags & dns.flags.RA
    assert message.rcode() == response.rcode
    return message


def texts(section: Any) -> list[str]:
    return sorted(text for rrset in section for text in rrset.to_text().splitlines())


@pytest.mark.parametrize(
    ("name", "rdtype", "answer"),
    [
        ("blog.example.com", "A", "blog.example.com. 60 IN A 192.0.2.1"),
        ("blog.example.com", "AAAA", "blog.example.com. 60 IN AAAA 2001:db8::1"),
        ("BLOG.eXample.com", "A", "BLOG.eXample.com. 60 IN A 192.0.2.1"),
        (
            "example.com",
            "SOA",
            "example.com. 3600 IN SOA ns.example.com. hostmaster.example.com. 1 3600 600 604800 30",
        ),
        ("example.com", "NS", "example.com. 3600 IN NS ns.example.com."),
    ],
)
def test_data(asked: Callable[..., Message], name: str, rdtype: str, answer: str) -> None:
    message = asked(name, rdtype)
    assert message.rcode() == Rcode.NOERROR
    assert message.flags & dns.flags.AA
    assert texts(message.answer) == [answer]
    assert not message.authority


def test_the_case_of_the_question_comes_back_octet_by_octet(zones: Zones) -> None:
    query = dns.message.make_query("bLoG.ExAmPlE.CoM", "A").to_wire()
    assert answered(zones, query, is_datagram=True).wire[12:].startswith(query[12:])


def test_a_name_of_255_octets_is_read(zones: Zones) -> None:
    longest = (b"\x3f" + b"x" * 63) * 3 + b"\x3d" + b"x" * 61 + b"\0\0\1\0\1"
    assert answered(zones, _counted(longest), is_datagram=True).rcode == Rcode.REFUSED


def test_addresses_come_in_any_order(zones: Zones) -> None:
    values = tuple(f"192.0.2.{number}" for number in range(5))
    present(zones["example.com"]).load([RRset("several.example.com", RecordType.A, 60, values)])
    query = dns.message.make_query("several.example.com", "A").to_wire()
    answers = {answered(zones, query, is_datagram=True).wire for _ in range(50)}
    assert len(answers) > 10
    found = {frozenset(map(str, dns.message.from_wire(each).answer[0])) for each in answers}
    assert found == {frozenset(values)}


def test_the_publisher_would_read_what_is_served(zones: Zones, contents: tuple[RRset, ...]) -> None:
    for rrset in contents:
        query = query_message(7, rrset.name, rrset.type)
        message = read_message(answered(zones, query, is_datagram=False).wire)
        check_answers(message, query)
        assert answered_rrset(message, "example.com", rrset.name, rrset.type) == rrset


def test_the_server_s_address_is_added_where_the_zone_has_it(asked: Callable[..., Message]) -> None:
    assert texts(asked("example.com", "NS").additional) == ["ns.example.com. 60 IN A 192.0.2.53"]
    assert not asked("sub.example.com", "NS").additional


def test_addresses_that_have_no_room_are_left_out_and_missed_by_nobody(zones: Zones) -> None:
    many = tuple(f"192.0.2.{number}" for number in range(40))
    present(zones["example.com"]).load([RRset("ns.example.com", RecordType.A, 60, many)])
    query = dns.message.make_query("example.com", "NS")
    for is_datagram, count in ((True, 0), (False, 40)):
        message = exchange(zones, query, is_datagram=is_datagram)
        assert len(texts(message.additional)) == count
        assert message.answer
        assert not message.flags & dns.flags.TC


def test_any_is_answered_with_one_rrset(asked: Callable[..., Message]) -> None:  # RFC 8482
    assert texts(asked("blog.example.com", "ANY").answer) == ["blog.example.com. 60 IN A 192.0.2.1"]
    assert asked("none.example.com", "ANY").rcode() == Rcode.NXDOMAIN


@pytest.mark.parametrize(
    ("name", "rdtype", "rcode"),
    [
        ("blog.example.com", "TXT", Rcode.NOERROR),
        ("blog.example.com", "TYPE65", Rcode.NOERROR),
        ("below.example.com", "A", Rcode.NOERROR),  # an empty non-terminal
        ("below.example.com", "ANY", Rcode.NOERROR),
        ("none.example.com", "A", Rcode.NXDOMAIN),
        ("x.blog.example.com", "A", Rcode.NXDOMAIN),
        (r"blog\.example.com.example.com", "A", Rcode.NXDOMAIN),
        (r"\000\255.example.com", "A", Rcode.NXDOMAIN),
    ],
)
def test_no_data_and_no_name(asked: Callable[..., Message], name: str, rdtype: str, rcode: Rcode) -> None:
    message = asked(name, rdtype)
    assert message.rcode() == rcode
    assert message.flags & dns.flags.AA
    assert not message.answer
    [soa] = message.authority
    assert (str(soa.name), soa.ttl) == ("example.com.", 30)  # RFC 2308: not the SOA's own 3600


@pytest.mark.parametrize("name", ["example.net", "com", ".", "badexample.com", r"blog\.example.com"])
def test_refused_outside_the_zones(asked: Callable[..., Message], name: str) -> None:
    message = asked(name, use_edns=0)
    assert message.rcode() == Rcode.REFUSED
    assert not message.flags & dns.flags.AA
    assert [error.code for error in message.extended_errors()] == [EDECode.NOT_AUTHORITATIVE]


def test_a_zone_that_is_not_loaded_fails_instead_of_denying(asked: Callable[..., Message]) -> None:
    message = asked("a.loading.example.com", use_edns=0)
    assert message.rcode() == Rcode.SERVFAIL
    assert [error.code for error in message.extended_errors()] == [EDECode.NOT_READY]


def test_other_classes_transfers_and_meta_types(asked: Callable[..., Message]) -> None:
    assert asked("blog.example.com", rdclass=dns.rdataclass.CH).rcode() == Rcode.REFUSED
    assert asked("example.com", "AXFR", is_datagram=False).rcode() == Rcode.REFUSED
    assert asked("example.com", "MAILB").rcode() == Rcode.NOTIMP


def test_incremental_transfers_are_refused_too(
    zones: Zones,
) -> None:  # RFC 1995 §3: with the client's own SOA
    query = dns.message.make_query("example.com", "IXFR")
    soa = "ns.example.com. hostmaster.example.com. 1 3600 600 604800 60"
    query.authority.append(dns.rrset.from_text("example.com.", 0, "IN", "SOA", soa))
    assert exchange(zones, query, is_datagram=False).rcode() == Rcode.REFUSED


def test_what_is_copied_from_the_query(zones: Zones) -> None:
    query = dns.message.make_query("blog.example.com", "A", want_dnssec=True)
    query.flags |= dns.flags.CD | dns.flags.AD
    message = exchange(zones, query)
    assert message.flags == dns.flags.QR | dns.flags.AA | dns.flags.RD | dns.flags.CD
    assert (message.edns, message.ednsflags, message.payload) == (0, dns.flags.DO, 1232)


def test_edns_only_for_who_speaks_it(asked: Callable[..., Message]) -> None:
    assert asked("blog.example.com", use_edns=False).edns == -1
    newer = asked("blog.example.com", use_edns=1)
    assert (newer.rcode(), newer.edns) == (Rcode.BADVERS, 0)
    assert not newer.answer


@pytest.mark.parametrize(
    ("payload", "size"), [(None, 512), (0, 512), (511, 512), (600, 600), (1232, 1232), (65535, 1232)]
)
def test_truncation_where_the_client_or_the_path_ends(zones: Zones, payload: int | None, size: int) -> None:
    name = "large.example.com"
    for octets in (size, size + 1):
        query = dns.message.make_query(name, "TXT", use_edns=payload is not None, payload=payload or 0)
        overhead = 12 + len(name) + 2 + 4 + (2 + 10 + 1) + (11 if payload is not None else 0)
        # strings of up to 255 octets, each with an octet for its length
        present(zones["example.com"]).load([RRset(name, RecordType.TXT, 60, (_text(octets - overhead + 1),))])
        wire = answered(zones, query.to_wire(), is_datagram=True).wire
        message = dns.message.from_wire(wire)
        fits = octets <= size
        assert bool(message.flags & dns.flags.TC) != fits
        assert bool(message.answer) == fits
        assert not fits or len(wire) == size
        assert exchange(zones, query, is_datagram=False).answer


def _text(octets: int) -> str:
    """Return a text whose rdata has this many octets."""
    return "x" * (octets - (octets + 255) // 256)


@pytest.mark.parametrize("opcode", [dns.opcode.UPDATE, dns.opcode.NOTIFY, dns.opcode.STATUS, 15])
def test_nobody_outside_can_do_more_than_ask(zones: Zones, opcode: Opcode | int) -> None:
    wire = bytearray(QUERY)
    wire[2] |= opcode << 3
    response = answered(zones, bytes(wire), is_datagram=True)
    assert response.rcode == Rcode.NOTIMP
    assert response.wire[:4] == bytes([wire[0], wire[1], wire[2] | 0x80, Rcode.NOTIMP])


def test_a_signed_query_is_told_that_its_key_is_unknown(zones: Zones) -> None:
    query = dns.message.make_query("blog.example.com", "A")
    query.use_tsig(dns.tsigkeyring.from_text({"key.": "c2VjcmV0"}))
    assert answered(zones, query.to_wire(), is_datagram=False).rcode == Rcode.NOTAUTH


def test_no_more_is_read_than_a_query_may_have(zones: Zones) -> None:
    for padding, rcode in ((MAX_QUERY - 60, Rcode.NOERROR), (MAX_QUERY, Rcode.FORMERR)):
        option = dns.edns.GenericOption(dns.edns.OptionType.PADDING, bytes(padding))
        query = dns.message.make_query("blog.example.com", "A", options=[option])
        wire = query.to_wire(max_size=65535)
        assert answered(zones, wire, is_datagram=False).rcode == rcode


SILENT = {
    "nothing": b"",
    "half a header": QUERY[:11],
    "a response": QUERY[:2] + b"\x81" + QUERY[3:],
}


@pytest.mark.parametrize("wire", SILENT.values(), ids=SILENT)
def test_no_answer_to_what_is_no_query(zones: Zones, wire: bytes) -> None:
    assert respond(zones, wire, is_datagram=True) is None


def _counted(
    rest: bytes, questions: int = 1, answers: int = 0, authorities: int = 0, additionals: int = 0
) -> bytes:
    """Return the query's header with these counts, and the rest as it is."""
    return QUERY[:4] + struct.pack("!4H", questions, answers, authorities, additionals) + rest


QUESTION = QUERY[12:]
MALFORMED = {
    "a header alone": QUERY[:12],
    "half a question": QUERY[:-1],
    "more than a question": QUERY + b"\0",
    "no question": _counted(QUESTION, questions=0),
    "two questions": _counted(QUESTION * 2, questions=2),
    "an answer": _counted(QUESTION + b"\xc0\x0c\0\1\0\1" + bytes(6), answers=1),
    "huge counts": _counted(QUESTION, 65535, 65535, 65535, 65535),
    "a name that points at itself": _counted(b"\xc0\x0c\0\1\0\1"),
    "a name that points into the header": _counted(b"\xc0\x04\0\1\0\1"),  # where a 0 is: the root
    "a name of 256 octets": _counted((b"\x3f" + b"x" * 63) * 3 + b"\x3e" + b"x" * 62 + b"\0\0\1\0\1"),
    "an unknown kind of label": _counted(b"\x40" + QUESTION[1:]),
    "two OPT records": _counted(QUESTION + OPT * 2, additionals=2),
    "OPT as authority": _counted(QUESTION + OPT, authorities=1),
    "OPT with a name": _counted(QUESTION + b"\1x" + OPT, additionals=1),
    "half an option": _counted(QUESTION + OPT[:-1] + b"\3" + bytes(3), additionals=1),
}


@pytest.mark.parametrize("wire", MALFORMED.values(), ids=MALFORMED)
def test_what_cannot_be_read_is_a_format_error(zones: Zones, wire: bytes) -> None:
    response = answered(zones, wire, is_datagram=False)
    assert response.rcode == Rcode.FORMERR
    assert response.wire[:2] == wire[:2]
