"""A controller whose state stands still though the store answers: it would miss what others change."""

from pathlib import Path

from ddnsd.store import keys
from ddnsd.store.embedded import open_embedded
from ddnsd.store.standstill import Patience
from tests.kube.world import World
from tests.leader.node import embedded_nameservers, node_on
from tests.rigs.kubernetes import KubernetesRig
from tests.store.contract.actions import put
from tests.store.deaf import DistantStore
from tests.tasks import running
from tests.waiting import until

PATIENCE = Patience(watch=0.1, session=5, end=60)
PERIOD = 0.02


async def test_a_controller_leaves_its_election_until_its_state_is_current(
    kubernetes: KubernetesRig, resources: None, namespace: str, tmp_path: Path
) -> None:
    real = await open_embedded(tmp_path / "store")
    store = DistantStore(real, timeout=5)

    async def stands() -> bool:
        return bool((await real.snapshot(f"{keys.CONTROLLERS}/")).items)

    async def has_left() -> bool:
        return not await stands()

    async with (
        embedded_nameservers(tmp_path) as servers,
        node_on(store, servers, patience=PATIENCE) as node,
        running(node.cache.supervise(PERIOD)),
        World(kubernetes, store, node, tmp_path, namespace).controller(),
    ):
        await until(stands)
        store.delivers.clear()
        await put(real, "anything")
        await until(has_left)
        for _ in range(50):
            await store.revision()
            assert not await stands()
        store.delivers.set()
        await until(stands)
    await real.close()
