"""The leader lets etcd forget what is old, and nothing that is not."""

import time

import pytest

from ddnsd.etcd import EtcdClient, RangeRequest
from ddnsd.etcd.errors import EtcdCompactedError
from ddnsd.leader.housekeeping import Compactor
from ddnsd.store.embedded import EmbeddedStore
from ddnsd.store.etcd import EtcdStoreSettings, open_etcd
from ddnsd.store.interface import Store, UnavailableError
from tests.rigs.etcd import EtcdRig, versions
from tests.rigs.forwarding import ForwardingStore
from tests.rigs.parts import watch_cache
from tests.store.contract.actions import put
from tests.tasks import running
from tests.waiting import stays, turn_loop, until

KEPT = 2.0  # seconds


async def is_forgotten(client: EtcdClient, revision: int) -> bool:
    try:
        await client.range(RangeRequest(b"anything", revision=revision))
    except EtcdCompactedError:
        return True
    return False


async def is_kept(client: EtcdClient, revision: int) -> bool:
    return not await is_forgotten(client, revision)


async def test_only_what_is_old_is_forgotten() -> None:
    with EtcdRig(versions()[0]) as rig:
        store = await open_etcd(EtcdStoreSettings(rig.settings))
        cache = watch_cache(store)
        async with EtcdClient(rig.settings) as client, running(cache.run()):
            await cache.loaded()
            first = await put(store, "filler/old")
            began = time.monotonic()
            async with running(Compactor(store, cache, KEPT).run()):
                await until(lambda: is_forgotten(client, first - 1))
                assert time.monotonic() - began >= KEPT
                second = await put(store, "filler/new")
                await stays(lambda: is_kept(client, second - 1), KEPT / 2)
        await store.close()


async def test_another_time_counts_at_once() -> None:
    with EtcdRig(versions()[0]) as rig:
        store = await open_etcd(EtcdStoreSettings(rig.settings))
        cache = watch_cache(store)
        async with EtcdClient(rig.settings) as client, running(cache.run()):
            await cache.loaded()
            first = await put(store, "filler/old")
            compactor = Compactor(store, cache, 0)
            async with running(compactor.run()):
                await turn_loop()
                compactor.reconfigure(0.2)
                await until(lambda: is_forgotten(client, first - 1))
        await store.close()


class Away(ForwardingStore):
    """A store that cannot compact for the first times."""

    def __init__(self, real: Store, times: int) -> None:
        super().__init__(real)
        self.revisions: list[int] = []
        self._times = times

    async def compact(self, revision: int) -> bool:
        self.revisions.append(revision)
        if len(self.revisions) <= self._times:
            raise UnavailableError("no quorum")
        return await super().compact(revision)


async def test_what_could_not_be_compacted_is_the_next_time(
    store: EmbeddedStore, caplog: pytest.LogCaptureFixture
) -> None:
    away, cache = Away(store, times=2), watch_cache(store)
    async with running(cache.run()):
        await cache.loaded()
        await put(store, "filler/old")
        await cache.current()
        async with running(Compactor(away, cache, 0.05).run()):
            await until(lambda: len(away.revisions) >= 3)
    assert away.revisions[0] == away.revisions[1] == away.revisions[2] == cache.revision
    assert [record.getMessage() for record in caplog.records] == ["compaction.failed"] * 2
