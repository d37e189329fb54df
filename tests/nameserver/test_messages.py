"""Messages, values and signatures, judged by dnspython's own."""

import ipaddress
import struct
import time
from contextlib import nullcontext
from ipaddress import IPv4Address, IPv6Address

import dns.message
import dns.rdatatype
import dns.rrset
import dns.tsig
import dns.update
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.strategies._internal.core import DataObject

from ddnsd.model.addresses import InvalidAddressError, parse_address
from ddnsd.nameserver.interface import Absent, Exists, RecordType, Replace, RRset, Update
from ddnsd.nameserver.rfc2136 import Rfc2136Settings
from ddnsd.nameserver.rfc2136.client import ZoneAssembly
from ddnsd.nameserver.rfc2136.tsig import SignatureError, Signer, UnsignedError
from ddnsd.nameserver.wire import (
    CODES,
    MalformedMessageError,
    Record,
    answered_rrset,
    decode,
    encode,
    query_message,
    read_message,
    update_message,
)
from tests.narrow import present

A, AAAA, TXT, SOA = RecordType.A, RecordType.AAAA, RecordType.TXT, RecordType.SOA
SETTINGS = Rfc2136Settings("ns", "127.0.0.1", 53, "key", "hmac-sha256", b"k" * 32)
KEY = dns.tsig.Key("key", b"k" * 32, "hmac-sha256")


def records(*lines: str, authority: tuple[str, ...] = (), flags: str = "QR AA") -> bytes:
    """Return an answer as dnspython writes it; a line is `name ttl type value`, below example.com."""
    text = [f"flags {flags}", ";QUESTION", "example.com. IN AXFR", ";ANSWER"]
    text += [_absolute(line) for line in lines] + [";AUTHORITY"] + [_absolute(line) for line in authority]
    return dns.message.from_text("\n".join(text), one_rr_per_rrset=True).to_wire()


def _absolute(line: str) -> str:
    name, ttl, type, value = line.split(maxsplit=3)
    owner = "example.com." if name == "@" else f"{name}.example.com."
    return f"{owner} {ttl} IN {type} {value.replace('@', 'example.com.')}"


def test_an_update_is_what_dnspython_would_send() -> None:
    ours = update_message(
        7,
        Update(
            "example.com",
            (Exists("_ddnsd.example.com", TXT, ("ddnsd1 epoch=1",)), Absent("example.com", AAAA)),
            (
                Replace("a.b.example.com", A, 60, ("192.0.2.1", "192.0.2.2")),
                Replace("example.com", AAAA, 60, ("2001:db8::1",)),
                Replace("gone.example.com", A, 0, ()),
                Replace("other.example", TXT, 60, ("outside",)),
            ),
        ),
    )
    theirs = dns.update.UpdateMessage("example.com", id=7)
    theirs.present("_ddnsd", "TXT", '"ddnsd1 epoch=1"')
    theirs.absent("example.com.", "AAAA")
    theirs.replace("a.b", 60, "A", "192.0.2.1", "192.0.2.2")
    theirs.replace("example.com.", 60, "AAAA", "2001:db8::1")
    theirs.delete("gone", "A")
    theirs.replace("other.example.", 60, "TXT", "outside")
    assert dns.message.from_wire(ours).to_text() == dns.message.from_wire(theirs.to_wire()).to_text()


def test_a_query_is_for_one_rrset_without_recursion() -> None:
    query = dns.message.from_wire(query_message(7, "blog.example.com", AAAA))
    assert query.to_text() == dns.message.make_query("blog.example.com", "AAAA", id=7, flags=0).to_text()


@pytest.mark.parametrize("name", ["a..example.com", f"{'x' * 64}.example.com", f"{'x.' * 200}example.net"])
def test_a_name_that_cannot_be_is_not_sent(name: str) -> None:
    with pytest.raises(ValueError, match="not a domain name"):
        update_message(7, Update("example.com", (), (Replace(name, A, 60, ("192.0.2.1",)),)))


@pytest.mark.parametrize(
    ("type", "value"), [(A, "192.0.2"), (AAAA, "192.0.2.1"), (TXT, "x" * 256), (TXT, "é"), (SOA, "x")]
)
def test_a_value_that_cannot_be_is_not_sent(type: RecordType, value: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  # each has its own reason
        encode(type, value)


def _decoded(type: RecordType, rdata: bytes) -> str:
    return decode(rdata, Record("a.example.com", CODES[type], 1, 60, 0, len(rdata)))


@given(st.one_of(st.integers(0, 2**32 - 1).map(ipaddress.IPv4Address), st.ip_addresses(v=6)))
@example(ipaddress.IPv6Address("::102:304"))
def test_addresses_have_the_text_of_the_model(address: IPv4Address | IPv6Address) -> None:
    try:
        expected = parse_address(str(address))
    except InvalidAddressError:
        return
    if getattr(address, "ipv4_mapped", None) is None:
        type = RecordType[expected.family.value]
        assert _decoded(type, address.packed) == expected.ip
        assert encode(type, expected.ip) == address.packed


@given(st.lists(st.binary(max_size=255), min_size=1, max_size=4))
@example([b"ddnsd1 installation=x"])
@example([b"", b""])
def test_any_txt_is_written_as_it_was_read(strings: list[bytes]) -> None:
    rdata = b"".join(bytes((len(each),)) + each for each in strings)
    assert encode(TXT, _decoded(TXT, rdata)) == rdata


def test_one_plain_string_is_its_own_text() -> None:
    assert encode(TXT, "ddnsd1 epoch=1") == b"\x0eddnsd1 epoch=1"
    assert _decoded(TXT, b"\x0eddnsd1 epoch=1") == "ddnsd1 epoch=1"


def test_an_answer_gives_the_rrset() -> None:
    lines = ("blog 60 A 192.0.2.2", "blog 60 A 192.0.2.1", "blog 60 AAAA 2001:db8::1")
    found = answered_rrset(read_message(records(*lines)), "example.com", "blog.example.com", A)
    assert found == RRset("blog.example.com", A, 60, ("192.0.2.1", "192.0.2.2"))


@pytest.mark.parametrize(
    "wire",
    [
        records(),
        records("blog 60 A 192.0.2.1", flags="QR"),
        records("blog 60 CNAME target.@", "target 60 A 192.0.2.1"),
        records("blog 60 A 192.0.2.1", authority=("blog 60 NS ns.@",)),
    ],
    ids=["empty", "not authoritative", "alias", "zone below"],
)
def test_what_is_not_the_zones_own_is_none(wire: bytes) -> None:
    assert answered_rrset(read_message(wire), "example.com", "blog.example.com", A) is None


def test_names_are_read_in_lower_case_with_escapes() -> None:
    wire = records("BLOG 60 A 192.0.2.1", r"a\.b\032c 60 A 192.0.2.1")
    assert [record.name for record in read_message(wire).answers] == [
        "blog.example.com",
        r"a\046b\032c.example.com",  # no text of one label ends with the name of a zone
    ]


@given(st.binary(max_size=200))
def test_any_octets_are_a_message_or_malformed(octets: bytes) -> None:
    _read_all(octets)
    _read_all(struct.pack("!HHHHHH", 1, 0x8400, 1, 3, 1, 1) + octets)


@given(st.data())
def test_a_damaged_message_is_read_or_malformed(data: DataObject) -> None:
    wire = bytearray(records("blog 60 A 192.0.2.1", "blog 60 TXT x", "@ 60 SOA ns.@ host.@ 1 2 3 4 5"))
    for _ in range(data.draw(st.integers(1, 5))):
        wire[data.draw(st.integers(0, len(wire) - 1))] = data.draw(st.integers(0, 255))
    _read_all(bytes(wire[: data.draw(st.integers(0, len(wire)))]))


def _read_all(wire: bytes) -> None:
    """Read a message with all its values; nothing but `MalformedMessageError` may come of it."""
    try:
        message = read_message(wire)
        ZoneAssembly("example.com").add(message, message.answers)
        for type in RecordType:
            answered_rrset(message, "example.com", "blog.example.com", type)
    except MalformedMessageError:
        pass


def test_a_name_that_points_at_itself_is_malformed() -> None:
    with pytest.raises(MalformedMessageError):
        read_message(struct.pack("!HHHHHH", 1, 0x8400, 1, 0, 0, 0) + b"\xc0\x0c" + bytes(4))


def test_a_name_points_to_one_before_it() -> None:
    # A record with the name at 30, which is the one in its own rdata; then one that points there too.
    record = b"\xc0\x1e" + struct.pack("!HHIH", 99, 1, 0, 3) + b"\1x\0"
    again = b"\xc0\x1d" + struct.pack("!HHIH", 99, 1, 0, 0)
    header = struct.pack("!HHHHHH", 1, 0x8400, 1, 1, 0, 0)
    with pytest.raises(MalformedMessageError, match="before"):
        read_message(header + bytes(5) + record)
    root = b"\0" + record[2:]
    message = read_message(
        struct.pack("!HHHHHH", 1, 0x8400, 1, 2, 0, 0) + bytes(5) + root + b"\xc0\x1c" + again[2:]
    )
    assert [each.name for each in message.answers] == ["", "x"]


def test_many_names_of_many_pointers_cost_little() -> None:
    pointers = b"".join(struct.pack("!H", 0xC000 | target) for target in (12, *range(28, 274, 2)))
    first = b"\0" + struct.pack("!HHIH", 99, 1, 0, len(pointers)) + pointers
    others = struct.pack("!HHHIH", 0xC000 | 274, 99, 1, 0, 0) * 5000
    start = time.process_time()
    message = read_message(struct.pack("!HHHHHH", 1, 0x8400, 1, 5001, 0, 0) + bytes(5) + first + others)
    assert time.process_time() - start < 0.2
    assert {each.name for each in message.answers} == {""}


@pytest.mark.parametrize(("last", "is_read"), [(61, True), (62, False)])
def test_a_name_has_255_octets_at_most(last: int, is_read: bool) -> None:
    labels = (b"\x3f" + b"\xff" * 63) * 3 + bytes((last,)) + b"." * last  # escaped, the text is longer
    with nullcontext() if is_read else pytest.raises(MalformedMessageError, match="too long"):
        read_message(struct.pack("!HHHHHH", 1, 0x8400, 1, 0, 0, 0) + labels + bytes(5))


def test_a_name_of_endless_labels_costs_little() -> None:
    header = struct.pack("!HHHHHH", 1, 0x8400, 1, 0, 0, 0)
    for start in range(20):  # the best of several: something else may have the processor
        labels = bytes((1, start)) * 32000  # one octet each, to be escaped
        began = time.perf_counter()
        with pytest.raises(MalformedMessageError, match="too long"):
            read_message(header + labels + bytes(5))
        if time.perf_counter() - began < 0.005:
            return
    pytest.fail("a name that is refused costs as much as all of its labels")


def test_a_name_of_endless_pointers_is_malformed() -> None:
    # The rdata of the first record are pointers, each to the one before; the second's name is the last.
    pointers = b"".join(struct.pack("!H", 0xC000 | target) for target in (12, *range(28, 8026, 2)))
    first = b"\0" + struct.pack("!HHIH", 99, 1, 0, len(pointers)) + pointers
    second = struct.pack("!HHHIH", 0xC000 | 8026, 99, 1, 0, 0)
    with pytest.raises(MalformedMessageError, match="too many pointers"):
        read_message(struct.pack("!HHHHHH", 1, 0x8400, 1, 2, 0, 0) + bytes(5) + first + second)


def assemble(*messages: bytes) -> tuple[list[RRset], bool]:
    assembly = ZoneAssembly("example.com")
    read = [read_message(message) for message in messages]
    return [rrset for each in read for rrset in assembly.add(each, each.answers)], assembly.is_complete


BORDER = "@ 60 SOA ns.@ host.@ 1 2 3 4 5"


def test_a_transfer_becomes_rrsets_across_messages() -> None:
    rrsets, is_complete = assemble(
        records(BORDER, "@ 60 NS ns.@", "a 60 A 192.0.2.2"),
        records("a 60 AAAA 2001:db8::1", "a 60 A 192.0.2.1"),
        records("b 30 A 192.0.2.3", "b 30 MX 5 a.@"),
        records("c 30 HINFO x y", BORDER),
    )
    assert is_complete
    assert rrsets == [
        RRset("example.com", SOA, 60, ("ns.example.com. host.example.com. 1 2 3 4 5",)),
        RRset("a.example.com", A, 60, ("192.0.2.1", "192.0.2.2")),
        RRset("a.example.com", AAAA, 60, ("2001:db8::1",)),
        RRset("b.example.com", A, 30, ("192.0.2.3",)),
    ]


def test_a_transfer_without_its_end_is_not_complete() -> None:
    assert assemble(records(BORDER, "a 60 A 192.0.2.2")) == (
        [RRset("example.com", SOA, 60, ("ns.example.com. host.example.com. 1 2 3 4 5",))],
        False,
    )


@pytest.mark.parametrize(
    "lines",
    [
        ("a 60 A 192.0.2.2", BORDER),
        ("@ 60 NS ns.@", BORDER),
        (BORDER, BORDER, "a 60 A 192.0.2.2"),
        (BORDER, "a 60 SOA ns.@ host.@ 1 2 3 4 5"),
    ],
    ids=["no soa", "soa not first", "goes on", "another soa"],
)
def test_what_is_no_transfer_is_malformed(lines: tuple[str, ...]) -> None:
    with pytest.raises(MalformedMessageError):
        assemble(records(*lines))


def test_a_signed_request_is_valid_for_dnspython() -> None:
    wire, _ = Signer(SETTINGS).sign(query_message(7, "example.com", SOA))
    message = dns.message.from_wire(wire, keyring=KEY)
    assert message.had_tsig
    assert message.id == 7


def answers_to(request: bytes, count: int) -> list[bytes]:
    """Return answers as a nameserver signs a transfer of as many messages."""
    query, context, wires = dns.message.from_wire(request, keyring=KEY), None, []
    for _ in range(count):
        answer = dns.message.make_response(query)
        wires.append(answer.to_wire(multi=count > 1, tsig_ctx=context))
        context = answer.tsig_ctx
    return wires


def test_the_answer_to_this_request_is_accepted_and_to_no_other() -> None:
    signer, request = Signer(SETTINGS), query_message(7, "example.com", SOA)
    wire, verifier = signer.sign(request)
    [answer] = answers_to(wire, 1)
    verifier.check(read_message(answer))
    _, other = signer.sign(query_message(8, "example.com", SOA))
    with pytest.raises(SignatureError, match="a bad signature"):
        other.check(read_message(answer))
    damaged = answer[:2] + bytes((answer[2] ^ 4,)) + answer[3:]
    with pytest.raises(SignatureError, match="a bad signature"):
        signer.sign(request)[1].check(read_message(damaged))


def test_a_transfer_is_signed_from_end_to_end() -> None:
    signed, verifier = Signer(SETTINGS).sign(query_message(7, "example.com", SOA), several=True)
    for answer in answers_to(signed, 4):
        verifier.check(read_message(answer))
    assert verifier.is_complete


def test_a_signature_holds_for_the_unsigned_messages_before_it() -> None:
    request = query_message(7, "example.com", SOA)
    query = dns.message.from_wire(Signer(SETTINGS).sign(request)[0], keyring=KEY)
    first, last = dns.message.make_response(query), dns.message.make_response(query)
    unsigned = records(BORDER)
    beginning = first.to_wire(multi=True)
    present(first.tsig_ctx).update(unsigned)
    end = last.to_wire(multi=True, tsig_ctx=first.tsig_ctx)
    for between, is_valid in ((unsigned, True), (records("@ 60 NS ns.@"), False)):
        _, verifier = Signer(SETTINGS).sign(request, several=True)
        verifier.check(read_message(beginning))
        verifier.check(read_message(between))
        with nullcontext() if is_valid else pytest.raises(SignatureError, match="a bad signature"):
            verifier.check(read_message(end))


def test_a_transfer_begins_and_ends_signed() -> None:
    signed, verifier = Signer(SETTINGS).sign(query_message(7, "example.com", SOA), several=True)
    first, *_ = answers_to(signed, 2)
    unsigned = read_message(records(BORDER))
    with pytest.raises(UnsignedError):
        verifier.check(unsigned)
    verifier.check(read_message(first))
    for _ in range(99):
        verifier.check(unsigned)
    assert not verifier.is_complete
    with pytest.raises(UnsignedError):
        verifier.check(unsigned)


def test_what_the_nameserver_says_of_our_key_is_told() -> None:
    signed, verifier = Signer(SETTINGS).sign(query_message(7, "example.com", SOA))
    answer = dns.message.make_response(dns.message.from_wire(signed, keyring=KEY), tsig_error=17)
    with pytest.raises(UnsignedError, match="PeerBadKey"):
        verifier.check(read_message(answer.to_wire()))
