"""Zones that come, move and go: what is published where, and what is left behind."""

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from ddnsd.model.addresses import Family
from ddnsd.model.records import Placement, RecordKey
from ddnsd.model.request import Refusal, Updated
from ddnsd.model.resources import Kind
from ddnsd.nameserver.interface import Nameserver, QueryRefusedError, RRset
from ddnsd.nameserver.rfc2136 import Rfc2136Nameserver
from ddnsd.store.embedded import open_embedded
from tests.leader.node import BLOG, ZONE, Node, example, host, node_on, served, single_node, zone
from tests.nameserver.peer import peer
from tests.rigs.documents import document
from tests.waiting import until

BLOG_A, BLOG_AAAA = RecordKey(BLOG, Family.A), RecordKey(BLOG, Family.AAAA)


async def _left(node: Node, nameserver: Nameserver) -> None:
    """Wait until nothing of the zone is at the nameserver or in the store."""

    async def gone() -> bool:
        with suppress(QueryRefusedError):
            return [part async for part in nameserver.transfer(ZONE)] == []
        return True

    await until(gone)
    await node.until(lambda: not node.state.placements and not node.state.addresses)
    assert not node.state.published


async def test_empty_zone_is_deleted(tmp_path: Path) -> None:
    async with single_node(tmp_path) as (node, servers):
        await node.apply(*example())
        await node.published()
        await node.delete(Kind.ZONE, ZONE, cascade=True)
        await _left(node, servers["default"])


async def test_empty_zone_moves(tmp_path: Path) -> None:
    async with single_node(tmp_path, "default", "second") as (node, servers):
        await node.apply(*example())
        await node.published()
        await node.apply(zone(nameserver="second"))
        await node.until(lambda: set(node.state.placements) == {Placement(ZONE, "second")})
        assert await served(servers["second"]) == {}


async def test_zone_is_deleted_and_created_anew(tmp_path: Path) -> None:
    async with single_node(tmp_path) as (node, servers):
        await node.apply(*example())
        await node.update(BLOG, "192.0.2.1")
        await node.delete(Kind.ZONE, ZONE, cascade=True)
        await node.apply(*example())
        assert await node.update(BLOG, "192.0.2.1") == Updated(BLOG, "192.0.2.1", Family.A, "")
        await node.published()
        assert await served(servers["default"]) == node.wanted()
        await node.delete(Kind.ZONE, ZONE, cascade=True)
        await _left(node, servers["default"])


async def test_zone_moves_to_and_fro(tmp_path: Path) -> None:
    """Moved faster than it can be published, with updates all the while: in the end it is at home."""
    names = [f"h{number}.example.com" for number in range(20)]
    async with single_node(tmp_path, "default", "second") as (node, servers):
        await node.apply(*example(*names))
        for turn in range(6):
            home = ("default", "second")[turn % 2]
            await node.apply(zone(nameserver=home))
            answers = [node.update(name, f"192.0.2.{turn + 1}") for name in names]
            for answer in await asyncio.gather(*answers[: len(names) // (1 + turn % 3)]):
                assert isinstance(answer, Updated)
            for unasked in answers[len(names) // (1 + turn % 3) :]:
                unasked.close()
        await node.published()
        assert await served(servers["second"]) == node.wanted()
        with suppress(QueryRefusedError):
            assert await served(servers["default"]) == {}


@pytest.mark.parametrize("change", [{"families": ["A"]}, {"account": "bob"}])
async def test_what_a_host_may_not_keep_leaves(tmp_path: Path, change: dict[str, Any]) -> None:
    async with single_node(tmp_path) as (node, servers):
        await node.apply(*example(), document("Account", "bob"))
        await node.update(BLOG, "192.0.2.1")
        await node.update(BLOG, "2001:db8::1")
        await node.apply({**host(), "spec": {"account": "alice", **change}})
        await node.published()
        kept = {BLOG_A} if "families" in change else set()
        assert set(await served(servers["default"])) == set(node.wanted()) == kept


async def test_zone_that_was_never_published_is_deleted(tmp_path: Path) -> None:
    """Nothing was sent there: nothing is waited for, and nothing stays in the store."""
    store = await open_embedded(tmp_path)
    async with peer(_never) as silent:
        nameserver = Rfc2136Nameserver(silent.settings(timeout=0.05))
        try:
            async with node_on(store, {"default": nameserver}, timeout=0.2) as node:
                node.lead()
                await node.apply(*example())
                assert await node.update(BLOG, "192.0.2.1") is Refusal.NAMESERVER_FAILED
                placement = Placement(ZONE, "default")
                await node.until(lambda: "no answer" in node.state.placements[placement].value.error)
                await node.delete(Kind.ZONE, ZONE, cascade=True)
                await node.until(lambda: not node.state.placements and not node.state.addresses)
        finally:
            await nameserver.close()
            await store.close()


async def _never(*_: object) -> None:
    """Answer nothing."""


async def test_fence_is_the_last_to_leave(tmp_path: Path) -> None:
    async with single_node(tmp_path, "default", "second") as (node, servers):
        await node.apply(*example())
        await node.update(BLOG, "192.0.2.1")
        await node.apply(zone(nameserver="second"))
        await node.published()
        assert await served(servers["second"]) == {BLOG_A: ("192.0.2.1", node.wanted()[BLOG_A][1])}
        rest: list[RRset] = []
        with suppress(QueryRefusedError):
            rest = [rrset async for part in servers["default"].transfer(ZONE) for rrset in part]
        assert [rrset.type.value for rrset in rest] in ([], ["SOA"])
