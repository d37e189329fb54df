"""etcd restored behind the running stores' back: nothing of the old history is taken for the new one's."""

import asyncio
import contextlib
import shutil
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from typing import TypeAlias

import pytest

from ddnsd.etcd import EtcdClient, PutRequest
from ddnsd.etcd.errors import EtcdRestoredError
from ddnsd.model.records import Work, WorkRequest
from ddnsd.store import keys, tables
from ddnsd.store.etcd import EtcdStore, EtcdStoreSettings, open_etcd
from ddnsd.store.etcd.health import Access, CallFailures
from ddnsd.store.etcd.session import open_session
from ddnsd.store.interface import ConditionalWrite, RestoredError, UnavailableError, Unknown
from ddnsd.store.watch_cache import WatchCache
from tests.rigs.etcd import EtcdRig, Version, versions
from tests.rigs.forwarding import ForwardingStore
from tests.rigs.parts import parts_on, watch_cache
from tests.store.contract.actions import commit, delete, put
from tests.waiting import until

pytestmark = pytest.mark.logs_errors  # "store.restored"

REQUEST = tables.encode(WorkRequest(Work.CHECK, "example.com", datetime.now(UTC)))
Restore: TypeAlias = Callable[[EtcdRig], None]


@pytest.fixture(params=versions(), ids=lambda version: version.name)
def version(request: pytest.FixtureRequest) -> Version:
    found: Version = request.param
    return found


@pytest.fixture
def rig(version: Version) -> Iterator[EtcdRig]:
    with EtcdRig(version) as rig:
        yield rig


@asynccontextmanager
async def opened(rig: EtcdRig) -> AsyncIterator[EtcdStore]:
    store = await open_etcd(EtcdStoreSettings(rig.settings))
    yield store
    await store.close()


@asynccontextmanager
async def watching(store: EtcdStore) -> AsyncIterator[WatchCache]:
    cache = watch_cache(store)
    async with running(cache):
        await cache.loaded()
        yield cache


@asynccontextmanager
async def running(cache: WatchCache) -> AsyncIterator[None]:
    task = asyncio.create_task(cache.run())
    yield
    task.cancel()
    await asyncio.wait([task])


def another_cluster(rig: EtcdRig) -> None:
    rig.restore(rig.folder / "backup", "another")


def same_cluster(rig: EtcdRig) -> None:
    rig.restore(rig.folder / "backup", rig.token)


def same_cluster_with_higher_revisions(rig: EtcdRig) -> None:
    # Debian's etcdctl 3.4 cannot raise them: the same as above.
    raised = ("--bump-revision", "1000000", "--mark-compacted") if rig.version.folder else ()
    rig.restore(rig.folder / "backup", rig.token, *raised)


def folder_copied_back(rig: EtcdRig) -> None:
    (member,) = rig.members
    member.kill()
    shutil.rmtree(member.folder)
    shutil.copytree(rig.folder / "copy", member.folder)
    rig.start()


def back_up(rig: EtcdRig) -> None:
    """Save a snapshot, and copy the data folder of the stopped member."""
    (member,) = rig.members
    rig.ctl("snapshot", "save", str(rig.folder / "backup"))
    member.kill()
    shutil.copytree(member.folder, rig.folder / "copy")
    rig.start()


@pytest.mark.parametrize(
    "restore",
    [another_cluster, same_cluster, same_cluster_with_higher_revisions, folder_copied_back],
    ids=lambda way: way.__name__,
)
async def test_nodes_go_on_with_the_restored_state(rig: EtcdRig, restore: Restore) -> None:
    async with opened(rig) as one, opened(rig) as two, watching(one) as cache:
        touched: list[object] = []
        cache.subscribe(lambda places: touched.extend(place.id for place in places))
        before = one.identity
        await put(one, keys.request("kept"), REQUEST)
        await put(one, keys.request("deleted later"), REQUEST)
        await asyncio.to_thread(back_up, rig)
        await cache.current()
        await put(one, keys.request("lost"), REQUEST)
        await delete(one, keys.request("deleted later"))
        await cache.current()
        assert cache.state.requests.keys() == {"kept", "lost"}
        leadership = await one.campaign(b"1")
        touched.clear()

        await asyncio.to_thread(restore, rig)
        await asyncio.wait_for(leadership.lost(), 10)
        await until(lambda: is_new(one, before))
        await until(lambda: is_new(two, before))
        await until_current(cache)
        assert cache.state.requests.keys() == {"kept", "deleted later"}
        assert set(touched) >= {"kept", "deleted later", "lost"}
        assert one.identity == two.identity == cache.identity
        await put(two, keys.request("new"), REQUEST)
        await cache.current()
        assert "new" in cache.state.requests
        assert await (await one.campaign(b"1")).confirm()


async def is_new(store: EtcdStore, identity: str) -> bool:
    return store.identity != identity


async def until_current(cache: WatchCache) -> None:
    async def current() -> bool:
        try:
            await cache.current()
        except UnavailableError:
            return False
        return True

    await until(current)


@pytest.mark.parametrize(
    "restore",
    [another_cluster, same_cluster, same_cluster_with_higher_revisions],
    ids=lambda way: way.__name__,
)
async def test_restored_while_the_session_was_replaced(rig: EtcdRig, restore: Restore) -> None:
    """The session that follows knows what the one before has seen."""
    async with opened(rig) as store, watching(store) as cache:
        before = store.identity
        await put(store, keys.request("kept"), REQUEST)
        rig.ctl("snapshot", "save", str(rig.folder / "backup"))
        await put(store, keys.request("lost"), REQUEST)
        await cache.current()
        rig.members[0].kill()
        store.renew("a test")
        await asyncio.to_thread(restore, rig)
        await until(lambda: is_new(store, before))
        await until_current(cache)
        assert cache.state.requests.keys() == {"kept"}


@pytest.mark.parametrize("restore", [another_cluster, same_cluster], ids=lambda way: way.__name__)
async def test_whoever_waited_for_the_old_history_is_told(rig: EtcdRig, restore: Restore) -> None:
    async with opened(rig) as store:
        cache = watch_cache(store, 60)
        async with running(cache):
            await cache.loaded()
            await cache.current()
        await asyncio.to_thread(back_up, rig)
        await put(store, keys.request("lost"), REQUEST)
        waiting = asyncio.create_task(cache.current())  # for a revision that the cache does not follow
        await still_waits(waiting)
        await asyncio.to_thread(restore, rig)
        async with running(cache):
            with pytest.raises(RestoredError):
                await asyncio.wait_for(waiting, 10)
            await until_current(cache)
            assert "lost" not in cache.state.requests


async def test_whoever_waited_is_told_at_once(rig: EtcdRig) -> None:
    """Not only when there is a new state to load."""
    async with opened(rig) as store, EtcdClient(rig.settings) as client:
        cache = watch_cache(store, 60)
        async with running(cache):
            await cache.loaded()
        await put(store, keys.request("a"), REQUEST)
        waiting = asyncio.create_task(cache.current())
        await still_waits(waiting)
        watch = store.watch("", await store.revision() + 1)
        await client.put(PutRequest(b"ddnsd/clock/timeline", b"another"))
        with pytest.raises(RestoredError):
            await asyncio.wait_for(anext(watch), 10)
        rig.members[0].kill()
        async with running(cache):
            with pytest.raises(RestoredError):
                await asyncio.wait_for(waiting, 10)


async def test_state_of_the_old_history_is_not_current_in_the_new(rig: EtcdRig) -> None:
    """Though its revision is higher."""
    async with opened(rig) as store:
        before = store.identity
        rig.ctl("snapshot", "save", str(rig.folder / "backup"))
        for _ in range(20):
            await put(store, keys.request("lost"), REQUEST)
        async with watching(store) as cache:
            await cache.current()
        await asyncio.to_thread(same_cluster, rig)
        await until(lambda: is_new(store, before))
        assert await store.revision() < cache.revision
        waiting = asyncio.create_task(cache.current())
        await still_waits(waiting)
        async with running(cache):
            with pytest.raises(RestoredError):
                await asyncio.wait_for(waiting, 10)
            await until_current(cache)
            assert not cache.state.requests


async def test_what_was_lost_in_the_old_history_is_not_sent_in_the_new(rig: EtcdRig) -> None:
    """Also when the state has not noticed yet, whose revision is higher."""
    async with opened(rig) as store:
        before, parts = store.identity, parts_on(LateStore(store), 20)
        cache, commits = parts.cache, parts.commits
        rig.ctl("snapshot", "save", str(rig.folder / "backup"))
        for _ in range(20):
            await put(store, keys.request("lost"), REQUEST)
        async with running(cache):
            await cache.loaded()
            await cache.current()
        await put(
            store, keys.request("lost"), REQUEST
        )  # the connection is looked at before, not by what is lost
        rig.members[0].freeze()
        committing = asyncio.create_task(
            commits.commit(ConditionalWrite({"things/a": 0}, {"things/a": b"mine"}))
        )
        await until_lost(store)
        await asyncio.to_thread(same_cluster, rig)
        await until(lambda: is_new(store, before))
        assert isinstance(await committing, Unknown)
        assert not (await store.snapshot("things/")).items
        await commits.aclose()


async def test_a_write_that_a_restore_meets_is_never_taken_for_not_done(rig: EtcdRig) -> None:
    """Also when the session was replaced while the answer was on its way."""
    settings = EtcdStoreSettings(rig.settings)
    session = await open_session(settings, CallFailures(settings.prefix))

    def meet() -> None:
        with session.translated(Access.WRITE):
            session.note_replaced()
            raise EtcdRestoredError("a write has revision 7, 9 had been seen")

    with pytest.raises(RestoredError):
        meet()
    await session.close()


class LateStore(ForwardingStore):
    """A store that cannot be asked before it is open on the new history."""

    def __init__(self, real: EtcdStore) -> None:
        super().__init__(real)
        self._is_new = partial(is_new, real)

    async def settle(self) -> int:
        await until(partial(self._is_new, self.identity))
        return await super().settle()


async def until_lost(store: EtcdStore) -> None:
    async def failed() -> bool:
        return store.write_failure is not None

    await until(failed)


async def still_waits(task: asyncio.Task[None]) -> None:
    """Check that it waits, by waiting for a moment."""
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(asyncio.shield(task), 0.2)


async def test_several_nodes_begin_one_timeline(rig: EtcdRig) -> None:
    """Of a restored cluster with the same id; where the id is another one they need none."""
    stores = [await open_etcd(EtcdStoreSettings(rig.settings)) for _ in range(5)]
    before = stores[0].identity
    rig.ctl("snapshot", "save", str(rig.folder / "backup"))
    await put(stores[0], "hosts/a")
    for store in stores:
        await store.revision()
    await asyncio.to_thread(same_cluster, rig)
    await asyncio.gather(*(store.revision() for store in stores), return_exceptions=True)
    for store in stores:
        await until(partial(is_new, store, before))
    assert len({store.identity for store in stores}) == 1
    async with EtcdClient(rig.settings) as client:
        timeline = await client.get(b"ddnsd/clock/timeline")
    assert timeline is not None
    assert timeline.version == 2
    for store in stores:
        await store.close()


@pytest.mark.parametrize(
    "restore", [same_cluster, same_cluster_with_higher_revisions], ids=lambda way: way.__name__
)
async def test_commit_that_notices_is_not_done(rig: EtcdRig, restore: Restore) -> None:
    """Though what it compares is as it was."""
    async with opened(rig) as store:
        await until(partial(commit_notices, store, rig, restore))


async def commit_notices(store: EtcdStore, rig: EtcdRig, restore: Restore) -> bool:
    """Restore etcd, and commit as if it were not; False where the store noticed before there was a commit."""
    before = store.identity
    await put(store, "hosts/a")
    rig.ctl("snapshot", "save", str(rig.folder / "backup"))
    await put(store, "hosts/b")
    await asyncio.to_thread(restore, rig)
    if store.identity != before:
        return False
    with contextlib.suppress(RestoredError):
        assert isinstance(await commit(store, ConditionalWrite({}, {"hosts/a": b"new"})), Unknown)
    await until(lambda: is_new(store, before))
    assert (await store.snapshot("hosts/")).items["hosts/a"].value == b""
    return True
