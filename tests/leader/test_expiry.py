"""What the clock ends, while clients refresh it at the same moment."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from msgspec import structs

from ddnsd.model.addresses import Challenge, Family
from ddnsd.model.expiry import sighting
from ddnsd.model.records import Committed, LastSeen, RecordKey, Resource, Stored
from ddnsd.model.request import Request, Unchanged
from ddnsd.model.resources import Kind
from ddnsd.store import keys, tables
from ddnsd.store.embedded import open_embedded
from ddnsd.store.interface import ConditionalWrite, Outcome, Store
from tests.leader.node import BLOG, LOOK, SECRET, Clock, Node, embedded_nameservers, example, host, node_on
from tests.rigs.forwarding import ForwardingStore

PAIR = ("one.example.com", "two.example.com")
LAST = "last.example.com"
VALUE = "value".ljust(43, "_")


class Meanwhile(ForwardingStore):
    """A store at which something happens to one of the pair while the other one is being withdrawn."""

    def __init__(self, real: Store) -> None:
        super().__init__(real)
        self.happens: Callable[[str], Awaitable[None]] | None = None

    async def commit(self, updates: Sequence[ConditionalWrite]) -> Sequence[Outcome]:
        withdrawn = [name for name in PAIR if any(_withdraws(each, name) for each in updates)]
        if withdrawn and self.happens:
            happens, self.happens = self.happens, None
            (other,) = {*PAIR} - {*withdrawn}
            await happens(other)
        return await super().commit(updates)


def _withdraws(update: ConditionalWrite, name: str) -> bool:
    puts = update.puts.items()
    return any(key.startswith(f"{keys.ADDRESSES}/{name}/") and b'"cleared":true' in put for key, put in puts)


@asynccontextmanager
async def expiring(
    folder: Path, clock: Clock, *, grace: float = 0.0
) -> AsyncIterator[tuple[Node, Node, Meanwhile]]:
    """Run a node for clients, and another one that leads and withdraws one host at a time."""
    policy = clock.policy(grace=grace, at_once=1)
    real = await open_embedded(folder / "store")
    meanwhile = Meanwhile(real)
    try:
        async with (
            embedded_nameservers(folder) as servers,
            node_on(real, servers) as clients,
            node_on(meanwhile, servers, policy=policy) as leader,
        ):
            leader.lead()
            await clients.apply(*example(*PAIR, LAST, BLOG))
            yield clients, leader, meanwhile
    finally:
        await real.close()


async def put(node: Node, *nodes: Node, **values: Stored) -> None:
    """Write into the store, and see that these nodes know of it."""
    await node.commits.commit(
        ConditionalWrite({}, {key: tables.encode(value) for key, value in values.items()})
    )
    for each in (node, *nodes):
        await each.cache.current()


def sightings(ago: timedelta, *names: str) -> dict[str, Stored]:
    return {keys.seen(name): LastSeen(datetime.now(UTC) - ago) for name in names}


def challenges(ago: timedelta, *names: str) -> dict[str, Stored]:
    committed = Committed(VALUE, "", "commit", datetime.now(UTC) - ago)
    return {keys.address(RecordKey(name, Challenge.TXT)): committed for name in names}


async def test_a_host_that_is_refreshed_while_another_one_is_withdrawn_stays(
    tmp_path: Path, clock: Clock
) -> None:
    async with expiring(tmp_path, clock) as (clients, leader, meanwhile):
        await clients.apply(*(host(name, expiresAfter=60) for name in (*PAIR, LAST)))
        for name in (*PAIR, LAST):
            await clients.update(name, "192.0.2.1")

        async def refreshed(name: str) -> None:
            await put(clients, leader, **sightings(timedelta(0), name))

        meanwhile.happens = refreshed
        clock.stop_process(61)
        await clients.until(lambda: RecordKey(LAST, Family.A) not in clients.state.addresses)
        await clock.move(LOOK)
        assert [record.name in PAIR for record in clients.state.addresses] == [True]


async def test_a_challenge_that_is_replaced_while_another_one_is_withdrawn_stays(
    tmp_path: Path, clock: Clock
) -> None:
    async with expiring(tmp_path, clock) as (clients, leader, meanwhile):

        async def replaced(name: str) -> None:
            await put(clients, leader, **challenges(timedelta(0), name))

        meanwhile.happens = replaced
        await put(clients, leader, **challenges(timedelta(0), *PAIR))
        clock.stop_process(24 * 3600)
        await clients.until(lambda: len(clients.state.addresses) == 1)
        await clock.move(LOOK)
        assert [record.name in PAIR for record in clients.state.addresses] == [True]


async def test_a_host_that_is_to_expire_no_more_at_that_moment_stays(tmp_path: Path, clock: Clock) -> None:
    async with expiring(tmp_path, clock) as (clients, _, meanwhile):
        await clients.apply(*(host(name, expiresAfter=60) for name in PAIR), host(LAST, expiresAfter=60))
        for name in (*PAIR, LAST):
            await clients.update(name, "192.0.2.1")

        async def kept(_: str) -> None:
            await clients.apply(*map(host, PAIR))

        meanwhile.happens = kept
        clock.stop_process(61)
        await clients.until(lambda: RecordKey(LAST, Family.A) not in clients.state.addresses)
        await clock.move(LOOK)
        assert len(clients.state.addresses) == len(PAIR)


async def test_a_host_that_was_held_has_time_to_be_refreshed_once_it_is_free(
    tmp_path: Path, clock: Clock
) -> None:
    async with expiring(tmp_path, clock, grace=60) as (clients, leader, _):
        await clients.apply(*(host(name, expiresAfter=61) for name in PAIR))
        for name in PAIR:
            await clients.update(name, "192.0.2.1")
        spec = clients.state.hosts[PAIR[0]].value.spec
        for held in (True, False):
            host_now = Resource(spec, held=held)
            await put(clients, leader, **{keys.resource(Kind.HOST, name): host_now for name in PAIR})
            await clock.move(LOOK)
            await clock.move(49 - LOOK)
            assert len(clients.state.addresses) == len(PAIR)
        await clock.move(3 + LOOK)
        await clients.until(lambda: not clients.state.addresses)


@pytest.mark.parametrize("step", [timedelta(days=2), timedelta(days=-2)])
async def test_a_wall_clock_that_is_set_makes_nobody_older(
    tmp_path: Path, clock: Clock, step: timedelta
) -> None:
    """A machine without a clock of its own: its time is set minutes after it has begun to serve."""
    async with expiring(tmp_path, clock) as (clients, leader, _):
        await clients.apply(host(BLOG, expiresAfter=360))
        await clients.update(BLOG, "192.0.2.1")
        await put(clients, leader, **challenges(timedelta(0), LAST))
        clock.set(step)
        await clock.move(LOOK)
        await clock.move(300)
        assert len(clients.state.addresses) == 2
        await clock.move(61 + LOOK)
        await clients.until(lambda: RecordKey(BLOG, Family.A) not in clients.state.addresses)
        assert RecordKey(LAST, Challenge.TXT) in clients.state.addresses


async def test_a_leader_whose_clock_is_set_gives_clients_of_before_their_time(
    tmp_path: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    store = await open_embedded(tmp_path / "store")
    async with embedded_nameservers(tmp_path) as servers, node_on(store, servers) as before:
        await before.apply(*example(BLOG))
        await before.apply(host(BLOG, expiresAfter=360))
        before.lead()
        await before.update(BLOG, "192.0.2.1")
        await before.stop_leading()
        async with node_on(store, servers, policy=clock.policy(grace=90)) as leader:
            leader.lead()
            await clock.move(LOOK)
            await clock.move(91)
            clock.set(timedelta(days=2))
            await clock.move(LOOK)
            assert "clock.stepped" in caplog.text
            await clock.move(89 - LOOK)
            assert RecordKey(BLOG, Family.A) in leader.state.addresses
            assert isinstance(await before.update(BLOG, "192.0.2.1"), Unchanged)
            await clock.move(2 + LOOK)
            await leader.until(lambda: RecordKey(BLOG, Family.A) not in leader.state.addresses)
    await store.close()


async def test_a_leader_that_was_stopped_gives_clients_their_time(tmp_path: Path, clock: Clock) -> None:
    async with expiring(tmp_path, clock, grace=90) as (clients, _, _):
        await clients.apply(host(BLOG, expiresAfter=360))
        await clients.update(BLOG, "192.0.2.1")
        await clock.move(LOOK)
        clock.stop_process(24 * 3600)
        await clock.move(LOOK)
        await clock.move(89 - LOOK)
        assert RecordKey(BLOG, Family.A) in clients.state.addresses
        await clock.move(2 + LOOK)
        await clients.until(lambda: RecordKey(BLOG, Family.A) not in clients.state.addresses)


async def test_each_family_expires_by_itself(tmp_path: Path, clock: Clock) -> None:
    async with expiring(tmp_path, clock) as (clients, leader, _):
        await clients.apply(host(BLOG, expiresAfter=360))
        await clients.ask(Request(BLOG, "192.0.2.1", SECRET, "", ipv6="2001:db8::1"))
        await clock.move(300)
        seen = clients.state.seen[BLOG].value
        later = sighting(seen, [Family.AAAA], seen.at + timedelta(seconds=300))
        await put(clients, leader, **{keys.seen(BLOG): later})
        await clock.move(61 + LOOK)
        await clients.until(lambda: RecordKey(BLOG, Family.A) not in clients.state.addresses)
        await clock.move(LOOK)
        assert RecordKey(BLOG, Family.AAAA) in clients.state.addresses


async def test_clients_that_come_to_old_and_new_nodes_in_turn_keep_their_hosts(
    tmp_path: Path, clock: Clock
) -> None:
    """A node of before writes `at` alone, and the fields that it does not know as they are."""
    async with expiring(tmp_path, clock) as (clients, leader, _):
        await clients.apply(host(BLOG, expiresAfter=360))
        await clients.ask(Request(BLOG, "192.0.2.1", SECRET, "", ipv6="2001:db8::1"))
        for turn in range(1, 7):
            await clock.move(300)
            seen = clients.state.seen[BLOG].value
            now = seen.at + timedelta(seconds=300)
            old = structs.replace(seen, at=now)
            await put(
                clients, leader, **{keys.seen(BLOG): sighting(seen, list(Family), now) if turn % 2 else old}
            )
        await clock.move(LOOK)
        assert len(clients.state.addresses) == 2
        await clock.move(361 + LOOK)
        await clients.until(lambda: not clients.state.addresses)


@pytest.fixture
def clock() -> Clock:
    return Clock()
