"""What strangers get of the embedded nameserver, where they may be forged, or too many."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any

import dns.edns
import dns.flags
import dns.message
import pytest
from dns.rcode import Rcode

from ddnsd.nameserver.embedded import Authority, EmbeddedNameserver, EmbeddedSettings
from ddnsd.nameserver.embedded.answer import LIMITED, Peer, Policy, respond
from ddnsd.nameserver.embedded.cookies import Cookies
from ddnsd.nameserver.embedded.ratelimit import ResponseRates, Verdict
from ddnsd.nameserver.embedded.zone import Zone
from ddnsd.nameserver.interface import RecordType, Replace, RRset, Update
from tests.nameserver.embedded.test_embedded_stream import connected, ended, framed, receive

VICTIM = "198.51.100.7"
FENCE = RRset("_ddnsd.example.com", RecordType.TXT, 0, ("v=1 installation " + "x" * 90,))


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def verdicts(
    rates: ResponseRates, count: int, source: str = VICTIM, answer: object = "a"
) -> Counter[Verdict]:
    return Counter(rates.verdict(source, answer) for _ in range(count))


def test_one_network_gets_one_answer_so_often(clock: Clock) -> None:
    rates = ResponseRates(10, slip=2, clock=clock)
    assert verdicts(rates, 110) == {Verdict.SEND: 10, Verdict.DROP: 50, Verdict.SLIP: 50}
    assert verdicts(rates, 1, "198.51.100.200") == {Verdict.DROP: 1}, "the same /24"
    assert verdicts(rates, 5, "198.51.101.7") == {Verdict.SEND: 5}, "another one"
    assert verdicts(rates, 5, answer="b") == {Verdict.SEND: 5}, "another answer"
    clock.now += 0.5
    assert verdicts(rates, 10)[Verdict.SEND] == 5


@pytest.mark.parametrize(
    ("other", "verdict"), [("2001:db8:0:ff::1", Verdict.DROP), ("2001:db8:0:100::1", Verdict.SEND)]
)
def test_of_ipv6_a_56_is_one_network(clock: Clock, other: str, verdict: Verdict) -> None:
    rates = ResponseRates(1, slip=0, clock=clock)
    assert verdicts(rates, 2, "2001:db8::1") == {Verdict.SEND: 1, Verdict.DROP: 1}
    assert rates.verdict(other, "a") is verdict


def test_nothing_is_limited_at_0_nor_for_this_machine(clock: Clock) -> None:
    assert verdicts(ResponseRates(0, clock=clock), 100) == {Verdict.SEND: 100}
    assert verdicts(ResponseRates(1, clock=clock), 100, "127.0.0.1") == {Verdict.SEND: 100}
    assert verdicts(ResponseRates(1, clock=clock), 100, "::1") == {Verdict.SEND: 100}


def test_memory_is_bounded(clock: Clock) -> None:
    rates = ResponseRates(1, clock=clock, kept=100)
    for number in range(1000):
        rates.verdict(VICTIM, number)
    assert rates.verdict(VICTIM, 999) is not Verdict.SEND
    assert rates.verdict(VICTIM, 0) is Verdict.SEND, "forgotten long ago"


@pytest.fixture
def zone() -> Zone:
    many = RRset("many.example.com", RecordType.TXT, 60, tuple(f"{number:0100}" for number in range(8)))
    hosts = [RRset("*.home.example.com", RecordType.A, 60, ("192.0.2.1",)), many, FENCE]
    return Zone("example.com", Authority(), 1).load(hosts)


@pytest.fixture
def policy(clock: Clock) -> Policy:
    return Policy(cookies=Cookies(clock=clock), rates=ResponseRates(5, clock=clock))


def names() -> Iterator[tuple[str, str]]:
    """Yield what an attacker may ask to get ever the same answer under other names."""
    yield from ((f"x{number}.home.example.com", "A") for number in range(1000))


@pytest.mark.parametrize(
    "queries",
    [
        [("many.example.com", "TXT")] * 1000,
        [*names()],
        [(f"x{number}.example.com", "A") for number in range(1000)],
        [(f"x{number}.example.org", "A") for number in range(1000)],
    ],
    ids=["one name", "below a wildcard", "no such names", "no such zones"],
)
def test_a_victim_gets_fewer_octets_than_were_sent(zone: Zone, policy: Policy, queries: list[Any]) -> None:
    sent = received = 0
    truncated = 0
    for name, rdtype in queries:
        wire = dns.message.make_query(name, rdtype, use_edns=0, payload=4096).to_wire()
        response = respond({"example.com": zone}, wire, Peer(VICTIM), policy, is_datagram=True)
        assert response is not None
        sent += len(wire)
        received += len(response.wire)
        if response.wire and response.wire[2] & 2:
            truncated += 1
            assert len(response.wire) <= len(wire)
    assert received < sent * 0.7
    assert 400 < truncated < 600, "who is really there asks again on TCP"


def test_who_has_a_cookie_or_asks_on_tcp_is_not_limited(zone: Zone, policy: Policy) -> None:
    zones, peer = {"example.com": zone}, Peer(VICTIM)
    client = dns.edns.GenericOption(dns.edns.OptionType.COOKIE, b"12345678")
    query = dns.message.make_query("many.example.com", "TXT", use_edns=0, options=[client], payload=4096)
    first = respond(zones, query.to_wire(), peer, policy, is_datagram=True)
    assert first is not None
    (cookie,) = (each.to_wire() for each in dns.message.from_wire(first.wire).options)
    for _ in range(100):
        respond(zones, query.to_wire(), peer, policy, is_datagram=True)
    known = dns.message.make_query(
        "many.example.com",
        "TXT",
        use_edns=0,
        options=[dns.edns.GenericOption(dns.edns.OptionType.COOKIE, cookie)],
        payload=4096,
    )
    responses = {
        "with a cookie": respond(zones, known.to_wire(), peer, policy, is_datagram=True),
        "on TCP": respond(zones, query.to_wire(), peer, policy, is_datagram=False),
    }
    for how, response in responses.items():
        assert response is not None
        assert len(response.wire) > 800, how
    forged = respond(zones, known.to_wire(), Peer("198.51.100.8"), policy, is_datagram=True)
    assert forged is not None
    assert len(forged.wire) < 100, "another address has another cookie"


def test_malformed_messages_are_limited_too(zone: Zone, policy: Policy) -> None:
    broken = dns.message.make_query("a.example.com", "A").to_wire()[:-1]
    answers = [respond({}, broken, Peer(VICTIM), policy, is_datagram=True) for _ in range(100)]
    assert sum(answer is LIMITED for answer in answers) >= 45, "every second one is a header alone"


def test_the_fence_is_not_shown_to_strangers(zone: Zone) -> None:
    wire = dns.message.make_query("_ddnsd.EXAMPLE.com", "TXT").to_wire()

    def ask(hidden: str) -> dns.message.Message:
        policy = Policy(hidden=lambda zone: f"{hidden}.{zone}" if hidden else "")
        response = respond({"example.com": zone}, wire, policy=policy, is_datagram=False)
        assert response is not None
        return dns.message.from_wire(response.wire)

    assert (ask("_ddnsd").rcode(), ask("_ddnsd").answer) == (Rcode.NXDOMAIN, [])
    assert ask("").answer
    assert ask("_other").answer


async def test_the_publisher_sees_the_fence_and_asserts_it(settings: EmbeddedSettings) -> None:
    server = await EmbeddedNameserver.start(settings, ["example.com"], lambda zone: f"_ddnsd.{zone}")
    await server.open("example.com", [FENCE])
    assert await server.query("example.com", FENCE.name, RecordType.TXT) == FENCE
    async with connected(server) as (reader, writer):
        writer.write(framed("_ddnsd.example.com", "TXT"))
        assert (await receive(reader)).rcode() == Rcode.NXDOMAIN
    change = Replace("a.example.com", RecordType.A, 60, ("192.0.2.1",))
    assert (await server.update(Update("example.com", (), (change,)))).value == "NOERROR"
    await server.close()


async def test_one_source_displaces_only_its_own_connections(settings: EmbeddedSettings) -> None:
    few = replace(settings, listen=(("0.0.0.0", 0),), tcp_connections=40, tcp_connections_per_source=8)
    server = await EmbeddedNameserver.start(few, ["example.com"])
    await server.open("example.com", [])
    async with AsyncExitStack() as stack:
        others = [
            await stack.enter_async_context(connected(server, local_addr=(f"127.0.1.{number}", 0)))
            for number in range(10)
        ]
        attackers = [
            await stack.enter_async_context(connected(server, local_addr=("127.0.0.66", 0)))
            for _ in range(300)
        ]
        assert await asyncio.gather(*(ended(reader) for reader, _ in attackers[:-8])) == [True] * 292
        for reader, writer in others:
            writer.write(framed("example.com", "SOA"))
            assert (await receive(reader)).answer, "300 connections of another source have cost it nothing"
    await server.close()


async def test_many_sources_displace_those_that_have_most(settings: EmbeddedSettings) -> None:
    few = replace(settings, listen=(("0.0.0.0", 0),), tcp_connections=12, tcp_connections_per_source=8)
    server = await EmbeddedNameserver.start(few, ["example.com"])
    await server.open("example.com", [])
    async with AsyncExitStack() as stack:

        async def connect(source: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
            return await stack.enter_async_context(connected(server, local_addr=(source, 0)))

        single = await connect("127.0.2.1")
        greedy = [await connect("127.0.2.2") for _ in range(8)]
        for number in range(6):
            reader, writer = await connect(f"127.0.3.{number}")
            writer.write(framed("example.com", "SOA"))
            assert (await receive(reader)).answer
        assert await asyncio.gather(*(ended(reader) for reader, _ in greedy[:3])) == [True] * 3
        reader, writer = single
        writer.write(framed("example.com", "SOA"))
        assert (await receive(reader)).answer
    await server.close()
