"""A leader of 20,000 names in 200 zones begins, as after a restart: what it costs, what it leaves alone."""

import asyncio
import gc
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from ddnsd.app.bootstrap import settle
from ddnsd.leader.context import LeaderPolicy
from ddnsd.model.addresses import Family
from ddnsd.model.records import RecordKey
from ddnsd.model.request import Updated
from ddnsd.nameserver.interface import Rcode, RRset, Update
from ddnsd.nameserver.rfc2136 import Rfc2136Nameserver
from ddnsd.nameserver.rfc2136.settings import Rfc2136Settings
from ddnsd.store.etcd import EtcdStoreSettings, open_etcd
from tests.leader.node import Node, node_on
from tests.leader.turns import TurnMeter, run_metered
from tests.rigs.etcd import EtcdRig, versions
from tests.rigs.filled import FilledBind, Names, fill
from tests.waiting import until

NAMES = Names(zones=200, hosts=100)
CHANGED = "h7.z150.example"
POLICY = LeaderPolicy(
    "_ddnsd", batch=200, reconcile_interval=3600, probe_interval=1.0, compact_after=0, timeout=8
)
LONGEST = 0.05  # seconds of CPU in one turn of the loop


class WatchedNameserver(Rfc2136Nameserver):
    """The adapter, and what was asked of it."""

    def __init__(self, settings: Rfc2136Settings) -> None:
        super().__init__(settings)
        self.begun = Counter[str]()  # transfers by zone
        self.ended = Counter[str]()
        self.written: list[str] = []  # names, those of the fences too
        self.at_once = 0

    async def transfer(self, zone: str) -> AsyncIterator[Sequence[RRset]]:
        self.begun[zone] += 1
        self.at_once = max(self.at_once, self.begun.total() - self.ended.total())
        async for part in super().transfer(zone):
            yield part
        self.ended[zone] += 1

    async def update(self, update: Update) -> Rcode:
        self.written += [each.name for each in update.changes]
        return await super().update(update)


@asynccontextmanager
async def restarted(rig: EtcdRig) -> AsyncIterator[tuple[Node, WatchedNameserver]]:
    """A node that has loaded everything, and is about to lead."""
    store = await open_etcd(EtcdStoreSettings(rig.settings))
    try:
        async with FilledBind(NAMES, await fill(store, NAMES)) as bind:
            nameserver = WatchedNameserver(bind.settings)
            async with node_on(store, {"default": nameserver}, policy=POLICY) as node:
                settle()  # as `serve` does
                yield node, nameserver
            await nameserver.close()
    finally:
        gc.unfreeze()
        await store.close()


def test_a_leader_of_many_zones_begins_without_a_long_turn() -> None:
    meter = TurnMeter()

    async def begin() -> None:
        with EtcdRig(versions()[-1]) as rig:
            async with restarted(rig) as (node, nameserver):
                meter.restart()
                change = asyncio.create_task(node.update(CHANGED, "10.150.1.7"))
                await until(lambda: RecordKey(CHANGED, Family.A) in node.state.unpublished)
                node.lead()  # it begins with a change that waits
                assert isinstance(await change, Updated)
                leader = node.state.leader
                assert leader is not None
                await until(lambda: nameserver.ended.total() >= len(NAMES.zones))
                assert node.state.leader == leader, "its lease was kept"
                assert set(nameserver.begun.values()) == {1}, "each zone was transferred once"
                assert nameserver.at_once == 4
                pushed = [name for name in nameserver.written if not name.startswith("_ddnsd.")]
                assert pushed == [CHANGED], "nothing else had changed"
                assert nameserver.written.index(CHANGED) < len(NAMES.zones) / 2, "its zone came first"

    run_metered(meter, begin())
    assert meter.longest < LONGEST
