"""How statuses are written: not too many, the errors first, the newest of each."""

import asyncio
import json
import time

from ddnsd.kube.api import Object, ObjectMeta
from ddnsd.kube.objects import Ref, read_custom
from ddnsd.kube.status_writer import StatusQueue
from ddnsd.model.resources import Kind
from tests.kube.world import World, until

RATE = 10


def ref(name: str) -> Ref:
    return Ref(Kind.HOST, "home", name)


async def test_errors_come_first_and_each_object_once() -> None:
    queue = StatusQueue()
    for name in ("a", "b", "c"):
        queue.put(ref(name))
    queue.put(ref("a"))
    queue.put(ref("c"), urgent=True)
    queue.put(ref("c"))
    assert [(await queue.take()).name for _ in range(3)] == ["c", "a", "b"]
    assert len(queue) == 0


async def test_who_takes_waits_for_what_is_put() -> None:
    queue = StatusQueue()
    asyncio.get_running_loop().call_soon(queue.put, ref("a"))
    assert await queue.take() == ref("a")


async def test_writes_are_limited(world: World) -> None:
    world.set_up()
    hosts = [world.document("Host", world.host(f"h{number}"), account="alice") for number in range(2 * RATE)]
    world.apply(*hosts, world.document("Host", world.host("z"), account="nobody"))
    began = time.monotonic()
    async with world.controller(rate=RATE):
        await until(lambda: written(world), 2 * RATE + 2, "statuses of hosts")
    assert time.monotonic() - began > 2


async def test_a_status_that_somebody_else_writes_is_put_right(world: World) -> None:
    world.set_up()
    async with world.controller():
        await world.until_condition("host", world.host())
        patch = '{"status":{"address":"198.51.100.1"}}'
        path = (
            "host",
            world.host(),
            "-n",
            world.namespace,
            "--subresource=status",
            "--type=merge",
            "-p",
            patch,
        )
        world.kubectl("patch", *path)
        await until(lambda: world.get("host", world.host())["status"].get("address", ""), "", "address")


def test_a_condition_of_somebody_else_is_none_of_ours() -> None:
    """Else no status would ever be as it should be, and each pass would write it again."""
    times = {"lastTransitionTime": "2026-11-24T00:00:00Z", "observedGeneration": 1}
    conditions = [
        {"type": kind, "status": "True", "reason": "R", "message": "", **times}
        for kind in ("Audited", "Accepted")
    ]
    object = Object(
        ObjectMeta(name="alice", namespace="home"),
        json.dumps({"status": {"conditions": conditions}}).encode(),
    )
    assert [one.type for one in read_custom(Kind.ACCOUNT, object).status.conditions] == ["Accepted"]


def written(world: World) -> int:
    hosts = world.kubectl.get("hosts", "-n", world.namespace)["items"]
    return sum("status" in host for host in hosts)
