"""A leader of 20,000 names in 200 zones begins, as after a restart: what it costs, what it leaves alone."""

import asyncio
import gc
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from ddnsd.app.collector import settle
from ddnsd.leader.mandate import LeaderPolicy
from ddnsd.model.addresses import Family
from ddnsd.model.answers import Updated
from ddnsd.model.fence import Fence, Owner
from ddnsd.model.records import Committed, Footprint, Published, RecordKey, Resource, Site
from ddnsd.model.resources import AccountSpec, HostSpec, Kind, TokenSpec, ZoneSpec
from ddnsd.model.tokens import digest
from ddnsd.nameserver.interface import Rcode, RRset
from ddnsd.nameserver.interface import Update as DnsUpdate
from ddnsd.nameserver.rfc2136 import Rfc2136Nameserver
from ddnsd.nameserver.rfc2136.settings import Rfc2136Settings
from ddnsd.store import codec, keys
from ddnsd.store.etcd import EtcdStore, EtcdStoreSettings, open_etcd
from ddnsd.store.installation import installation_owner
from ddnsd.store.interface import Done, Store, Update
from tests.leader.node import SECRET, Node, node_on
from tests.leader.turns import TurnMeter, run_metered
from tests.rigs.bind import BindRig
from tests.rigs.etcd import EtcdRig, versions

ZONES = [f"z{number:03}.example" for number in range(200)]
HOSTS = 100  # in each zone
NOW = datetime(2026, 11, 30, tzinfo=UTC)
POLICY = LeaderPolicy("_ddnsd", batch=200, reconcile_interval=3600, probe_interval=1.0, compact_after=0)
LONGEST = 0.05  # seconds of CPU in one turn of the loop


def hosts_of(zone: str) -> Iterator[tuple[str, str]]:
    number = ZONES.index(zone)
    return ((f"h{host}.{zone}", f"10.{number}.0.{host}") for host in range(HOSTS))


class FilledBind(BindRig):
    """BIND, as a leader has left it: with the records, and a fence of the owner's."""

    def __init__(self, owner: Owner) -> None:
        super().__init__(ZONES)
        self._owner = owner

    def zone_file(self, zone: str) -> str:
        fence = Fence(self._owner, 1, "before").text
        lines = [f"{name}. 60 A {ip}" for name, ip in hosts_of(zone)]
        return "\n".join((super().zone_file(zone), f'_ddnsd.{zone}. 60 TXT "{fence}"', *lines, ""))


async def fill(store: EtcdStore) -> None:
    """Put into the store what it holds when all is published."""
    owner = await installation_owner(store)
    await put(store, documents())
    committed = {
        keys.address(RecordKey(name, Family.A)): codec.encode(Committed(ip, "", "commit", NOW))
        for zone in ZONES
        for name, ip in hosts_of(zone)
    }
    revision = await put(store, committed)
    published = {
        keys.published(RecordKey(name, Family.A)): codec.encode(Published(revision, ip, 60, "default", NOW))
        for zone in ZONES
        for name, ip in hosts_of(zone)
    }
    footprint = codec.encode(Footprint(verified_in=owner.cluster))
    await put(store, published | {keys.footprint(Site(zone, "default")): footprint for zone in ZONES})


def documents() -> dict[str, bytes]:
    zones = {keys.resource(Kind.ZONE, zone): codec.encode(Resource(ZoneSpec())) for zone in ZONES}
    host = codec.encode(Resource(HostSpec("alice")))
    hosts = {keys.resource(Kind.HOST, name): host for zone in ZONES for name, _ in hosts_of(zone)}
    account = {keys.resource(Kind.ACCOUNT, "alice"): codec.encode(Resource(AccountSpec()))}
    token = Resource(TokenSpec("alice", digest(SECRET)))
    return zones | hosts | account | {keys.resource(Kind.TOKEN, "router"): codec.encode(token)}


async def put(store: Store, values: dict[str, bytes]) -> int:
    """Commit all values; return the newest revision."""
    newest, items = 0, list(values.items())
    for start in range(0, len(items), 100):
        (outcome,) = await store.commit([Update({}, dict(items[start : start + 100]))])
        assert isinstance(outcome, Done)
        newest = outcome.revision
    return newest


class WatchedNameserver(Rfc2136Nameserver):
    """The adapter, and what was asked of it."""

    def __init__(self, settings: Rfc2136Settings) -> None:
        super().__init__(settings)
        self.begun = Counter[str]()  # transfers by zone
        self.ended = Counter[str]()
        self.pushed: list[str] = []  # names, but for the fences
        self.at_once = 0

    async def transfer(self, zone: str) -> AsyncIterator[Sequence[RRset]]:
        self.begun[zone] += 1
        self.at_once = max(self.at_once, self.begun.total() - self.ended.total())
        async for part in super().transfer(zone):
            yield part
        self.ended[zone] += 1

    async def update(self, update: DnsUpdate) -> Rcode:
        self.pushed += [each.name for each in update.changes if not each.name.startswith("_ddnsd.")]
        return await super().update(update)


@asynccontextmanager
async def restarted(rig: EtcdRig) -> AsyncIterator[tuple[Node, WatchedNameserver]]:
    """A node that has loaded everything, and is about to lead."""
    store = await open_etcd(EtcdStoreSettings(rig.settings))
    try:
        await fill(store)
        async with FilledBind(await installation_owner(store)) as bind:
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
                node.lead()
                assert isinstance(await node.update("h7.z150.example", "10.150.1.7"), Updated)
                leader = node.state.leader
                assert leader is not None
                async with asyncio.timeout(60):
                    while nameserver.ended.total() < len(ZONES):
                        await asyncio.sleep(0.05)
                assert node.state.leader == leader, "its lease was kept"
                assert set(nameserver.begun.values()) == {1}, "each zone was transferred once"
                assert nameserver.at_once == 4
                assert nameserver.pushed == ["h7.z150.example"], "nothing else had changed"

    run_metered(meter, begin())
    assert meter.longest < LONGEST
