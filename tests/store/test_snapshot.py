"""The watch cache when its watch has ended, and it loads a snapshot again."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ddnsd.model.records import RegistryHead, Work, WorkRequest
from ddnsd.store import keys, tables
from ddnsd.store.embedded import open_embedded
from ddnsd.store.interface import UnavailableError
from tests.rigs.parts import watch_cache
from tests.store.contract.actions import delete, put
from tests.tasks import running
from tests.waiting import hold_up, turn_loop, until

REQUEST = tables.encode(WorkRequest(Work.CHECK, "example.com", datetime.now(UTC)))


async def test_only_what_has_changed_is_read_again(tmp_path: Path) -> None:
    """Everything, of a hundred thousand hosts, would hold the loop for seconds."""
    store = await open_embedded(tmp_path / "store")
    cache = watch_cache(store)
    for id in ("same", "changed", "deleted"):
        await put(store, keys.request(id), REQUEST)
    async with running(cache.run()):
        await cache.current()
    touched: list[object] = []
    cache.subscribe(lambda places: touched.extend(place.id for place in places))
    await delete(store, keys.request("deleted"))
    for id in ("changed", "new"):
        await put(store, keys.request(id), REQUEST)
    async with running(cache.run()):
        await cache.current()
    assert cache.state.requests.keys() == {"same", "changed", "new"}
    assert sorted(map(str, touched)) == ["changed", "deleted", "new"]
    await store.close()


@pytest.mark.logs_errors
async def test_a_listener_hears_of_its_shelves_and_of_what_concerns_all(tmp_path: Path) -> None:
    store = await open_embedded(tmp_path / "store")
    cache = watch_cache(store)
    heard: list[list[object]] = []
    async with running(cache.run()):
        await cache.current()
        unsubscribe = cache.subscribe(
            lambda places: heard.append([place.id for place in places]), (keys.REQUESTS,)
        )
        await put(store, keys.REGISTRY, tables.encode(RegistryHead("one")))
        await put(store, keys.request("one"), REQUEST)
        await cache.current()
        assert heard == [["one"]]
        await put(store, "hosts/h.example.com", b'{"v":2}')  # of a later version: this node is outdated
        await until(lambda: heard[1:] != [])
        heard.clear()
        await delete(store, "hosts/h.example.com")
        await cache.current()
        assert heard == [[]]
        unsubscribe()
        await put(store, keys.request("two"), REQUEST)
        await cache.current()
        assert len(heard) == 1
    await store.close()


async def test_who_is_not_asked_for_in_time_is_refused_and_the_next_one_is_asked_for(tmp_path: Path) -> None:
    """As a rule the process was stopped: the question would be asked long after the caller's own time."""
    store = await open_embedded(tmp_path / "store")
    cache = watch_cache(store, 0.01)
    async with running(cache.run()):
        await cache.loaded()
        late = asyncio.create_task(cache.current())
        await turn_loop()  # it waits for its question now, which the next turn would ask
        hold_up(0.05)
        with pytest.raises(UnavailableError, match=r"this process did nothing for 0\.01 s"):
            await late
        cache.reconfigure(5.0)
        await cache.current()
    await store.close()
