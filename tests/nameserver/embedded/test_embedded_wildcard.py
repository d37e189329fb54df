"""Wildcards (RFC 4592), and that the embedded nameserver answers as real ones do."""

import random
from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import dns.asyncquery
import dns.flags
import dns.message
import dns.rdatatype
import pytest
from dns.message import Message
from dns.rcode import Rcode as Code
from hypothesis import given
from hypothesis import strategies as st

from ddnsd.nameserver.embedded import Authority
from ddnsd.nameserver.embedded.answer import respond
from ddnsd.nameserver.embedded.zone import Names, Zone
from ddnsd.nameserver.interface import Rcode, RecordType, Replace, RRset, Update
from ddnsd.nameserver.rfc2136 import Rfc2136Nameserver
from tests.narrow import present
from tests.rigs import NameserverRig

A, AAAA, TXT = RecordType.A, RecordType.AAAA, RecordType.TXT
NAMESERVER = RRset("ns.example.com", A, 3600, ("127.0.0.1",))
# RFC 4592 §2.2.1, with types that can be written here.
STANDARD = (
    RRset("*.example.com", TXT, 60, ("this is a wildcard",)),
    RRset("*.example.com", A, 60, ("192.0.2.2",)),
    RRset("sub.*.example.com", TXT, 60, ("this is not a wildcard",)),
    RRset("host1.example.com", A, 60, ("192.0.2.1",)),
    RRset("_ssh._tcp.host1.example.com", TXT, 60, ("22",)),
    RRset("_ssh._tcp.host2.example.com", TXT, 60, ("22",)),
)


def ask(zone: Zone, name: str, type: str) -> Message:
    wire = dns.message.make_query(name, type).to_wire()
    return dns.message.from_wire(present(respond({zone.name: zone}, wire, is_datagram=True)).wire)


@pytest.mark.parametrize(
    ("name", "type", "values"),
    [
        ("host3.example.com", "A", ["192.0.2.2"]),
        ("foo.bar.example.com", "TXT", ['"this is a wildcard"']),
        ("FOO.example.com", "TXT", ['"this is a wildcard"']),
        (r"a\.b.example.com", "A", ["192.0.2.2"]),
        ("_acme-challenge.host3.example.com", "A", ["192.0.2.2"]),
        ("foo.example.com", "ANY", ['"this is a wildcard"']),
        ("*.example.com", "A", ["192.0.2.2"]),  # asked for as it is
        ("*.example.com", "TXT", ['"this is a wildcard"']),
        ("sub.*.example.com", "TXT", ['"this is not a wildcard"']),
        ("host1.example.com", "A", ["192.0.2.1"]),
        ("host3.example.com", "AAAA", []),
        ("*.example.com", "AAAA", []),
        ("host1.example.com", "TXT", []),  # the name exists
        ("sub.*.example.com", "A", []),
        ("_tcp.host1.example.com", "A", []),  # it exists, though it has nothing
        ("host2.example.com", "A", []),
        ("host2.example.com", "ANY", []),
        ("_telnet._tcp.host1.example.com", "A", None),  # _tcp.host1 is closer, and has no wildcard
        ("www.host2.example.com", "A", None),
        ("ghost.*.example.com", "TXT", None),
    ],
)
def test_the_rfc_s_example(name: str, type: str, values: list[Any] | None) -> None:
    message = ask(Zone("example.com", Authority(), 1).load(STANDARD), name, type)
    assert message.rcode() == (Code.NXDOMAIN if values is None else Code.NOERROR)
    assert message.flags & dns.flags.AA
    assert [rdata.to_text() for rrset in message.answer for rdata in rrset] == (values or [])
    assert [rrset.name.to_text() for rrset in message.answer] == ([f"{name}."] if values else [])
    assert [rrset.rdtype.name for rrset in message.authority] == ([] if values else ["SOA"])


def test_a_wildcard_that_has_nothing_itself_hides_nothing_and_gives_nothing() -> None:
    zone = Zone("example.com", Authority(), 1).load([RRset("sub.*.example.com", TXT, 60, ("x",))])
    message = ask(zone, "host.example.com", "TXT")
    assert (message.rcode(), message.answer) == (Code.NOERROR, [])


LABELS = st.sampled_from(["a", "b", "*", "_acme-challenge"])
OWNERS = st.lists(LABELS, min_size=1, max_size=4).map(".".join)


@given(st.lists(st.tuples(st.booleans(), OWNERS), max_size=30), st.lists(OWNERS, min_size=1, max_size=10))
def test_which_names_exist_is_known_after_any_changes(
    changes: list[tuple[bool, str]], asked: list[str]
) -> None:
    names, added = Names("z"), set()
    for is_added, owner in changes:
        name = f"{owner}.z"
        if is_added and name not in added:
            names.add(name)
            added.add(name)
        elif not is_added and name in added:
            names.remove(name)
            added.remove(name)
    for name in (f"{owner}.z" for owner in asked):
        assert names.source(name) == _source(added, name)


def _source(owners: set[str], name: str) -> str | None:
    """Look through all names for the one that answers: the definitions of RFC 4592, word by word."""
    existing = {"z"} | {owner.split(".", cut)[-1] for owner in owners for cut in range(owner.count("."))}
    if name in existing:
        return name
    encloser = max((each for each in existing if name.endswith("." + each)), key=len)
    return f"*.{encloser}" if f"*.{encloser}" in existing else None


ROUNDS, ASKED = 25, 25


@pytest.fixture
async def real(nameserver_rig: NameserverRig) -> AsyncIterator[Rfc2136Nameserver]:
    adapter = Rfc2136Nameserver(nameserver_rig.settings)
    yield adapter
    await adapter.close()


async def test_it_answers_as_real_nameservers_do(
    real: Rfc2136Nameserver, nameserver_rig: NameserverRig
) -> None:
    """Send both the same random UPDATEs, and ask both for the same random names."""
    chance, seen = random.Random(4592), set()
    ours = Zone("example.com", Authority(), 1).load([NAMESERVER])
    for serial in range(ROUNDS):
        update = Update("example.com", (), _changes(chance))
        assert await real.update(update) is Rcode.NOERROR
        assert ours.apply(update, partial(int, serial)) is Rcode.NOERROR
        for _ in range(ASKED):
            name, type = _owner(chance, extra="x"), chance.choice(["A", "AAAA", "TXT", "MX"])
            query = dns.message.make_query(name, type, flags=0)
            answer = await dns.asyncquery.tcp(query, nameserver_rig.address, 5, nameserver_rig.port)
            expected = _gist(answer)
            assert _gist(ask(ours, name, type)) == expected, (name, type, list(ours.rrsets(1000)))
            seen.add((expected[0], bool(expected[1])))
    assert seen == {(Code.NOERROR, True), (Code.NOERROR, False), (Code.NXDOMAIN, False)}
    transferred = [rrset async for part in real.transfer("example.com") for rrset in part]
    [held] = ours.rrsets(1000)
    assert sorted(transferred[1:]) == sorted(held[1:])  # behind the SOA, which each has of its own


def _owner(chance: random.Random, extra: str = "a") -> str:
    labels = chance.choices(["a", "b", "*", "_acme-challenge", extra], k=chance.randint(1, 4))
    return ".".join([*labels, "example.com"])


def _changes(chance: random.Random) -> tuple[Replace, ...]:
    """Return changes of one UPDATE, none of an RRset twice: no leader sends such, PowerDNS mixes them up."""
    changes = (_change(chance) for _ in range(chance.randint(1, 5)))
    return tuple({(change.name, change.type): change for change in changes}.values())


def _change(chance: random.Random) -> Replace:
    type = chance.choice([A, AAAA, TXT])
    prefix = {A: "192.0.2.", AAAA: "2001:db8::", TXT: "text-"}[type]
    numbers = chance.sample(range(1, 5), chance.randint(0, 2))
    return Replace(_owner(chance), type, 60, tuple(f"{prefix}{number}" for number in sorted(numbers)))


def _gist(message: Message) -> tuple[Code, list[str], list[str]]:
    """Return the code, the records that were asked for, and what says for how long there are none."""
    answer = sorted(text for rrset in message.answer for text in rrset.to_text().splitlines())
    denial = [str(rrset.name) for rrset in message.authority if rrset.rdtype == dns.rdatatype.SOA]
    return message.rcode(), answer, denial
