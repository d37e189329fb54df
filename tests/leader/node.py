"""A node as `app.node` wires it, without HTTP: the real store, the real nameserver, the real leader."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from ddnsd.leader.candidate import Candidate, Preference
from ddnsd.leader.context import ExpiryPace, LeaderPolicy
from ddnsd.model.addresses import Family
from ddnsd.model.publication import is_verified
from ddnsd.model.records import Beat, Member, Placement, RecordKey, Work
from ddnsd.model.request import HostResult, Limited, Refusal, Request, UpdateResult
from ddnsd.model.resources import Kind, digest
from ddnsd.model.state import State
from ddnsd.nameserver.embedded import EmbeddedNameserver, EmbeddedSettings
from ddnsd.nameserver.interface import Nameserver, RecordType
from ddnsd.service.registry import Registry
from ddnsd.service.update import UpdateService
from ddnsd.store.embedded import open_embedded
from ddnsd.store.interface import Store
from ddnsd.store.standstill import Patience
from tests.model.whole_zone import contents, is_settled
from tests.rigs.documents import document
from tests.rigs.parts import Parts, at_work, parts_on
from tests.waiting import until

ZONE, BLOG = "example.com", "blog.example.com"
SECRET = "test-secret-0123456789"
POLICY = LeaderPolicy(
    "_ddnsd", batch=200, reconcile_interval=3600, probe_interval=0.05, compact_after=0, timeout=1
)
LOOK = 10.0  # seconds of a test's `Clock` between two looks of the leader for what has expired
_STANDSTILL = Patience.of(5)
PATIENCE = 10.0  # seconds; nothing here takes more than a fraction of one


class Clock:
    """The leader's clocks, which stand still until a test moves them; the wall clock can be set, too."""

    def __init__(self) -> None:
        self._passed = 0.0
        self._set_by = timedelta()
        self._began = datetime.now(UTC)
        self._sleepers: list[tuple[float, asyncio.Future[None]]] = []

    def wall(self) -> datetime:
        return self._began + timedelta(seconds=self._passed) + self._set_by

    def steady(self) -> float:
        return self._passed

    async def rest(self, seconds: float) -> None:
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._sleepers.append((self._passed + seconds, woken))
        await woken

    def set(self, by: timedelta) -> None:
        """Set the wall clock."""
        self._set_by += by

    def stop_process(self, seconds: float) -> None:
        """Let time pass in one piece, in which nobody could do anything."""
        self._passed += seconds
        self._wake()

    async def move(self, seconds: float) -> None:
        """Let time pass, while the leader looks for what has expired as often as it does."""
        end = self._passed + seconds
        while True:
            await until(lambda: bool(self._sleepers), what="the leader's sleep")
            due = min(due for due, _ in self._sleepers)
            if due > end:
                self._passed = end
                return
            self._passed = due
            self._wake()

    def _wake(self) -> None:
        due = [woken for at, woken in self._sleepers if at <= self._passed]
        self._sleepers = [(at, woken) for at, woken in self._sleepers if at > self._passed]
        for woken in due:
            if not woken.done():
                woken.set_result(None)

    def policy(self, *, grace: float = 0.0, at_once: int = 200) -> LeaderPolicy:
        """Return a policy by these clocks, with a look every `LOOK` seconds."""
        pace = ExpiryPace(
            period=LOOK, grace=grace, at_once=at_once, wall=self.wall, steady=self.steady, sleep=self.rest
        )
        return replace(POLICY, expiry=pace)


@dataclass
class Node(Parts):
    """One node. It leads from `lead()` on."""

    registry: Registry
    updates: UpdateService
    candidate: Candidate
    preference: Preference
    _leading: list[asyncio.Task[None]] = field(default_factory=list)

    @property
    def state(self) -> State:
        return self.cache.state

    def lead(self) -> None:
        self._leading.append(asyncio.create_task(self.candidate.run(), name="candidate"))

    async def stop_leading(self) -> None:
        """End the leader wherever it is, as the death of its process would, but for the open sockets."""
        while self._leading:
            task = self._leading.pop()
            task.cancel()
            (end,) = await asyncio.gather(task, return_exceptions=True)
            assert isinstance(end, asyncio.CancelledError), end

    async def apply(self, *documents: dict[str, Any]) -> None:
        await self.registry.apply(documents)

    async def delete(self, kind: Kind, name: str, *, cascade: bool = False) -> None:
        await self.registry.delete(kind, name, cascade=cascade)

    async def ask(self, *requests: Request) -> UpdateResult:
        """Send requests that are done together; return the answer."""
        answered: asyncio.Future[UpdateResult] = asyncio.get_running_loop().create_future()
        self.updates.submit(requests, lambda answer, _: answered.set_result(answer))
        return await answered

    async def update(self, name: str, ip: str) -> Refusal | Limited | HostResult:
        """Send one update and return what became of its one record."""
        answer = await self.ask(Request(name, ip, SECRET, ""))
        if isinstance(answer, Refusal | Limited):
            return answer
        (result,) = answer
        return result

    async def repair(self, zone: str = ZONE) -> None:
        """Have the leader compare the zone with the store, and mend it."""
        done = await self.registry.work.finished(
            await self.registry.work.request(zone, Work.REPAIR), PATIENCE
        )
        assert done is not None
        assert not done.failure, done

    async def published(self, zone: str = ZONE) -> None:
        """Wait until nothing is left to do: all published and verified, no tombstone, one placement."""

        def quiet() -> bool:
            state, spec = self.state, self.state.zones[zone].value.spec
            return (
                is_settled(state, zone)
                and is_verified(state, Placement(zone, spec.nameserver))
                and len(list(state.placements.of(zone))) == 1
                and not any(entry.value.is_tombstone for entry in state.addresses.values())
            )

        await self.until(quiet)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until the state, as this node knows it, fulfils the condition."""
        await until(condition, what=lambda: f"{self.state.published} {self.state.placements}")

    def wanted(self, zone: str = ZONE) -> dict[RecordKey, tuple[str, int]]:
        """Return address and TTL of each record that the zone shall have."""
        placement = Placement(zone, self.state.zones[zone].value.spec.nameserver)
        wants = (want for want in contents(self.state, placement.zone) if want.placement == placement)
        return {want.record: (want.ip, want.ttl) for want in wants}


def member(nameservers: Collection[str], *, eligible: bool = True, priority: int = 0) -> Member:
    now = datetime.now(UTC)
    return Member("node", "", "0", now, frozenset(nameservers), eligible, priority, {}, Beat(now, 0, 0))


@asynccontextmanager
async def node_on(
    store: Store,
    nameservers: Mapping[str, Nameserver],
    *,
    policy: LeaderPolicy = POLICY,
    timeout: float = 8.0,
    me: str = "node",
    patience: Patience = _STANDSTILL,
    **leader: Any,
) -> AsyncIterator[Node]:
    """Run a node on a store, which may have several; `leader` is what it says of itself as a member."""
    parts = parts_on(store, 5.0, patience)
    cache, commits = parts.cache, parts.commits
    registry = Registry(cache, commits, nameservers=frozenset(nameservers), timeout=5.0)
    updates = parts.update_service(timeout=timeout)
    preference = Preference(cache, me, member(nameservers, **leader))
    candidate = Candidate(store, cache, commits, nameservers, preference, policy, parts.metrics)
    node = Node(**vars(parts), registry=registry, updates=updates, candidate=candidate, preference=preference)
    async with at_work(parts):
        try:
            yield node
        finally:
            await node.stop_leading()
            await updates.drain()


@asynccontextmanager
async def embedded_nameservers(
    folder: Path, *names: str, zones: tuple[str, ...] = ()
) -> AsyncIterator[Mapping[str, EmbeddedNameserver]]:
    """Run embedded nameservers, with fences like any other's."""
    servers = {}
    try:
        for name in names or ("default",):
            settings = EmbeddedSettings(name=name, listen=(("127.0.0.1", 0),), folder=folder / name)
            servers[name] = await EmbeddedNameserver.start(settings, zones)
        yield servers
    finally:
        for server in servers.values():
            await server.close()


@asynccontextmanager
async def single_node(
    folder: Path, *names: str, **settings: Any
) -> AsyncIterator[tuple[Node, Mapping[str, Any]]]:
    """Run a leading node with a store and embedded nameservers of its own."""
    store = await open_embedded(folder / "store")
    try:
        async with (
            embedded_nameservers(folder, *names) as servers,
            node_on(store, servers, **settings) as node,
        ):
            node.lead()
            yield node, servers
    finally:
        await store.close()


async def served(nameserver: Nameserver, zone: str = ZONE) -> dict[RecordKey, tuple[str, int]]:
    """Return address and TTL of each record that a nameserver has."""
    found = {}
    async for part in nameserver.transfer(zone):
        for rrset in part:
            if rrset.type in (RecordType.A, RecordType.AAAA):
                (value,) = rrset.values
                found[RecordKey(rrset.name, Family(rrset.type.value))] = (value, rrset.ttl)
    return found


async def zone_of(nameserver: Nameserver, zone: str = ZONE) -> dict[tuple[str, str], tuple[str, ...]]:
    """Return all that a nameserver has by owner name and type, but for the SOA and the fence."""
    found = {}
    async for part in nameserver.transfer(zone):
        for rrset in part:
            if rrset.type is not RecordType.SOA and not rrset.name.startswith(POLICY.fence_label):
                found[rrset.name, rrset.type.value] = rrset.values
    return found


def host(name: str = BLOG, **spec: Any) -> dict[str, Any]:
    return document("Host", name, account="alice", **spec)


def zone(name: str = ZONE, **spec: Any) -> dict[str, Any]:
    return document("Zone", name, **spec)


def example(*hosts: str, nameserver: str = "default") -> list[dict[str, Any]]:
    """One zone, one account with a token, and hosts."""
    return [
        zone(nameserver=nameserver),
        document("Account", "alice"),
        document("Token", "router", account="alice", sha256=digest(SECRET)),
        *map(host, hosts or (BLOG,)),
    ]
