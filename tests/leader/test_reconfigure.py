"""A leader, and those who may become one, go on with other settings."""

import asyncio
from dataclasses import replace
from pathlib import Path

from ddnsd.leader.push import Pace
from ddnsd.model.request import Updated
from ddnsd.nameserver.interface import RecordType
from ddnsd.store.embedded import EmbeddedStore
from tests.leader.node import BLOG, POLICY, embedded_nameservers, example, member, node_on


async def test_another_policy_needs_no_new_claim(tmp_path: Path, store: EmbeddedStore) -> None:
    async with embedded_nameservers(tmp_path) as servers, node_on(store, servers) as node:
        node.lead()
        await node.apply(*example())
        assert isinstance(await node.update(BLOG, "192.0.2.1"), Updated)
        await node.published()
        publisher = node.candidate.publisher
        (noted,) = node.state.placements.values()

        node.candidate.reconfigure(servers, replace(POLICY, batch=1, reconcile_interval=0.05))
        await asyncio.gather(*(node.update(BLOG, f"192.0.2.{number}") for number in range(2, 9)))
        await node.published()
        assert node.candidate.publisher is publisher
        assert list(node.state.placements.values()) == [noted]


async def test_a_nameserver_that_is_another_one_gets_everything(tmp_path: Path, store: EmbeddedStore) -> None:
    async with embedded_nameservers(tmp_path, "one", "other") as servers:
        async with node_on(store, {"default": servers["one"]}) as node:
            node.lead()
            await node.apply(*example())
            assert isinstance(await node.update(BLOG, "192.0.2.1"), Updated)
            node.candidate.reconfigure({"default": servers["other"]}, POLICY)
            assert isinstance(await node.update(BLOG, "192.0.2.2"), Updated)
        found = await servers["other"].query("example.com", BLOG, RecordType.A)
        assert found is not None
        assert found.values == ("192.0.2.2",)


async def test_a_leader_that_may_lead_no_more(tmp_path: Path, store: EmbeddedStore) -> None:
    async with embedded_nameservers(tmp_path) as servers, node_on(store, servers) as node:
        node.lead()
        await node.until(lambda: node.candidate.publisher is not None)
        node.preference.reconfigure(member(servers, eligible=False))
        await node.until(lambda: node.candidate.publisher is None)
        node.preference.reconfigure(member(servers))
        await node.until(lambda: node.candidate.publisher is not None)


def test_the_most_records_of_an_update() -> None:
    most = [100]
    pace = Pace(lambda: most[0])
    most[0] = 10
    assert pace.size == 10
    pace.answered(10, 0.001)
    most[0] = 30
    assert pace.size == 10
    for size in (20, 30, 30):
        pace.answered(pace.size, 0.001)
        assert pace.size == size
