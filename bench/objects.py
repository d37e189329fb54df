"""`python -m bench.objects`: thousands of Host objects applied at once, and the update API meanwhile.

ddnsd (node and controller in one process) has a core of its own; API server, etcd and the clients have the
others. Updates come at a steady pace, every second one changes its name; their p99 is measured without
objects and while they are applied, in one run.
"""

import argparse
import asyncio
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from contextlib import AsyncExitStack
from itertools import count
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

from ddnsd.model.resources import API_VERSION
from tests.kube.world import RULES, define
from tests.rigs.documents import document
from tests.rigs.kubernetes import KubernetesRig, ProjectedFolder
from tests.rigs.kubernetes.administrator import Administrator
from tests.system.installation import Installation, example

_PER_SECOND = 100  # updates
_WARM_SECONDS = 3.0
_PATIENCE = 600.0  # seconds until all is accepted
_APPLIERS = 4  # processes that create objects
_ZONE, _NAMESPACE = "objects.example", "objects"


class Run(NamedTuple):
    """The latencies of updates, in seconds."""

    latencies: list[float]

    def quantile(self, percent: int) -> float:
        """Return a percentile in milliseconds."""
        return 1000 * statistics.quantiles(self.latencies, n=100)[percent - 1]


async def load(ddnsd: Installation, wanted: Callable[[], bool]) -> Run:
    """Send updates at their pace as long as they are wanted."""
    latencies: list[float] = []

    async def one(number: int) -> None:
        began = time.perf_counter()
        ip = f"10.0.{number // 250 % 250}.{number % 250}" if number % 2 else "10.9.9.9"
        reply = await ddnsd.update(f"m{number % 100}.example.com", ip)
        assert reply.status == 200, reply.body
        latencies.append(time.perf_counter() - began)

    async with asyncio.TaskGroup() as group:
        for number in count():
            if not wanted():
                break
            group.create_task(one(number))
            await asyncio.sleep(1 / _PER_SECOND)
    return Run(latencies)


def create(administrator: tuple[str, Path, str], numbers: range) -> None:
    """Create Host objects, in a process of its own."""
    os.setpriority(os.PRIO_PROCESS, 0, 10)
    rig = Administrator(*administrator)
    path = f"/apis/{API_VERSION}/namespaces/{_NAMESPACE}/hosts"
    for number in numbers:
        host = document("Host", f"h{number}.{_ZONE}", account="alice")
        rig.call("POST", path, host)


async def measure(objects: int, seconds: float) -> None:
    """Print what was measured."""
    others = set(range(1, os.cpu_count() or 2)) or {0}
    os.sched_setaffinity(0, others)  # what is started from here inherits it
    os.setpriority(os.PRIO_PROCESS, 0, 10)  # the clients are to measure ddnsd, not to wait for their turn
    with tempfile.TemporaryDirectory(prefix="ddnsd-bench-") as folder, KubernetesRig() as rig:
        async with AsyncExitStack() as stack:
            ddnsd = installation(rig, Path(folder))
            os.setpriority(os.PRIO_PROCESS, 0, 0)
            os.sched_setaffinity(0, {0})
            await stack.enter_async_context(ddnsd)
            os.sched_setaffinity(0, others)
            await ddnsd.apply(*example([f"m{number}.example.com" for number in range(100)]))
            zone = document("Zone", _ZONE, namespaces=[_NAMESPACE])
            account = document("Account", "alice")
            account["metadata"]["namespace"] = _NAMESPACE
            rig.kubectl().apply(zone, account)
            end = time.monotonic() + _WARM_SECONDS
            await load(ddnsd, lambda: time.monotonic() < end)
            end = time.monotonic() + seconds
            alone = await load(ddnsd, lambda: time.monotonic() < end)
            applied, converged, meanwhile = await apply(rig, ddnsd, objects)
            print(f"{objects} Hosts created in {applied:.1f} s, all in the store after {converged:.1f} s")
            for name, run in (("without", alone), ("meanwhile", meanwhile)):
                print(f"{name:>10}: p50 {run.quantile(50):.1f} ms, p99 {run.quantile(99):.1f} ms")
            print(f"     ratio: p99 {meanwhile.quantile(99) / alone.quantile(99):.2f}")


async def apply(rig: KubernetesRig, ddnsd: Installation, objects: int) -> tuple[float, float, Run]:
    """Create the objects under load; return when all were created, when all were stored, and the load."""
    began = time.monotonic()
    done = asyncio.Event()
    loading = asyncio.create_task(load(ddnsd, lambda: not done.is_set()))
    parts = [range(start, objects, _APPLIERS) for start in range(_APPLIERS)]
    administrator = (rig.address, rig.authority, rig.token)
    with ProcessPoolExecutor(_APPLIERS, get_context("spawn")) as pool:
        running = asyncio.get_running_loop().run_in_executor
        await asyncio.gather(*(running(pool, create, administrator, part) for part in parts))
    applied = time.monotonic() - began
    while await accepted(ddnsd) < objects:
        assert time.monotonic() - began < _PATIENCE
        await asyncio.sleep(0.2)
    converged = time.monotonic() - began
    done.set()
    return applied, converged, await loading


async def accepted(ddnsd: Installation) -> int:
    """Return how many Host objects are accepted."""
    lines = (await ddnsd.health.get("/metrics")).body.decode().splitlines()
    wanted = 'ddnsd_kube_objects{accepted="true",kind="hosts"} '
    return next(int(float(line.removeprefix(wanted))) for line in lines if line.startswith(wanted))


def installation(rig: KubernetesRig, folder: Path) -> Installation:
    """Return a node that is the controller, too."""
    define(rig)
    for namespace in ("ddnsd", _NAMESPACE):
        rig.namespace(namespace)
    account = rig.service_account("ddnsd")
    rig.allow(account, *RULES)
    credentials = ProjectedFolder(folder / "serviceaccount")
    rig.mount(credentials, account.token, "ddnsd")
    kube = {"server": rig.url, "credentials": str(credentials.path)}
    return Installation(folder, role="all", kube=kube, log={"format": "json", "level": "info"})


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(prog="bench.objects", description=__doc__)
    parser.add_argument("--objects", type=int, default=5000)
    parser.add_argument("--seconds", type=float, default=20.0, help="how long it is measured without them")
    arguments = parser.parse_args()
    asyncio.run(measure(arguments.objects, arguments.seconds))


if __name__ == "__main__":
    main()
