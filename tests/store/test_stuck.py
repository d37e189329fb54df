"""A state that stands still though the store answers: what is done about it, and when nothing is."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ddnsd.store.embedded import EmbeddedStore, open_embedded
from ddnsd.store.standstill import Patience, Stage
from ddnsd.store.watch_cache import WatchCache
from tests.rigs.parts import watch_cache
from tests.rigs.virtual import VirtualLoop, pass_time, run_virtually
from tests.store.contract.actions import put
from tests.store.deaf import DeafStore, DistantStore
from tests.tasks import running

PATIENCE = Patience(watch=0.2, session=0.4, end=0.8)
PERIOD = 0.02


@pytest.fixture
async def real(tmp_path: Path) -> AsyncIterator[EmbeddedStore]:
    store = await open_embedded(tmp_path / "store")
    yield store
    await store.close()


def cache_of(store: DeafStore) -> WatchCache:
    return watch_cache(store, patience=PATIENCE)


async def test_a_watch_that_brings_nothing_is_opened_again_after_the_last_whole_revision(
    real: EmbeddedStore,
) -> None:
    store = DeafStore(real, deaf=range(1))
    cache = cache_of(store)
    stages = []
    cache.subscribe(lambda _: stages.append(cache.standstill))
    async with running(cache.run(), cache.supervise(PERIOD)):
        await cache.loaded()
        loaded = cache.revision
        await put(real, "anything")
        async with asyncio.timeout(5):
            await cache.stands_still()
            await cache.follows()
            await cache.current()
    assert store.starts == [loaded + 1, loaded + 1]
    assert (store.snapshots, store.renewals) == (1, [])
    assert Stage.WATCH in stages
    assert max(stages) is Stage.WATCH


@pytest.mark.logs_errors
async def test_the_session_is_opened_again_and_then_nothing_is_left_but_to_end(real: EmbeddedStore) -> None:
    store = DeafStore(real, deaf=range(1000))
    cache = cache_of(store)
    stages: list[Stage] = []
    cache.subscribe(lambda _: stages.append(cache.standstill))
    async with running(cache.run()):
        await cache.loaded()
        await put(real, "anything")
        async with asyncio.timeout(10):
            await cache.supervise(PERIOD)
    assert stages[-3:] == [Stage.WATCH, Stage.SESSION, Stage.END]
    assert len(store.starts) == 2
    (reason,) = store.renewals
    assert (
        f"stands still at revision {cache.revision} though the store answers {await real.revision()}"
        in reason
    )


def test_nothing_is_done_about_an_idle_store(tmp_path: Path) -> None:
    run_virtually(_idle(tmp_path))


async def _idle(folder: Path) -> None:
    real = await open_embedded(folder / "store")
    store = DeafStore(real, deaf=range(1000))
    cache = cache_of(store)
    async with running(cache.run(), cache.supervise()):
        await cache.current()
        await pass_time(3600)
        assert (cache.standstill, len(store.starts)) == (Stage.NONE, 1)
    await real.close()


def test_a_store_that_is_away_for_ten_minutes_ends_and_unreadies_nobody(tmp_path: Path) -> None:
    assert run_virtually(_outage(tmp_path, seconds=600.0)) is Stage.NONE


async def _outage(folder: Path, seconds: float) -> Stage:
    """Return the worst stage of a node whose store goes when it has answered what its watch never brought."""
    real = await open_embedded(folder / "store")
    store = DistantStore(real, timeout=5)
    cache = watch_cache(store)
    worst = Stage.NONE
    loop = asyncio.get_running_loop()

    def look(_: object) -> None:
        nonlocal worst
        worst = max(worst, cache.standstill)

    cache.subscribe(look)
    async with running(cache.run()):
        await cache.current()
        store.delivers.clear()
        await put(real, "anything")  # by another thread: no timer may pass meanwhile
        async with running(cache.supervise()):
            await pass_time(2.5)  # it is answered, once or twice
            store.reachable.clear()
            began = loop.time()
            await pass_time(seconds)
            assert loop.time() - began >= seconds
            assert cache.trouble
            store.reachable.set()
            await pass_time(2)
            store.delivers.set()
            await cache.current()
            await pass_time(60)
            assert not cache.trouble
    await real.close()
    return worst


def test_who_waited_in_a_stopped_process_waits_no_longer_than_that(tmp_path: Path) -> None:
    """Nobody asks the store for them, which may be slow: their time has gone. Others have their own."""
    run_virtually(_stopped(tmp_path))


async def _stopped(folder: Path) -> None:
    real = await open_embedded(folder / "store")
    store = DistantStore(real, timeout=60)
    cache = watch_cache(store)
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    ends: dict[str, float] = {}

    def ask(name: str) -> None:
        cache.when_current(lambda error: ends.update({name: loop.time() if error else -1.0}))

    async with running(cache.run()):
        await cache.current()
        store.reachable.clear()
        ask("asked for")
        await pass_time(0.1)
        ask("arrived")
        loop.stop_process(60)
        resumed = loop.time()
        ask("new")
        await pass_time(0.1)
        assert ends.keys() == {"asked for", "arrived"}
        assert ends["arrived"] == resumed
        await pass_time(5)
        assert resumed + 5 <= ends["new"] <= resumed + 5.1
    await real.close()
