"""A leader whose state stands still though the store answers: it publishes nothing, and another should."""

from pathlib import Path

from ddnsd.model.resources import Kind
from ddnsd.store import keys
from ddnsd.store.embedded import open_embedded
from ddnsd.store.standstill import Patience, Stage
from tests.leader.node import embedded_nameservers, example, node_on
from tests.store.contract.actions import put
from tests.store.deaf import DistantStore
from tests.tasks import running
from tests.waiting import until

PATIENCE = Patience(watch=0.1, session=5, end=60)
PERIOD = 0.02


async def test_a_leader_resigns_and_stands_in_no_election_until_its_state_is_current(tmp_path: Path) -> None:
    real = await open_embedded(tmp_path / "store")
    store = DistantStore(real, timeout=5)

    async def stands() -> bool:
        return bool((await real.snapshot(f"{keys.ELECTION}/")).items)

    async def has_left() -> bool:
        return not await stands()

    async with (
        embedded_nameservers(tmp_path) as servers,
        node_on(store, servers, patience=PATIENCE) as node,
        running(node.cache.supervise(PERIOD)),
    ):
        node.lead()
        await node.apply(*example())
        await node.published()
        store.delivers.clear()
        await put(real, "anything")
        await until(has_left)
        assert node.cache.standstill is Stage.WATCH
        for _ in range(50):
            await store.revision()
            assert not await stands()
        store.delivers.set()
        await node.until(lambda: node.cache.standstill is Stage.NONE)
        await until(stands)
        await node.delete(Kind.ZONE, "example.com", cascade=True)
    await real.close()
