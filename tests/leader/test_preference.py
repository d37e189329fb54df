"""The node that should lead does, and gets leadership while updates go on."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from ddnsd.model.records import Resource
from ddnsd.model.request import Updated
from ddnsd.model.resources import Kind, ZoneSpec
from ddnsd.store import keys, tables
from ddnsd.store.embedded import open_embedded
from ddnsd.store.interface import ConditionalWrite
from tests.leader.node import BLOG, Node, embedded_nameservers, example, member, node_on
from tests.waiting import stays, until

PAUSE = 0.3  # seconds, in which what must not happen would


@asynccontextmanager
async def cluster(folder: Path, *nodes: Mapping[str, Any]) -> AsyncIterator[list[Node]]:
    """Run nodes on one store, none of which leads yet; each mapping is what a node says of itself."""
    store = await open_embedded(folder / "store")
    try:
        async with embedded_nameservers(folder) as servers:
            contexts = [node_on(store, servers, me=f"node{n}", **said) for n, said in enumerate(nodes)]
            running = [await context.__aenter__() for context in contexts]
            try:
                await running[0].apply(*example())
                yield running
            finally:
                for context in reversed(contexts):
                    await context.__aexit__(None, None, None)
    finally:
        await store.close()


async def register(node: Node, id: str, **said: Any) -> None:
    value = tables.encode(member(said.pop("nameservers", ("default",)), **said))
    await node.commits.commit(ConditionalWrite({}, {keys.member(id): value}))


def does_not_lead(node: Node) -> bool:
    return node.candidate.publisher is None


async def leads(node: Node) -> None:
    await node.until(lambda: node.candidate.publisher is not None)


async def test_node_that_may_not_lead_does_not(tmp_path: Path) -> None:
    async with cluster(tmp_path, {"eligible": False}, {}) as (never, other):
        never.lead()
        await stays(lambda: does_not_lead(never), PAUSE)
        other.lead()
        await leads(other)


async def test_preferred_node_takes_over_and_gives_back(tmp_path: Path) -> None:
    async with cluster(tmp_path, {}, {"priority": 5}) as (low, high):
        low.lead()
        assert isinstance(await low.update(BLOG, "192.0.2.1"), Updated)
        high.lead()
        is_follower = partial(does_not_lead, high)
        await stays(is_follower, PAUSE, "not registered, so nobody steps aside for it")
        await register(low, "node1", priority=5)
        await leads(high)
        assert low.candidate.publisher is None
        assert isinstance(await low.update(BLOG, "192.0.2.2"), Updated)

        await high.stop_leading()
        is_follower = partial(does_not_lead, low)
        await stays(is_follower, PAUSE, "the other one is still there, as far as anybody knows")
        await low.commits.commit(ConditionalWrite({}, deletes=frozenset({keys.member("node1")})))
        await leads(low)
        assert isinstance(await high.update(BLOG, "192.0.2.3"), Updated)


async def test_node_in_the_queue_steps_aside(tmp_path: Path) -> None:
    """Else it would be elected first when the leader goes."""
    async with cluster(tmp_path, {}, {}, {"priority": 5}) as (first, second, preferred):
        first.lead()
        await leads(first)
        second.lead()
        await register(first, "node2", priority=5)
        await until(lambda: does_not_lead(first))
        nodes = (first, second, preferred)
        await stays(lambda: all(map(does_not_lead, nodes)), PAUSE)
        preferred.lead()
        await leads(preferred)


@pytest.mark.logs_errors
async def test_leader_without_a_zones_nameserver_steps_aside(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with cluster(tmp_path, {"priority": 9}, {}) as (lacking, complete):
        lacking.lead()
        await leads(lacking)
        await register(lacking, "node1", nameservers=("default", "second"))
        complete.lead()
        await stays(lambda: not does_not_lead(lacking), PAUSE, "no zone names what it lacks")
        there = tables.encode(Resource(ZoneSpec("second")))
        await lacking.commits.commit(ConditionalWrite({}, {keys.resource(Kind.ZONE, "example.net"): there}))
        await lacking.until(lambda: lacking.candidate.publisher is None)
    assert "leader.lacks_nameservers" in [record.message for record in caplog.records]
