"""Commits whose answer is lost, on a real etcd behind a relay: done, not done, or not to be known."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import pytest
from prometheus_client import CollectorRegistry

from ddnsd import etcd
from ddnsd.etcd import DeleteRangeRequest, EtcdClient, PutRequest
from ddnsd.etcd.values import prefix_range
from ddnsd.store.etcd import EtcdStore, EtcdStoreSettings, open_etcd
from ddnsd.store.group_commit import GroupCommit
from ddnsd.store.interface import ConditionalWrite, Done, KeyValue, Outcome, Stale, Unknown
from ddnsd.store.watch_cache import WatchCache
from ddnsd.telemetry.metrics import COMMIT_OUTCOMES
from tests.narrow import present
from tests.rigs.etcd import EtcdRig, versions
from tests.rigs.parts import parts_on
from tests.rigs.relay import Relay, relay_to
from tests.store.contract.actions import delete, put
from tests.tasks import running
from tests.waiting import until

KEY, OTHER = "things/a", "things/b"  # no table of the state: any bytes will do
TIMEOUT = 10.0  # seconds; only the tests that want to see it end make it shorter


@pytest.fixture(scope="module", params=versions(), ids=lambda version: version.name)
def rig(request: pytest.FixtureRequest) -> Iterator[EtcdRig]:
    with EtcdRig(request.param) as rig:
        yield rig


@dataclass
class World:
    """A node behind a relay, and what another node, that has none, does and sees."""

    rig: EtcdRig
    relay: Relay
    store: EtcdStore
    cache: WatchCache
    commits: GroupCommit
    counts: CollectorRegistry
    other: EtcdStore
    settings: EtcdStoreSettings

    def begin(self, update: ConditionalWrite) -> asyncio.Task[Outcome]:
        return asyncio.create_task(self.commits.commit(update))

    async def applied(self, update: ConditionalWrite, content: bytes) -> asyncio.Task[Outcome]:
        """Begin a commit whose answer is held, and wait until it is applied."""
        self.relay.holds_answers = True
        committing = self.begin(update)
        key = next(iter(update.puts), KEY)

        async def is_applied() -> bool:
            found = await self.value(key)
            return found is not None and found.value == content

        await until(is_applied)
        return committing

    async def held(self, update: ConditionalWrite, content: bytes) -> asyncio.Task[Outcome]:
        """Begin a commit that does not arrive, and wait until it is held."""
        self.relay.holds_requests = True
        committing = self.begin(update)
        await self.relay.holds(content)
        return committing

    async def value(self, key: str = KEY) -> KeyValue | None:
        return (await self.other.snapshot(key)).items.get(key)

    async def end_session(self) -> None:
        """Revoke the lease of the node's session key."""
        (session,) = await self._sessions()
        await asyncio.to_thread(self.rig.ctl, "lease", "revoke", f"{session.lease:x}")

    async def sessions(self) -> list[str]:
        return [item.key.decode() for item in await self._sessions()]

    async def _sessions(self) -> tuple[etcd.EtcdKeyValue, ...]:
        async with EtcdClient(self.settings.cluster) as client:
            return (await client.read_prefix(f"{self.settings.prefix}sessions/".encode())).items

    def count(self, outcome: str) -> float | None:
        return self.counts.get_sample_value("ddnsd_commit_updates_total", {"outcome": outcome})


@asynccontextmanager
async def world_on(rig: EtcdRig, timeout: float = TIMEOUT) -> AsyncIterator[World]:
    (member,) = rig.members
    settings = EtcdStoreSettings(rig.settings, prefix=f"{uuid.uuid4().hex}/")
    async with relay_to(member.client_port) as relay:
        behind = replace(rig.settings_of(relay.endpoint), try_timeout=TIMEOUT)
        store = await open_etcd(replace(settings, cluster=replace(behind, timeout=2 * TIMEOUT)))
        other = await open_etcd(settings)
        parts = parts_on(store, timeout)
        cache, commits = parts.cache, parts.commits
        try:
            async with running(cache.run()):
                await cache.loaded()
                assert isinstance(await commits.commit(ConditionalWrite({}, {"things/first": b""})), Done)
                await cache.current()
                yield World(rig, relay, store, cache, commits, parts.counts, other, settings)
                relay.cut()
                await commits.aclose()
        finally:
            await store.close()
            await other.close()


@pytest.fixture
async def world(rig: EtcdRig) -> AsyncIterator[World]:
    async with world_on(rig) as world:
        yield world


async def test_done_though_another_has_written_since(world: World) -> None:
    committing = await world.applied(ConditionalWrite({KEY: 0}, {KEY: b"mine"}), b"mine")
    mine = await world.value()
    assert mine is not None
    await put(world.other, KEY, b"another's")
    world.relay.cut()
    assert await committing == Done(mine.revision)
    assert present(await world.value()).value == b"another's", "and it is not done twice"
    assert [world.count(outcome) for outcome in COMMIT_OUTCOMES] == [2, 0, 0, 0]


async def test_done_though_its_keys_have_gone_since(world: World) -> None:
    """As those of a prefix do, when the leader has carried it out."""
    committing = await world.applied(ConditionalWrite({KEY: 0}, {KEY: b"mine"}), b"mine")
    mine = present(await world.value())
    await delete(world.other, KEY)
    world.relay.cut()
    assert await committing == Done(mine.revision)
    assert await world.value() is None


async def test_deletion_that_was_done(world: World) -> None:
    first = await put(world.store, KEY)
    update = ConditionalWrite({KEY: first, OTHER: 0}, deletes=frozenset({KEY, OTHER}))
    world.relay.holds_answers = True
    committing = world.begin(update)

    async def is_deleted() -> bool:
        return await world.value() is None

    await until(is_deleted)
    await put(world.other, KEY, b"again")
    world.relay.cut()
    outcome = await committing
    assert isinstance(outcome, Done)
    assert first < outcome.revision < present(await world.value()).revision


async def test_never_arrived_and_decided_on_what_is_there_now(world: World) -> None:
    committing = await world.held(ConditionalWrite({KEY: 0}, {KEY: b"mine"}), b"mine")
    revision = await put(world.other, KEY, b"another's")
    world.relay.cut()
    outcome = await committing
    assert isinstance(outcome, Stale)
    assert outcome.current == {KEY: KeyValue(b"another's", revision, revision)}


async def test_copy_that_comes_late_is_not_applied(world: World) -> None:
    committing = await world.held(ConditionalWrite({}, {KEY: b"mine"}), b"mine")
    world.relay.cut()
    done = await committing
    assert isinstance(done, Done)
    later = await put(world.other, KEY, b"another's")
    await world.relay.deliver()
    assert await world.value() == KeyValue(b"another's", later, done.revision)


async def test_copy_that_comes_late_finds_its_key_gone(world: World) -> None:
    """Its compare, that there is no such key, holds once more."""
    committing = await world.held(ConditionalWrite({KEY: 0}, {KEY: b"mine"}), b"mine")
    world.relay.cut()
    assert isinstance(await committing, Done)
    await delete(world.other, KEY)
    await world.relay.deliver()
    assert await world.value() is None


async def test_session_key_that_has_gone(world: World) -> None:
    """As that of a process that was stopped for longer than its lease."""
    await world.end_session()
    outcome = await world.commits.commit(ConditionalWrite({KEY: 0}, {KEY: b"mine"}))
    assert isinstance(outcome, Done)
    assert present(await world.value()).revision == outcome.revision
    assert len(await world.sessions()) == 1


async def test_copy_that_comes_late_finds_its_session_gone(world: World) -> None:
    committing = await world.held(ConditionalWrite({}, {KEY: b"mine"}), b"mine")
    await world.end_session()
    world.relay.cut()
    done = await committing
    assert isinstance(done, Done)
    later = await put(world.other, KEY, b"another's")
    await world.relay.deliver()
    assert await world.value() == KeyValue(b"another's", later, done.revision)


async def test_session_key_that_is_written_late(world: World) -> None:
    """A copy of its own writing moves the key once more: nothing is lost, nothing fails."""
    (session,) = await world.sessions()
    async with EtcdClient(world.settings.cluster) as client:
        await client.put(PutRequest(session.encode(), b""))
    assert isinstance(await world.commits.commit(ConditionalWrite({KEY: 0}, {KEY: b"mine"})), Done)


async def test_session_key_goes_with_its_process(world: World) -> None:
    assert len(await world.sessions()) == 1
    await world.store.close()
    assert await world.sessions() == []


async def test_two_groups_in_flight(world: World) -> None:
    """One was done and its answer lost, the other never arrived: each is told its own."""
    one = await world.applied(ConditionalWrite({KEY: 0}, {KEY: b"one"}), b"one")
    first = present(await world.value())
    two = await world.held(ConditionalWrite({OTHER: 0}, {OTHER: b"two"}), b"two")
    await put(world.other, KEY, b"another's")
    world.relay.cut()
    assert await one == Done(first.revision)
    outcome = await two
    assert isinstance(outcome, Done)
    await delete(world.other, OTHER)
    await world.relay.deliver()
    assert await world.value(OTHER) is None
    assert present(await world.value()).value == b"another's"


async def test_group_in_flight_while_another_is_settled(world: World) -> None:
    """Its session key has moved when it arrives: certainly not applied, so it is sent again."""
    world.relay.holds_requests = True
    one, two = world.begin(ConditionalWrite({}, {KEY: b"one"})), None
    await world.relay.holds(b"one")
    two = world.begin(ConditionalWrite({KEY: 0, OTHER: 0}, {OTHER: b"two"}))
    await world.relay.holds(b"two")
    world.relay.cut()
    outcomes = await asyncio.gather(one, two)
    assert isinstance(outcomes[0], Done)
    assert isinstance(outcomes[1], Done | Stale)
    before = await world.value(), await world.value(OTHER)
    await world.relay.deliver()
    assert (await world.value(), await world.value(OTHER)) == before


async def test_compacted_in_between_is_unknown(world: World) -> None:
    """What it was is in no history any more, and it is not decided again either."""
    committing = await world.applied(ConditionalWrite({}, {KEY: b"mine"}), b"mine")
    newest = await put(world.other, KEY, b"another's")
    await world.other.compact(newest)
    world.relay.cut()
    assert isinstance(await committing, Unknown)
    assert present(await world.value()).value == b"another's"
    assert isinstance(await world.commits.commit(ConditionalWrite({KEY: newest}, {KEY: b"next"})), Done)
    assert [world.count(outcome) for outcome in COMMIT_OUTCOMES] == [2, 0, 1, 0]


@pytest.mark.logs_errors
async def test_another_history_is_unknown(world: World) -> None:
    committing = await world.applied(ConditionalWrite({}, {KEY: b"mine"}), b"mine")
    async with EtcdClient(world.settings.cluster) as client:
        await client.delete(DeleteRangeRequest(*prefix_range(world.settings.prefix.encode())))
    world.relay.cut()
    assert isinstance(await committing, Unknown)


async def test_store_that_stays_away_is_unknown_in_time(rig: EtcdRig) -> None:
    """And what was sent before is nothing any more, once something is committed after it."""
    async with world_on(rig, timeout=0.5) as world:
        committing = await world.held(ConditionalWrite({}, {KEY: b"mine"}), b"mine")
        world.relay.cut(refuse=True)
        assert isinstance(await committing, Unknown)
        world.relay.cut()
        done = await world.commits.commit(ConditionalWrite({KEY: 0}, {KEY: b"next"}))
        assert isinstance(done, Done)
        await world.relay.deliver()
        assert await world.value() == KeyValue(b"next", done.revision, done.revision)
