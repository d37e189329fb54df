"""What `status` shows of a cluster, from any node; and that who should lead does."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.rigs import KnotRig
from tests.rigs.base import NameserverRig
from tests.rigs.documents import document
from tests.rigs.etcd import EtcdRig, versions
from tests.system.installation import Installation, example
from tests.system.load import UPDATED
from tests.waiting import until

BLOG = "blog.example.com"


@asynccontextmanager
async def two_nodes(
    folder: Path, rig: NameserverRig, rigs: Mapping[str, NameserverRig] | None = None, **second: Any
) -> AsyncIterator[tuple[Installation, Installation]]:
    """Run two nodes on one etcd. The first one leads until the second, with its own settings, is there."""
    with EtcdRig(versions()[0]) as etcd:
        store = {"kind": "etcd", "etcd": {"endpoints": [etcd.members[0].url], "lease_ttl": 2}}
        for name in ("one", "two"):
            (folder / name).mkdir()
        named: dict[str, Any] = {"node": {"name": "one", "region": "eu"}, "store": store}
        async with Installation(folder / "one", rig, **named) as one:
            await one.apply(*example([BLOG]))
            await until(lambda: _is_led_by(one, "one"), 5, "the first node leads")
            other: dict[str, Any] = {"node": {"name": "two", "region": "asia"}, "store": store, **second}
            async with Installation(folder / "two", rig, rigs, **other) as two:
                yield one, two


async def _status(node: Installation) -> dict[str, Any]:
    return (await node.admin("GET", "status")).json


async def _is_led_by(node: Installation, name: str) -> bool:
    leader = (await _status(node))["leader"]
    return leader is not None and leader["name"] == name


async def test_both_nodes_show_the_same(tmp_path: Path, bind_rig: NameserverRig) -> None:
    async with two_nodes(tmp_path, bind_rig) as (one, two):
        assert (await two.update(BLOG, "192.0.2.1")).message == UPDATED

        for node in (one, two):
            await until(partial(_has_nodes, node, 2), 5, "both nodes are members")
        first, second = await _status(one), await _status(two)
        for status in (first, second):
            nodes = {node["name"]: node for node in status["nodes"]}
            assert {name: node["region"] for name, node in nodes.items()} == {"one": "eu", "two": "asia"}
            assert nodes["two"]["addresses"] == {
                name: two.addresses[name] for name in ("public", "admin", "health")
            }
            assert nodes["one"]["lacks"] == []
            assert all(abs(node["clockAhead"] or 0) < 1 for node in nodes.values())
            assert 0 <= nodes["one"]["beat"]["watch_lag"] < 5
            (zone,) = status["zones"]
            assert (zone["pending"], zone["refused"], zone["error"], zone["verified"]) == (0, 0, "", True)
            assert zone["lastPush"]
            (server,) = status["store"]["servers"]
            assert server["version"]
            assert server["leads"]
            assert status["sources"] == []
            assert status["counts"] == {"accounts": 1, "zones": 1, "hosts": 1, "tokens": 1}
        assert first["leader"] == second["leader"]
        assert first["installation"] == second["installation"]
        assert first["node"] != second["node"]


async def test_preferred_node_leads_and_hands_over(tmp_path: Path, bind_rig: NameserverRig) -> None:
    async with two_nodes(tmp_path, bind_rig, leader={"priority": 10}) as (one, two):
        await until(lambda: _is_led_by(one, "two"), 5, "the preferred node has taken over")
        assert (await one.update(BLOG, "192.0.2.1")).message == UPDATED
        await two.terminate()
        assert (await one.update(BLOG, "192.0.2.2")).message == UPDATED
        assert await _is_led_by(one, "one")


async def test_node_that_may_not_lead_answers_all_the_same(tmp_path: Path, bind_rig: NameserverRig) -> None:
    async with two_nodes(tmp_path, bind_rig, leader={"eligible": "false"}) as (one, two):
        assert (await two.update(BLOG, "192.0.2.1")).message == UPDATED
        await one.kill()

        async def is_warned() -> bool:
            return "no node leads: nothing is published" in (await _status(two))["warnings"]

        await until(is_warned, 8, "status warns")
        assert await bind_rig.query(BLOG, "A") == ("192.0.2.1",)


@pytest.mark.logs_errors
async def test_node_with_all_nameservers_leads(tmp_path: Path, bind_rig: NameserverRig) -> None:
    async with KnotRig() as knot, two_nodes(tmp_path, bind_rig, {"second": knot}) as (one, two):
        await until(lambda: _has_nodes(one, 2), 5, "both are members")
        assert await _is_led_by(one, "one"), "no zone needs the second nameserver"
        zone = document("Zone", "example.net", nameserver="second")
        reply = await two.admin("POST", "apply", [zone])
        assert reply.status == 200, reply.body
        await until(lambda: _is_led_by(one, "two"), 5, "the node that has both leads")
        (lacking,) = [node for node in (await _status(two))["nodes"] if node["name"] == "one"]
        assert lacking["lacks"] == ["second"]


async def _has_nodes(node: Installation, count: int) -> bool:
    return len((await _status(node))["nodes"]) == count
