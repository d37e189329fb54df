"""Two Kubernetes clusters on one store: neither touches what is the other's."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from ddnsd.model.request import Refusal, Updated
from tests.kube.world import World, define, until
from tests.rigs.kubernetes import KubernetesRig


@pytest.fixture(scope="module")
def abroad() -> Iterator[KubernetesRig]:
    """Another cluster."""
    with KubernetesRig() as rig:
        define(rig)
        yield rig


@pytest.fixture
def other(world: World, abroad: KubernetesRig, tmp_path: Path) -> Iterator[World]:
    """The same namespace, zone and names, in the other cluster."""
    folder = tmp_path / "abroad"
    folder.mkdir()
    abroad.namespace(world.namespace)
    other = World(abroad, world.store, world.node, folder, world.namespace, zone=world.zone)
    yield other
    other.clear()


async def test_the_first_has_the_names(world: World, other: World) -> None:
    world.set_up()
    async with world.controller(), other.controller():
        await world.until_condition("token", "router")
        assert isinstance(await world.update("192.0.2.7"), Updated)
        other.set_up()
        await other.until_condition("zone", other.zone, "NameTaken")
        await other.until_condition("host", other.host(), "NamespaceNotAllowed")
        assert world.source in other.message("zone", other.zone)
        await other.until_condition("token", "router")  # an account and a token of its own
        assert await other.update("192.0.2.8") is Refusal.NOT_FOUND
        world.delete("host", world.host())
        world.delete("zone", world.zone)
        await other.until_condition("zone", other.zone)
        await other.until_condition("host", other.host())
        assert isinstance(await other.update("192.0.2.8"), Updated)
        assert await world.update("192.0.2.9") is Refusal.NOT_FOUND


async def test_a_lost_cluster_frees_what_it_held(world: World, other: World) -> None:
    world.set_up()
    async with world.controller():
        await world.until_condition("token", "router")
        secret = world.secret()
        assert isinstance(await world.update("192.0.2.7"), Updated)
    async with other.controller():
        other.set_up()
        await other.until_condition("zone", other.zone, "NameTaken")
        await world.node.registry.sources.release(world.source)
        await other.until_condition("host", other.host())
        assert isinstance(await other.update("192.0.2.8"), Updated)
        assert await world.update_with(secret, "192.0.2.9") is Refusal.NOT_FOUND


@pytest.mark.logs_errors
async def test_one_name_is_one_clusters(world: World, other: World) -> None:
    world.set_up()
    async with world.controller():
        await world.until_condition("token", "router")
    async with other.controller(source=world.source):
        await until(lambda: world.record().claimant != "", True, "claimed")
        other.set_up()
        assert world.host() in world.node.state.hosts
        assert other.condition("zone", other.zone) is None


@pytest.mark.logs_errors
async def test_a_living_clusters_name_is_told_in_both(world: World, other: World) -> None:
    async with world.controller():
        await until(lambda: world.source in world.node.state.sources, True, "bound")
        async with other.controller(source=world.source):
            await until(lambda: "SourceTaken" in other.events(), True, "an Event of who is too late")
            await until(lambda: "SourceClaimed" in world.events(), True, "an Event of who has the name")
