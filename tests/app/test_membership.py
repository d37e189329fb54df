"""A node among the members, and what it notices of the others' clocks."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from ddnsd.app.membership import Membership
from ddnsd.app.status import Clocks
from ddnsd.model.records import Beat, RegistryHead
from ddnsd.store import keys, tables
from ddnsd.store.embedded import EmbeddedStore, open_embedded
from ddnsd.store.interface import ConditionalWrite, Registration, Store
from ddnsd.store.watch_cache import WatchCache
from tests.leader.node import member
from tests.rigs.forwarding import ForwardingStore
from tests.rigs.parts import watch_cache
from tests.tasks import running
from tests.waiting import turn_loop, until


@asynccontextmanager
async def watched(folder: Path) -> AsyncIterator[tuple[EmbeddedStore, WatchCache]]:
    store = await open_embedded(folder / "store")
    cache = watch_cache(store)
    async with running(cache.run()):
        await cache.loaded()
        yield store, cache
    await store.close()


async def test_what_a_node_says_of_itself_changes_at_once(tmp_path: Path) -> None:
    async with watched(tmp_path) as (store, cache):
        membership = Membership(store, cache, "me", member(["default"]))
        async with running(membership.run()):
            await until(lambda: "me" in cache.state.members)
            membership.reconfigure(member(["default", "second"], priority=5))
            await until(lambda: cache.state.members["me"].value.priority == 5)


async def test_member_goes_with_its_node(tmp_path: Path) -> None:
    async with watched(tmp_path) as (store, cache):
        async with running(Membership(store, cache, "me", member(["default"])).run()):
            await until(lambda: "me" in cache.state.members)
            shown = cache.state.members["me"].value
            assert abs(shown.beat.at - datetime.now(UTC)) < timedelta(seconds=5)
            assert shown.nameservers == {"default"}
        await until(lambda: "me" not in cache.state.members)


async def test_member_that_ends_while_it_registers_is_none(tmp_path: Path) -> None:
    """Its key may be written although nobody waits for the answer any more."""
    async with watched(tmp_path) as (store, cache):
        for turns in range(1, 20):
            registering = asyncio.create_task(store.register("me", tables.encode(member(["default"]))))
            await turn_loop(turns)
            registering.cancel()
            (end,) = await asyncio.gather(registering, return_exceptions=True)
            if not isinstance(end, BaseException):
                await end.close()
            await store.commit([ConditionalWrite({}, {keys.REGISTRY: tables.encode(RegistryHead("later"))})])
            await cache.current()
            assert "me" not in cache.state.members


@pytest.mark.logs_errors
async def test_outdated_node_is_no_member(tmp_path: Path) -> None:
    """Else the others would leave leadership to it."""
    async with (
        watched(tmp_path) as (store, cache),
        running(Membership(store, cache, "me", member(["default"]), retry_after=0.1).run()),
    ):
        await until(lambda: "me" in cache.state.members)
        await store.commit([ConditionalWrite({}, {"hosts/h.example.com": b'{"v":2}'})])
        await until(lambda: "me" not in cache.state.members, 5, "noticed before its next beat")
        await store.commit([ConditionalWrite({}, deletes=frozenset({"hosts/h.example.com"}))])
        await until(lambda: "me" in cache.state.members)


class SlowToRegister(ForwardingStore):
    """A store that registers nobody before the test lets it."""

    def __init__(self, real: Store) -> None:
        super().__init__(real)
        self.is_asked, self.passes = asyncio.Event(), asyncio.Event()

    async def register(self, name: str, value: bytes) -> Registration:
        self.is_asked.set()
        await self.passes.wait()
        return await super().register(name, value)


@pytest.mark.logs_errors
async def test_node_that_becomes_outdated_while_it_registers_is_no_member(tmp_path: Path) -> None:
    """Nothing else happens then that would have it look again."""
    async with watched(tmp_path) as (store, cache):
        slow = SlowToRegister(store)
        async with running(Membership(slow, cache, "me", member(["default"]), retry_after=0.1).run()):
            await slow.is_asked.wait()
            await store.commit([ConditionalWrite({}, {"hosts/h.example.com": b'{"v":2}'})])
            await until(lambda: cache.preserved.obstacle != "")
            watch = store.watch(keys.member("me"), cache.revision + 1)
            slow.passes.set()
            (registered,) = (await asyncio.wait_for(anext(watch), 5)).changes.values()
            assert registered is not None
            (gone,) = (await asyncio.wait_for(anext(watch), 5)).changes.values()  # before its next beat
            assert gone is None
            await store.commit([ConditionalWrite({}, deletes=frozenset({"hosts/h.example.com"}))])
            await until(lambda: "me" in cache.state.members)


async def test_node_that_cannot_be_current_is_no_member(tmp_path: Path) -> None:
    """Nor can it lead: the others must not leave that to it. It is noticed at its next beat."""
    store = await open_embedded(tmp_path / "store")
    cache = watch_cache(store, 0.2)
    async with running(Membership(store, cache, "me", member([]), every=0.2).run()):
        async with running(cache.run()):
            await until(lambda: "me" in cache.state.members)
        await store.commit([ConditionalWrite({}, {keys.request("unseen"): b"{}"})])  # its watch stands still
        watch = store.watch(keys.member("me"), cache.revision + 1)
        (item,) = (await asyncio.wait_for(anext(watch), 15)).changes.values()
        assert item is None
        async with running(cache.run()):
            await until(lambda: "me" in cache.state.members)
    await store.close()


async def test_clock_of_another_member_is_compared_when_it_beats(tmp_path: Path) -> None:
    async with watched(tmp_path) as (store, cache):
        clocks = Clocks(cache)
        ahead = msgspec.structs.replace(
            member([]), beat=Beat(datetime.now(UTC) + timedelta(seconds=90), 1, 0.0)
        )
        for _ in range(2):
            await store.commit([ConditionalWrite({}, {keys.member("fast"): tables.encode(ahead)})])
        await until(lambda: "fast" in clocks.differences)
        assert clocks.differences["fast"] == pytest.approx(90, abs=5)
        await store.commit([ConditionalWrite({}, deletes=frozenset({keys.member("fast")}))])
        await until(lambda: not clocks.differences)
