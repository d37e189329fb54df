"""How long nothing could be published somewhere, as a node has seen it."""

from pathlib import Path

import pytest

from ddnsd.model.addresses import Family
from ddnsd.model.records import Placement, PlacementState, RecordKey
from ddnsd.service.update import Placements
from ddnsd.store import keys, tables
from ddnsd.store.interface import ConditionalWrite, Done
from tests.service.registry_node import Node, account, host, single_node, zone

BLOG, OTHER = RecordKey("blog.example.com", Family.A), RecordKey("nas.example.net", Family.A)


class Clock:
    """Seconds that pass when told to."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


async def note(node: Node, error: str, nameserver: str = "default") -> None:
    key = keys.placement(Placement("example.com", nameserver))
    update = ConditionalWrite({}, {key: tables.encode(PlacementState(error=error))})
    assert isinstance(await node.commits.commit(update), Done)
    await node.cache.current()


@pytest.mark.parametrize("knows", ["from the start", "as it comes"])
async def test_trouble_counts_from_when_it_was_first_seen(tmp_path: Path, knows: str) -> None:
    async with single_node(tmp_path) as node:
        zones = [zone("example.com"), zone("example.net")]
        await node.registry.apply([*zones, account("alice"), host(BLOG.name), host(OTHER.name)])
        clock = Clock()
        if knows == "from the start":
            await note(node, "no answer")
        placements = Placements(node.cache, clock)
        if knows == "as it comes":
            await note(node, "no answer")
        clock.now += 8
        assert not placements.in_trouble([BLOG], 8)
        await note(node, "connection refused")
        clock.now += 1
        assert placements.in_trouble([OTHER, BLOG], 8), "another reason is the same trouble"
        assert not placements.in_trouble([OTHER], 8)
        await note(node, "")
        assert not placements.in_trouble([BLOG], 0)


async def test_trouble_where_the_zone_does_not_live_is_none(tmp_path: Path) -> None:
    async with single_node(tmp_path) as node:
        await node.registry.apply([zone("example.com"), account("alice"), host(BLOG.name)])
        clock = Clock()
        placements = Placements(node.cache, clock)
        await note(node, "no answer", "second")
        clock.now += 100
        assert not placements.in_trouble([BLOG, RecordKey("gone.example.org", Family.A)], 8)
