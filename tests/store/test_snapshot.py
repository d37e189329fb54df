"""The watch cache when its watch has ended, and it loads a snapshot again."""

from datetime import UTC, datetime
from pathlib import Path

from prometheus_client import CollectorRegistry

from ddnsd.model.records import Work, WorkRequest
from ddnsd.store import codec, keys
from ddnsd.store.embedded import open_embedded
from ddnsd.store.watch_cache import WatchCache
from ddnsd.telemetry.metrics import Metrics
from tests.store.contract.actions import delete, put
from tests.tasks import running

REQUEST = codec.encode(WorkRequest(Work.CHECK, "example.com", datetime.now(UTC)))


async def test_only_what_has_changed_is_read_again(tmp_path: Path) -> None:
    """Everything, of a hundred thousand hosts, would hold the loop for seconds."""
    store = await open_embedded(tmp_path / "store")
    cache = WatchCache(store, 5, Metrics(CollectorRegistry()))
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
