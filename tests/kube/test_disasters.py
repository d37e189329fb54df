"""What goes wrong around the controller: nothing is deleted that should not be, and all converges."""

import asyncio
from collections.abc import Iterable
from typing import Any

import pytest

from ddnsd.kube.crd import definition
from ddnsd.model.records import Candidacy
from ddnsd.model.request import Unchanged, Updated
from ddnsd.model.resources import Kind
from ddnsd.store import keys, tables
from tests import waiting
from tests.kube.world import PATIENCE, RULES, World, until
from tests.rigs.kubernetes import KubernetesRig
from tests.waiting import turn_loop

MANY = 12


def hosts(world: World, labels: Iterable[object]) -> list[dict[str, Any]]:
    return [world.document("Host", world.host(f"h{label}"), account="alice") for label in labels]


def stored(world: World) -> int:
    """Return how many hosts of the test are in the store."""
    return sum(name.endswith(world.zone) for name in world.node.state.hosts)


async def has(world: World, count: int) -> None:
    await until(lambda: stored(world), count, "hosts in the store")


@pytest.fixture
async def settled(world: World) -> World:
    """A zone with many hosts; the controller has stopped."""
    world.set_up()
    world.apply(*hosts(world, range(MANY)))
    async with world.controller():
        await has(world, MANY + 1)
    return world


def forget(world: World, labels: Iterable[object]) -> None:
    names = [world.host(f"h{label}") for label in labels]
    world.kubectl("delete", "host", *names, "-n", world.namespace, "--wait=false")


async def relaunched(kubernetes: KubernetesRig) -> None:
    kubernetes.launch()
    await asyncio.to_thread(kubernetes.wait)


async def test_a_few_that_are_absent_go(settled: World) -> None:
    forget(settled, range(2))
    async with settled.controller():
        await has(settled, MANY - 1)


@pytest.mark.logs_errors
async def test_many_that_are_absent_wait_for_prune(settled: World) -> None:
    forget(settled, range(MANY - 1))
    source = settled.source
    async with settled.controller():
        await until(lambda: settled.held(), MANY - 1, "held")
        assert stored(settled) == MANY + 1
        settled.delete("host", settled.host())  # seen: it goes
        await has(settled, MANY)
    async with settled.controller():  # another one holds them as well
        settled.apply(*hosts(settled, [0]))
        await until(lambda: settled.held(), MANY - 2, "held")
        await settled.node.registry.sources.prune(source)
        await has(settled, 2)
        await until(lambda: settled.held(), 0, "held")


@pytest.mark.logs_errors
async def test_a_definition_that_was_deleted_takes_nothing_along(world: World) -> None:
    world.set_up()
    async with world.controller():
        await world.until_condition("token", "router")
        assert isinstance(await world.update("192.0.2.7"), Updated)
        secret = world.secret()
        for kind in (Kind.HOST, Kind.ACCOUNT, Kind.ZONE):
            world.kubectl("delete", "crd", f"{kind.plural}.ddnsd.dev", "--wait=true")

        async def is_served() -> bool:
            return isinstance(await world.update_with(secret, "192.0.2.7"), Unchanged)

        await waiting.stays(is_served, 1.5)
        world.kubectl.apply(*(definition(kind) for kind in Kind))
        await until(lambda: settled_again(world), True, "applied again")
        await world.until_condition("host", world.host())
        assert isinstance(await world.update("192.0.2.7"), Unchanged)


@pytest.mark.logs_errors
async def test_a_definition_that_is_put_back_with_a_part_of_its_objects_costs_none(settled: World) -> None:
    """However often the controller is restarted meanwhile, and though what is missing is little."""
    settled.kubectl("delete", "crd", f"{Kind.HOST.plural}.ddnsd.dev", "--wait=true")
    async with settled.controller():
        await until(lambda: settled.record().watched, None, "watched")
    settled.kubectl.apply(definition(Kind.HOST))
    part = [settled.document("Host", settled.host(), account="alice"), *hosts(settled, range(MANY - 2))]
    await until(lambda: settled.kubectl.apply_unchecked(*part).returncode, 0, "applied again")
    async with settled.controller():
        await until(lambda: settled.held(), 2, "held")
        assert stored(settled) == MANY + 1
        settled.apply(*hosts(settled, range(MANY)))
        await until(lambda: settled.record().watched, (), "watched")
    assert stored(settled) == MANY + 1


def settled_again(world: World) -> bool:
    done = world.kubectl.apply_unchecked(
        world.the_zone(),
        world.document("Account", "alice"),
        world.document("Host", world.host(), account="alice"),
    )
    return done.returncode == 0


async def test_a_kind_that_may_not_be_read_stops_nothing_else(settled: World) -> None:
    account = settled.rig.service_account(settled.release, "no-zones")
    rules = [dict(rule) for rule in RULES]
    rules[0]["resources"] = [kind.plural for kind in Kind if kind is not Kind.ZONE]
    settled.rig.allow(account, *rules)
    async with settled.controller(account):
        settled.apply(
            settled.document("Account", "bob"),
            settled.document("Host", settled.host(), account="alice", enabled=False),
            settled.document("Host", settled.host("new"), account="alice"),
        )
        await settled.until_condition("account", "bob")
        name = settled.host()
        await until(lambda: settled.node.state.hosts[name].value.spec.enabled, False, "disabled")
        await settled.until_condition("host", settled.host("new"), "ZoneNotFound")
        assert "Zones are not read here" in settled.message("host", settled.host("new"))
        settled.rig.allow(account, *RULES)
        await settled.until_condition("host", settled.host("new"))


@pytest.mark.logs_errors
async def test_namespaces_that_are_watched_later_leave_the_others_as_they_are(settled: World) -> None:
    other = settled.other_namespace()
    settled.apply(
        settled.the_zone(namespaces=["*"]),
        settled.document("Account", "bob", other),
        settled.document("Host", settled.host("b"), other, account="bob"),
    )
    async with settled.controller():
        await settled.until_condition("host", settled.host("b"), namespace=other)
    async with settled.controller(namespaces=(settled.namespace,)):
        await until(lambda: settled.held(), 3, "held: the Zone, and an Account and a Host of the other")
        held = settled.record().held
        assert held is not None
        assert f"Zone {settled.zone}" in held.names
        assert "watch_namespaces" in held.reason
        settled.apply(settled.document("Host", settled.host(), account="alice", ttl=77))
        name = settled.host()
        await until(lambda: settled.node.state.hosts[name].value.spec.ttl, 77, "its own namespace goes on")
        assert not settled.node.state.zones[settled.zone].value.held
        assert isinstance(await settled.update("192.0.2.7"), Updated)
    async with settled.controller():  # all of them again
        await until(lambda: settled.held(), 0, "held")
    assert settled.host("b") in settled.node.state.hosts


async def test_the_api_server_is_killed(settled: World, kubernetes: KubernetesRig) -> None:
    async with settled.controller():
        await settled.until_condition("token", "router")
        kubernetes.kill()
        await waiting.stays(lambda: stored(settled) == MANY + 1, 0.5)
        await relaunched(kubernetes)
        settled.apply(*hosts(settled, ["new"]))
        await has(settled, MANY + 2)


async def test_history_is_compacted(settled: World, kubernetes: KubernetesRig) -> None:
    async with settled.controller():
        await settled.until_condition("token", "router")
        kubernetes.kill()
        await asyncio.to_thread(kubernetes.compact)
        await relaunched(kubernetes)
        settled.apply(*hosts(settled, ["new"]))
        forget(settled, [0])
        await has(settled, MANY + 1)


@pytest.mark.logs_errors
async def test_a_cluster_that_was_set_up_anew_waits_for_takeover(settled: World) -> None:
    settled.release = settled.rig.namespace()
    forget(settled, range(3))
    async with settled.controller():
        await until(lambda: settled.record().claimant != "", True, "claimed")
        assert stored(settled) == MANY + 1
        await settled.node.registry.sources.takeover(settled.source)
        await until(lambda: settled.held(), 3, "held")  # nothing goes because of a takeover
        settled.apply(*hosts(settled, range(3)))
        await until(lambda: settled.held(), 0, "held")
    assert stored(settled) == MANY + 1


async def test_a_controller_that_ends_when_it_is_elected_blocks_nobody(world: World) -> None:
    """Whatever step of the event loop it is that it ends at."""
    who, election = tables.encode(Candidacy("other")), keys.controllers(world.source)

    async def queue_of(length: int) -> None:
        async with asyncio.timeout(PATIENCE):
            while len((await world.store.snapshot(election)).items) != length:
                await turn_loop()

    for steps in range(12):
        before = await world.store.campaign(who, election)
        async with world.controller():
            await queue_of(2)
            resigning = asyncio.create_task(before.resign())
            await queue_of(1)
            await turn_loop(steps)
        await resigning
        async with asyncio.timeout(PATIENCE):
            await (await world.store.campaign(who, election)).resign()


async def test_of_two_controllers_one_works(settled: World) -> None:
    async with settled.controller(), settled.controller():
        settled.apply(*hosts(settled, ["new"]))
        await has(settled, MANY + 2)
        assert len(settled.node.state.controllers) == 2
    async with settled.controller():
        settled.apply(*hosts(settled, ["newer"]))
        await has(settled, MANY + 3)


@pytest.mark.logs_errors
async def test_who_asks_for_a_source_in_vain_does_not_stand_in_its_owners_way(settled: World) -> None:
    owner, stranger = settled.release, settled.rig.namespace()
    settled.release = stranger
    async with settled.controller():
        await until(lambda: settled.record().claimant != "", True, "claimed")
        settled.release = owner
        async with settled.controller():
            settled.apply(*hosts(settled, ["new"]))
            await has(settled, MANY + 2)


async def test_a_source_that_is_released_is_the_next_ones(settled: World) -> None:
    async with settled.controller():
        await settled.until_condition("token", "router")
        bound = settled.record().bound
        await settled.node.registry.sources.release(settled.source)
        await until(lambda: settled.source in settled.node.state.sources, True, "bound")
        assert settled.record().bound > bound
        settled.apply(*hosts(settled, ["new"]))
        await has(settled, MANY + 2)


async def test_a_store_that_fails_while_the_source_is_bound_is_asked_again(world: World) -> None:
    world.set_up()
    async with world.controller(timeout=0.0) as contender:
        before = world.reads("namespaces")  # each attempt begins with one
        await until(lambda: world.reads("namespaces") >= before + 2, True, "it fails more than once")
        contender.reconfigure(world.policy)
        await world.until_condition("token", "router")


async def test_a_nameserver_that_is_new_is_known_without_a_restart(world: World) -> None:
    world.set_up()
    async with world.controller(nameservers=("another",)) as contender:
        await world.until_condition("zone", world.zone, "UnknownNameserver")
        contender.reconfigure(world.policy)
        await world.until_condition("zone", world.zone)
