"""Room for clients: who has to go when there is none, and who never has."""

import asyncio
from collections.abc import Awaitable, Callable
from ipaddress import ip_network
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ddnsd.model.ratelimit import Rate
from ddnsd.web.connections import ConnectionLimits, Connections, Rank
from ddnsd.web.http import HttpRequest, Routes
from ddnsd.web.proxy_protocol import ProxyProtocol
from tests.waiting import until
from tests.web.proxy_headers import version_1
from tests.web.public_place import Bystander, PublicPlace

NOW = b"GET /now HTTP/1.1\r\nHost: x\r\n\r\n"
LATE, NOWHERE = NOW.replace(b"now", b"late"), NOW.replace(b"now", b"nowhere")
HALF_BODY = b"POST /now HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhalf"
A, B, C = "127.0.0.2", "127.0.0.3", "127.0.0.4"

Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Place(PublicPlace):
    """Answers `/now` at once, and `/late` when told to."""

    def __init__(self, total: int, per_source: int, **more: Any) -> None:
        self.late: list[HttpRequest] = []
        routes: Routes = {"/now": {"GET": self._now, "POST": self._now}, "/late": {"GET": self.late.append}}
        super().__init__(routes, ConnectionLimits(total, per_source), **more)

    def _now(self, exchange: HttpRequest) -> None:
        exchange.reply(200, b"now")

    async def wait(self, octets: bytes, host: str = A) -> Streams:
        """Connect, send what is no whole request, and return once the connection has its place."""
        return await self._send(octets, host, lambda: len(self.connections))

    async def ask_late(self, host: str = A) -> Streams:
        """Ask for the answer that comes when told to; return once it is owed."""
        return await self._send(LATE, host, lambda: len(self.late))

    async def ask(self, host: str = A) -> Streams:
        """Ask, and take the answer."""
        reader, writer = await self.connect(host)
        writer.write(NOW)
        await answered(reader, b"now")
        return reader, writer

    async def _send(self, octets: bytes, host: str, count: Callable[[], int]) -> Streams:
        before = count()
        reader, writer = await self.connect(host)
        writer.write(octets)

        async def more() -> bool:
            return count() > before

        await until(more, 10, "the connection is in")
        return reader, writer


async def answered(reader: asyncio.StreamReader, body: bytes) -> None:
    async with asyncio.timeout(10):
        await reader.readuntil(body)


async def closed(streams: Streams) -> bool:
    """Return, once the connection is closed, whether it was without another word."""
    async with asyncio.timeout(10):
        try:
            return await streams[0].read() == b""
        except ConnectionResetError:  # what it had sent was not read any more
            return True


async def open_still(streams: Streams) -> None:
    """Have the connection answer a request."""
    streams[1].write(NOW)
    await answered(streams[0], b"now")


Begin = Callable[[Place], Awaitable[Streams]]


@pytest.mark.parametrize(
    "begin",
    [
        lambda place: place.wait(b""),
        lambda place: place.wait(NOW[:20]),
        lambda place: place.wait(HALF_BODY),
        lambda place: place.ask(),
    ],
    ids=["nothing", "half a head", "half a body", "no second request"],
)
@pytest.mark.parametrize("limits", [(3, 100), (100, 3)], ids=["in all", "of its source"])
async def test_who_has_waited_longest_makes_room(limits: tuple[int, int], begin: Begin) -> None:
    async with Place(*limits) as place:
        first = await begin(place)
        second, third = await place.ask(), await place.ask()
        fourth = await place.ask()
        assert await closed(first)
        for each in (second, third, fourth):
            await open_still(each)
        assert place.closed == ["displaced" if limits[0] == 3 else "source_displaced"]
        assert len(place.connections) == 3


@pytest.mark.parametrize("limits", [(2, 100), (100, 2)], ids=["in all", "of its source"])
async def test_who_asks_again_has_not_waited_for_long(limits: tuple[int, int]) -> None:
    async with Place(*limits) as place:
        first, second = await place.ask(), await place.ask()
        await open_still(first)
        await place.ask()
        assert await closed(second)
        await open_still(first)


@pytest.mark.parametrize("limits", [(3, 100), (100, 3)], ids=["in all", "of its source"])
async def test_who_asks_too_often_goes_before_who_waits(limits: tuple[int, int]) -> None:
    async with Place(*limits, failures=Rate(0.001, 1)) as place:
        waiting = [await place.ask(), await place.ask()]
        await open_still(waiting[0])
        too_often, writer = await place.connect(A)
        for _ in range(2):
            writer.write(NOWHERE)

        async def kept() -> bool:
            return len(place.listener.tarpit) == 1

        await until(kept, 10, "it is kept waiting")
        await place.ask()
        assert (await too_often.read()).count(b"HTTP/1.1") == 1
        for each in waiting:
            await open_still(each)
        assert len(place.listener.tarpit) == 0


async def test_nobody_at_work_is_closed_and_so_the_newest_is() -> None:
    async with Place(2, 100) as place:
        owed = [await place.ask_late(A), await place.ask_late(A)]
        assert await closed(await place.connect(B))
        assert place.closed == ["full"]
        for exchange in place.late:
            exchange.reply(200, b"late")
        for reader, _ in owed:
            await answered(reader, b"late")
        await place.ask(B)


async def test_who_is_at_work_is_passed_over_for_who_waits() -> None:
    async with Place(3, 100) as place:
        owed = await place.ask_late()
        waiting = await place.wait(b"")
        await place.ask()
        await place.ask()
        assert await closed(waiting)
        place.late[0].reply(200, b"late")
        await answered(owed[0], b"late")


async def test_one_source_displaces_its_own_alone() -> None:
    async with Place(100, 2) as place:
        others = await place.ask(B)
        mine = [await place.wait(b"", A), await place.wait(b"", A)]
        await place.ask(A)
        assert await closed(mine[0])
        await open_still(others)
        assert place.closed == ["source_displaced"]


async def test_a_source_at_work_gets_no_more_and_others_do() -> None:
    async with Place(100, 2) as place:
        for _ in range(2):
            await place.ask_late(A)
        assert await closed(await place.connect(A))
        assert place.closed == ["source_full"]
        await place.ask(B)


async def test_a_closed_connection_leaves_its_place() -> None:
    async with Place(100, 2) as place:
        for _ in range(5):
            _, writer = await place.ask(A)
            writer.close()

            async def empty() -> bool:
                return len(place.connections) == 0

            await until(empty, 10, "the place is free")
        assert place.closed == []


async def test_a_trusted_proxy_may_have_any_number() -> None:
    async with Place(100, 2, trusted=(ip_network(A),)) as place:
        many = [await place.ask(A) for _ in range(10)]
        for each in many:
            await open_still(each)
        await place.ask(B)
        await place.ask(B)
        await place.ask(B)
        assert place.closed == ["source_displaced"]


async def test_behind_a_proxy_the_headers_source_counts() -> None:
    gate = ProxyProtocol(lambda peer: peer == A, lambda _: None, 60)
    async with Place(100, 1, trusted=(ip_network(A),), proxy=gate) as place:
        streams = []
        for source in ("198.51.100.1", "198.51.100.2", "198.51.100.1"):
            reader, writer = await place.connect(A)
            writer.write(version_1(source) + NOW)
            await answered(reader, b"now")
            streams.append((reader, writer))
        assert await closed(streams[0])
        await open_still(streams[1])


async def test_who_has_shown_no_header_yet_takes_a_place_too() -> None:
    gate = ProxyProtocol(lambda peer: peer == A, lambda _: None, 60)
    async with Place(2, 2, trusted=(ip_network(A),), proxy=gate) as place:
        waiting = await place.wait(b"", B)

        async def arrive() -> None:
            before = gate.waiting
            await place.connect(A)

            async def more() -> bool:
                return gate.waiting > before

            await until(more, 10, "it has come to the gate")

        await arrive()
        await arrive()
        assert await closed(waiting)
        assert await closed(await place.connect(A))
        assert place.closed == ["displaced", "full"]


class Client(Bystander):
    """A connection with what the test knows of it."""

    def __init__(self, peer: str) -> None:
        super().__init__()
        self.peer = peer
        self.rank = Rank.AWAITED


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["come", "come", "come", *Rank, "leave"]),
            st.integers(0, 30),
            st.sampled_from(["192.0.2.1", "2001:db8::1", "2001:db8::2", "2001:db8:0:1::1", "proxy"]),
        ),
        min_size=20,
        max_size=100,
    )
)
def test_whatever_comes_the_limits_hold_and_nobody_at_work_is_closed(acts: list[Any]) -> None:
    limits = ConnectionLimits(6, 2)
    reasons: list[str] = []
    connections = Connections(limits, lambda peer: peer == "proxy", reasons.append)
    inside: list[Client] = []  # the one that has been in its rank longest comes first
    for act, which, peer in acts:
        if act == "come":
            rivals = [client for client in inside if _rivals(client, peer, inside, limits)]
            going = sorted(
                (client for client in rivals if client.rank < Rank.AT_WORK), key=lambda each: each.rank
            )
            source = connections.make_room(peer)
            assert (source is not None) is (not rivals or bool(going))
            assert [client for client in inside if client.abandoned] == going[:1]
            inside = [client for client in inside if not client.abandoned]
            if source is not None:
                assert (source == "") is (peer == "proxy")
                inside.append(client := Client(peer))
                connections.enter(client, source)
                connections.rank(client, client.rank)
        elif inside:
            client = inside[which % len(inside)]
            inside.remove(client)
            if isinstance(act, Rank):
                client.rank = act
                inside.append(client)
                connections.rank(client, act)
            else:
                connections.leave(client)
                connections.rank(client, Rank.AWAITED)  # too late: it has no place any more
        assert len(connections) == len(inside) <= limits.total


def _rivals(client: Client, peer: str, inside: list[Client], limits: ConnectionLimits) -> bool:
    """Say whether a client is among those of whom one has to go for somebody from there."""
    theirs = [each for each in inside if _source(each.peer) == _source(peer) != "proxy"]
    return client in theirs if len(theirs) >= limits.per_source else len(inside) >= limits.total


def _source(peer: str) -> str:
    return "a /64" if peer.startswith("2001:db8::") else peer
