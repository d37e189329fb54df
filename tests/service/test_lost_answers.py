"""Answers of etcd that are lost on their way to a node, while another node goes on: done is done, once."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import pytest

from ddnsd.model.addresses import Family
from ddnsd.model.publication import wanted
from ddnsd.model.records import Placement, PlacementState, Published, RecordKey, entries
from ddnsd.model.request import Refusal, Request, Updated, UpdateResult
from ddnsd.model.resources import Kind, digest
from ddnsd.service.registry import StoreFailedError
from ddnsd.service.registry.results import Result
from ddnsd.service.update import UpdateService
from ddnsd.store import keys, tables
from ddnsd.store.etcd import EtcdStore, EtcdStoreSettings, open_etcd
from ddnsd.store.interface import ConditionalWrite, Done
from tests.rigs.documents import document
from tests.rigs.etcd import EtcdRig, versions
from tests.rigs.relay import Relay, relay_to
from tests.service.registry_node import Node, account, host, node_on, zone
from tests.waiting import until

ZONE, BLOG = "example.com", "blog.example.com"
BLOG_A = RecordKey(BLOG, Family.A)
SECRET = "secret"
OLD, X, Y = "192.0.2.1", "192.0.2.2", "192.0.2.3"
TIMEOUT = 20.0  # seconds; nobody waits for it


@pytest.fixture(scope="module")
def rig() -> Iterator[EtcdRig]:
    with EtcdRig(versions()[-1]) as rig:
        yield rig


@dataclass
class Nodes:
    """Node 1 behind a relay, node 2 beside it, and a leader on node 2 that the test is."""

    relay: Relay
    one: Node
    two: Node
    at_one: UpdateService
    at_two: UpdateService

    def updating(self, service: UpdateService, ip: str) -> asyncio.Task[UpdateResult]:
        answered: asyncio.Future[UpdateResult] = asyncio.get_running_loop().create_future()
        service.submit((Request(BLOG, ip, SECRET, ""),), lambda answer, _: answered.set_result(answer))

        async def answer() -> UpdateResult:
            return await answered

        return asyncio.create_task(answer())

    async def committed(self, ip: str) -> None:
        """Wait until node 2 sees an address committed."""
        await until(lambda: self._is_committed(ip))

    def _is_committed(self, ip: str) -> bool:
        entry = self.two.cache.state.addresses.get(BLOG_A)
        return entry is not None and entry.value.ip == ip

    async def publish(self) -> None:
        """Do what the leader does."""
        want = wanted(self.two.cache.state, BLOG_A)
        assert want is not None
        value = tables.encode(Published(want.revision, want.ip, want.ttl, "default"))
        assert isinstance(
            await self.two.commits.commit(ConditionalWrite({}, {keys.published(BLOG_A): value})), Done
        )

    async def updated(self, ip: str) -> UpdateResult:
        """Change the address on node 2, to the end."""
        updating = self.updating(self.at_two, ip)
        await self.committed(ip)
        await self.publish()
        return await updating

    def history(self) -> list[tuple[str, str]]:
        entry = self.two.cache.state.history.get(BLOG)
        return [] if entry is None else [(each.old, each.new) for each in entries(entry.value)]


@asynccontextmanager
async def store_at(rig: EtcdRig, prefix: str, endpoint: str) -> AsyncIterator[EtcdStore]:
    cluster = replace(rig.settings_of(endpoint), try_timeout=TIMEOUT, timeout=2 * TIMEOUT)
    store = await open_etcd(EtcdStoreSettings(cluster, prefix=prefix))
    yield store
    await store.close()


@pytest.fixture
async def nodes(rig: EtcdRig) -> AsyncIterator[Nodes]:
    (member,) = rig.members
    prefix = f"{uuid.uuid4().hex}/"
    async with (
        relay_to(member.client_port) as relay,
        store_at(rig, prefix, relay.endpoint) as first,
        store_at(rig, prefix, member.url) as second,
        node_on(first) as one,
        node_on(second) as two,
    ):
        services = [node.update_service(timeout=2 * TIMEOUT, store_timeout=TIMEOUT) for node in (one, two)]
        nodes = Nodes(relay, one, two, *services)
        token = document("Token", "router", account="alice", sha256=digest(SECRET))
        await two.registry.apply([zone(ZONE), account("alice"), token, host(BLOG)])
        verified = tables.encode(PlacementState(two.cache.identity))
        await two.commits.commit(ConditionalWrite({}, {keys.placement(Placement(ZONE, "default")): verified}))
        await nodes.updated(OLD)
        await one.cache.current()
        yield nodes
        relay.cut()
        for service in services:
            await service.drain()


async def test_update_that_was_done_is_not_done_again_over_a_later_one(nodes: Nodes) -> None:
    nodes.relay.hold_answers_to(X.encode())
    first = nodes.updating(nodes.at_one, X)
    await nodes.committed(X)
    assert await nodes.updated(Y) == (Updated(BLOG, Y, Family.A, X),)
    nodes.relay.cut()
    assert await first == (Updated(BLOG, X, Family.A, OLD),)
    await nodes.two.cache.current()
    assert nodes._is_committed(Y)
    assert nodes.history() == [(X, Y), (OLD, X), ("", OLD)]


@pytest.mark.parametrize("refusal", [Refusal.BANNED, Refusal.UNKNOWN_TOKEN, Refusal.NOT_FOUND])
async def test_update_that_was_done_is_not_refused(nodes: Nodes, refusal: Refusal) -> None:
    """What has changed since it was done is no reason against it."""
    nodes.relay.hold_answers_to(X.encode())
    first = nodes.updating(nodes.at_one, X)
    await nodes.committed(X)
    await nodes.updated(Y)
    registry = nodes.two.registry
    if refusal is Refusal.BANNED:
        await registry.apply([account("alice", status="banned")])
    elif refusal is Refusal.UNKNOWN_TOKEN:
        await registry.delete(Kind.TOKEN, "router")
    else:
        await registry.apply([account("bob"), host("other.example.com", "bob")])
        await registry.apply([document("Token", "router", account="bob", sha256=digest(SECRET))])
    nodes.relay.cut()
    assert await first == (Updated(BLOG, X, Family.A, OLD),)
    assert await nodes.updating(nodes.at_one, OLD) is refusal


async def test_token_that_was_allowed_and_revoked_stays_revoked(nodes: Nodes) -> None:
    new = document("Token", "new", account="alice", sha256=digest("new"))
    nodes.relay.hold_answers_to(b"tokens/new")
    allowing = asyncio.create_task(nodes.one.registry.apply([new]))
    await until(lambda: "new" in nodes.two.cache.state.tokens)
    await nodes.two.registry.delete(Kind.TOKEN, "new")
    nodes.relay.cut()
    assert [each.result for each in (await allowing).results] == [Result.CREATED]
    await nodes.two.cache.current()
    assert "new" not in nodes.two.cache.state.tokens


async def test_change_of_resources_that_nobody_can_know_of_is_perhaps_done(nodes: Nodes) -> None:
    nodes.relay.hold_answers_to(b"accounts/bob")
    allowing = asyncio.create_task(nodes.one.registry.apply([account("bob")]))
    await until(lambda: "bob" in nodes.two.cache.state.accounts)
    await nodes.two.registry.delete(Kind.ACCOUNT, "bob")
    await nodes.two.store.compact(await nodes.two.store.revision())
    nodes.relay.cut()
    with pytest.raises(StoreFailedError, match="perhaps done"):
        await allowing
    await nodes.two.cache.current()
    assert "bob" not in nodes.two.cache.state.accounts


async def test_update_that_nobody_can_know_of_is_not_decided_again(nodes: Nodes) -> None:
    nodes.relay.hold_answers_to(X.encode())
    first = nodes.updating(nodes.at_one, X)
    await nodes.committed(X)
    await nodes.updated(Y)
    await nodes.two.store.compact(await nodes.two.store.revision())
    nodes.relay.cut()
    assert await first is Refusal.STORE_FAILED
    await nodes.two.cache.current()
    assert nodes._is_committed(Y)
