"""A store that is not the one that the objects belong to: nothing is changed until an operator decides."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ddnsd.model.request import Updated
from ddnsd.service.source_status import source_warnings
from tests.kube.world import World, until, world_on
from tests.service.archives import exported, read


@pytest.fixture
async def empty(world: World, tmp_path: Path) -> AsyncIterator[World]:
    """Another store, whose controller comes in the place of the world's, which has accepted all."""
    world.set_up()
    async with world.controller():
        await world.until_condition("token", "router")
        assert isinstance(await world.update("192.0.2.7"), Updated)
        await world.until_condition("host", world.host(), type="Published")
    (tmp_path / "another").mkdir()
    async with world_on(world.rig, tmp_path / "another", world.namespace) as empty:
        empty.source, empty.zone, empty.release = world.source, world.zone, world.release
        yield empty


async def waiting(empty: World) -> None:
    await until(lambda: empty.source in empty.node.state.sources, True, "bound")
    await until(lambda: empty.record().other_installation != "", True, "known to be another's")


def untouched(world: World) -> list[object]:
    """Return what the controller would write."""
    host, token = (world.get(kind, name) for kind, name in (("host", world.host()), ("token", "router")))
    secrets = world.kubectl("get", "secrets", "-n", world.namespace, "-o", "name")
    return [host["status"], token["status"], secrets]


@pytest.mark.logs_errors
async def test_an_empty_store_in_the_place_of_another_changes_nothing_until_takeover(
    empty: World, world: World
) -> None:
    before = untouched(world)
    async with empty.controller():
        await waiting(empty)
        empty.apply(empty.document("Token", "new", account="alice"))
        await until(lambda: "OtherInstallation" in empty.events(), True, "an Event")
        assert untouched(world) == before
        assert not empty.node.state.hosts
        statuses = await empty.node.registry.sources.list()
        (warning,) = source_warnings(statuses[empty.source])
        assert f"`ddnsd source takeover {empty.source}`" in warning
    async with empty.controller():  # another one waits as well
        await waiting(empty)
        assert not empty.node.state.hosts
        await empty.node.registry.sources.takeover(empty.source)
        for kind, name in (("host", empty.host()), ("token", "router")):
            await empty.until_condition(kind, name, type="Accepted")
        await until(lambda: empty.host() in empty.node.state.hosts, True, "taken over")
        assert isinstance(await empty.update("192.0.2.8"), Updated)
    async with empty.controller():  # the operator is not asked again
        empty.apply(empty.document("Host", empty.host("b"), account="alice"))
        await empty.until_condition("host", empty.host("b"))


@pytest.mark.logs_errors
async def test_a_backup_is_as_good_as_a_takeover(empty: World, world: World) -> None:
    async with empty.controller():
        await waiting(empty)
        await empty.node.registry.restore(await read(await exported(world.node)))
        empty.apply(empty.document("Host", empty.host("b"), account="alice"))
        await empty.until_condition("host", empty.host("b"))
    assert empty.record().other_installation == ""


async def test_each_object_names_the_installation_that_works_by_it(empty: World, world: World) -> None:
    (installation,) = (entry.value.id for entry in world.node.state.installation.values())
    kinds = {"zone": world.zone, "account": "alice", "host": world.host(), "token": "router"}
    assert {world.get(kind, name)["status"]["installation"] for kind, name in kinds.items()} == {installation}
