"""What a waiting request is told: over the real store, with a leader whose every step is the test's."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest

from ddnsd.model.addresses import Family
from ddnsd.model.publication import Wanted, wanted
from ddnsd.model.ratelimit import Rate
from ddnsd.model.records import (
    Installation,
    Placement,
    PlacementState,
    Published,
    PublishError,
    RecordKey,
    Stored,
)
from ddnsd.model.request import Limited, Refusal, Request, Unchanged, Updated, UpdateResult
from ddnsd.model.resources import Kind, digest
from ddnsd.service.limits import FairUse, FairUseLimits
from ddnsd.service.update import UpdatePolicy, UpdateService
from ddnsd.store import keys, tables
from ddnsd.store.embedded import open_embedded
from ddnsd.store.interface import ConditionalWrite, Done
from tests.leader.faults import Fault, FaultyStore, Trigger
from tests.rigs.documents import document
from tests.service.registry_node import Node, account, host, node_on, zone
from tests.waiting import turn_loop, until

ZONE, BLOG = "example.com", "blog.example.com"
BLOG_A = RecordKey(BLOG, Family.A)
PLACEMENT = Placement(ZONE, "default")
SECRET = "secret"
NOW = datetime.now(UTC)
ONE = (Updated(BLOG, "192.0.2.1", Family.A, ""),)
TWO = (Updated(BLOG, "192.0.2.2", Family.A, "192.0.2.1"),)


class Desk:
    """A node's update service, and what the leader would write."""

    def __init__(self, node: Node, service: UpdateService) -> None:
        self.node = node
        self.service = service
        self.waited = 0  # how often there was nothing left to wait for but the nameserver

    async def ask(self, ip: str = "192.0.2.1") -> UpdateResult:
        answered: asyncio.Future[UpdateResult] = asyncio.get_running_loop().create_future()
        requests = (Request(BLOG, ip, SECRET, ""),)
        self.service.submit(requests, lambda answer, _: answered.set_result(answer), waits=self._count)
        return await answered

    def _count(self) -> None:
        assert self.node.cache.state.addresses.get(BLOG_A), "it is committed"
        self.waited += 1

    async def asking(self, ip: str = "192.0.2.1") -> asyncio.Task[UpdateResult]:
        """Ask, and wait until the address is committed."""
        await turn_loop()  # who was answered just now is in flight no more
        before = self.service.in_flight
        task = asyncio.create_task(self.ask(ip))
        await until(lambda: self.has_committed(ip) and self.service.in_flight > before)
        assert not task.done()
        return task

    def has_committed(self, ip: str) -> bool:
        entry = self.node.cache.state.addresses.get(BLOG_A)
        return entry is not None and entry.value.ip == ip

    @property
    def want(self) -> Wanted:
        want = wanted(self.node.cache.state, BLOG_A)
        assert want is not None
        return want

    async def publish(self) -> None:
        want = self.want
        await self.write(keys.published(BLOG_A), Published(want.revision, want.ip, want.ttl, "default", NOW))

    async def refuse(self, ago: float = 0.0) -> None:
        """Refuse what is committed; `ago` in seconds."""
        want, at = self.want, datetime.now(UTC) - timedelta(seconds=ago)
        error = PublishError(want.revision, "REFUSED", at, "default")
        await self.write(keys.published(BLOG_A), Published(0, "", want.ttl, "default", error=error))

    async def verify(self, *, verified: bool = True) -> None:
        await self.write(
            keys.placement(PLACEMENT), PlacementState(self.node.cache.identity if verified else "")
        )

    async def write(self, key: str, value: Stored) -> None:
        outcome = await self.node.commits.commit(ConditionalWrite({}, {key: tables.encode(value)}))
        assert isinstance(outcome, Done)
        await self.node.cache.current()


@asynccontextmanager
async def desk_in(
    folder: Path,
    *,
    timeout: float = 8.0,
    store_timeout: float = 5.0,
    trigger: Trigger | None = None,
    limits: FairUseLimits | None = None,
) -> AsyncIterator[Desk]:
    store = await open_embedded(folder)
    try:
        async with node_on(store) as admin:
            token = document("Token", "router", account="alice", sha256=digest(SECRET))
            await admin.registry.apply([zone(ZONE), account("alice"), token, host(BLOG)])
            faulty = FaultyStore(store, trigger or Trigger(Fault.LOST, 0))
            async with node_on(faulty) as node:
                fair_use = FairUse(limits) if limits else None
                service = node.update_service(timeout=timeout, store_timeout=store_timeout, fair_use=fair_use)
                desk = Desk(node, service)
                yield desk
                await desk.service.drain()
    finally:
        await store.close()


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with desk_in(tmp_path) as desk:
        await desk.verify()
        yield desk


async def test_who_asks_is_told_when_it_waits_for_the_nameserver_alone(desk: Desk) -> None:
    asking = await desk.asking()
    await until(lambda: desk.waited == 1)
    await desk.publish()
    assert await asking == ONE
    assert await desk.ask() == (Unchanged(BLOG, "192.0.2.1", Family.A),)
    assert desk.waited == 1


async def test_change_waits_for_its_publication(desk: Desk) -> None:
    asking = await desk.asking()
    await desk.write("installation", Installation("x"))  # anything else that happens
    assert not asking.done()
    await desk.publish()
    assert await asking == ONE


async def test_published_is_unchanged(desk: Desk) -> None:
    asking = await desk.asking()
    await desk.publish()
    await asking
    assert await desk.ask() == (Unchanged(BLOG, "192.0.2.1", Family.A),)


async def test_pending_is_joined_with_its_predecessor(desk: Desk) -> None:
    first = await desk.asking()
    await desk.publish()
    await first
    changes = [await desk.asking("192.0.2.2") for _ in range(3)]
    revision = desk.want.revision
    await desk.publish()
    assert await asyncio.gather(*changes) == [TWO] * 3
    assert desk.want.revision == revision, "one commit for all of them"


async def test_newer_value_answers_for_an_older(desk: Desk) -> None:
    one = await desk.asking()
    two = await desk.asking("192.0.2.2")
    assert not one.done()
    await desk.publish()
    assert (await one, await two) == (ONE, TWO)


async def test_refused_is_told_from_what_is_stored_and_a_new_attempt_after_a_while(desk: Desk) -> None:
    asking = await desk.asking()
    revision = desk.want.revision
    await desk.refuse()
    assert await asking is Refusal.NAMESERVER_FAILED
    history = desk.node.cache.state.history[BLOG]
    for _ in range(3):
        assert await desk.ask() is Refusal.NAMESERVER_FAILED
    assert desk.want.revision == revision, "nothing is committed"
    await desk.refuse(ago=6)
    again = await desk.asking()
    await until(lambda: desk.want.revision > revision)
    await desk.publish()
    assert await again == ONE, "a new attempt has the predecessor of the first"
    assert desk.node.cache.state.history[BLOG] == history
    assert desk.node.cache.state.addresses[BLOG_A].value.again == 1


@pytest.mark.parametrize("change", ["deleted", "narrowed", "given away"])
async def test_host_gone_meanwhile(desk: Desk, change: str) -> None:
    asking = await desk.asking()
    registry = desk.node.registry
    if change == "deleted":
        await registry.delete(Kind.HOST, BLOG)
    elif change == "narrowed":
        await registry.apply([host(BLOG, families=["AAAA"])])
    else:
        await registry.apply([account("bob"), host(BLOG, "bob")])
    assert await asking is Refusal.NOT_FOUND


async def test_not_published_at_the_deadline(tmp_path: Path) -> None:
    async with desk_in(tmp_path, timeout=0.2) as desk:
        await desk.verify()
        started = asyncio.get_running_loop().time()
        assert await desk.ask() is Refusal.NAMESERVER_FAILED
        assert 0.2 <= asyncio.get_running_loop().time() - started < 1
        again = await desk.asking()  # the change stays, and a retry joins it
        await desk.publish()
        assert await again == ONE


async def test_only_so_many_requests_wait_and_of_the_others_nothing_ishas_committed(tmp_path: Path) -> None:
    many = Rate(1000, 1000)
    limits = FairUseLimits(True, many, many, many, many, many, token_waiting=2)
    async with desk_in(tmp_path, limits=limits) as desk:
        await desk.verify()
        waiting = [await desk.asking(), await desk.asking()]
        revision = desk.want.revision
        assert await desk.ask("192.0.2.2") == Limited(1.0)
        assert desk.want.revision == revision
        await desk.publish()
        assert await asyncio.gather(*waiting) == [ONE, ONE]
        other = await desk.asking("192.0.2.2")
        await desk.publish()
        assert await other == TWO


async def test_where_nothing_was_published_for_long_nobody_waits(tmp_path: Path) -> None:
    async with desk_in(tmp_path, timeout=2.0) as desk:
        await desk.write(
            keys.placement(PLACEMENT), PlacementState(desk.node.cache.identity, error="no answer")
        )
        assert await desk.ask() is Refusal.NAMESERVER_FAILED
        assert desk.waited == 1, "until its deadline"
        assert await desk.ask("192.0.2.2") is Refusal.NAMESERVER_FAILED
        assert desk.waited == 1, "at once"
        assert desk.want.ip == "192.0.2.2", "the change stays"
        desk.service.reconfigure(UpdatePolicy(private=True, timeout=60.0, store_timeout=5.0))
        await desk.verify()
        again = await desk.asking("192.0.2.2")
        await desk.publish()
        assert await again == TWO


async def test_unverified_zone_is_waited_for(desk: Desk) -> None:
    """Published it is, but the zone has lost its fence: "unchanged" only once it has been compared."""
    first = await desk.asking()
    await desk.publish()
    await first
    await desk.verify(verified=False)
    again = await desk.asking()
    assert not again.done()
    await desk.verify()
    assert await again == (Unchanged(BLOG, "192.0.2.1", Family.A),)


async def test_ttl_is_no_business_of_a_clients(desk: Desk) -> None:
    first = await desk.asking()
    await desk.publish()
    await first
    await desk.node.registry.apply([host(BLOG, ttl=33)])
    assert await desk.ask() == (Unchanged(BLOG, "192.0.2.1", Family.A),)


async def test_revoked_while_the_store_decides(desk: Desk) -> None:
    """The commit names all that was read: one of a token deleted before it is no commit."""
    asking = asyncio.create_task(desk.ask())
    await desk.node.registry.delete(Kind.TOKEN, "router")
    assert await desk.ask("192.0.2.9") is Refusal.UNKNOWN_TOKEN
    entry = desk.node.cache.state.addresses.get(BLOG_A)
    if entry is None:
        assert await asking is Refusal.UNKNOWN_TOKEN
    else:
        await desk.publish()
        assert await asking == ONE


@pytest.mark.parametrize("fault", [Fault.UNANSWERED, Fault.LATE])
async def test_lost_answer_of_the_store(tmp_path: Path, fault: Fault) -> None:
    """It is sent again, and is done once."""
    trigger = Trigger(fault, 1)
    async with desk_in(tmp_path, trigger=trigger) as desk:
        asking = await desk.asking()
        assert trigger.happened
        await desk.node.cache.current()
        assert desk.want.ip == "192.0.2.1"
        assert desk.node.cache.state.addresses[BLOG_A].created == desk.want.revision
        await desk.publish()
        assert await asking == ONE


async def test_store_away(tmp_path: Path) -> None:
    async with desk_in(tmp_path, trigger=Trigger(Fault.LOST, 1)) as desk:
        assert await desk.ask() is Refusal.STORE_FAILED
        assert BLOG_A not in desk.node.cache.state.addresses


async def test_store_silent(tmp_path: Path) -> None:
    trigger = Trigger(Fault.DEATH_BEFORE, 1)
    async with desk_in(tmp_path, store_timeout=0.2, trigger=trigger) as desk:
        assert await desk.ask() is Refusal.STORE_FAILED
        trigger.buried.set()


async def test_nothing_is_left_of_a_thousand_requests(desk: Desk) -> None:
    for turn in range(20):
        asking = [asyncio.create_task(desk.ask(f"192.0.2.{turn}")) for _ in range(50)]
        await until(lambda: desk.service.in_flight == 50)
        await until(partial(desk.has_committed, f"192.0.2.{turn}"))
        await desk.publish()
        await asyncio.gather(*asking)
    async with asyncio.timeout(1):
        await desk.service.drain()
    assert desk.service.in_flight == 0
