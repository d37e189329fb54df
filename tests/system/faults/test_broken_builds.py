"""The runner finds what it is there to find: each broken build, by a schedule made for it."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.rigs.etcd import Version
from tests.system.faults.broken import BUILDS
from tests.system.faults.broken_cluster import BreakableCluster
from tests.system.faults.runner import suffer
from tests.system.faults.schedule import Fault, Kind, Part, Schedule

TRIES = 5

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]


class Directed(NamedTuple):
    """A schedule, given which node leads; and a part of what is said where it finds something."""

    schedule: Callable[[int], Schedule]
    said: str


def _late_update(leader: int) -> Schedule:
    """An UPDATE that is on its way for so long that the next leader has published before it arrives."""
    return (
        Fault(0.5, 7.0, Part.NAMESERVER_LINK, Kind.MUTE, leader),
        Fault(0.8, 8.0, Part.NODE, Kind.STOPPED, leader),
    )


DIRECTED = {
    "no_fence": Directed(_late_update, "was seen before"),
    "from_memory": Directed(lambda _: (Fault(0.5, 4.0, Part.NODE, Kind.SLOW, 0),), ""),
    "acknowledged_early": Directed(lambda _: (Fault(0.5, 3.0, Part.NAMESERVER, Kind.KILLED),), ""),
    "watched_once": Directed(lambda _: (Fault(0.5, 1.0, Part.NODE, Kind.RESET, 0),), "not whole"),
    "tombstones_lost": Directed(lambda _: (Fault(0.5, 4.0, Part.NAMESERVER, Kind.STOPPED),), "was deleted"),
}


@pytest.mark.parametrize("build", BUILDS)
async def test_it_is_found(tmp_path: Path, etcd_version: Version, build: str) -> None:
    directed, program = DIRECTED[build], (sys.executable, "-m", "tests.system.faults.broken", build)
    for number in range(1, TRIES + 1):
        folder = tmp_path / str(number)
        folder.mkdir()
        async with BreakableCluster(folder, etcd_version, program) as cluster:
            leader = cluster.nodes.index(await cluster.leader())
            faults = await suffer(cluster, directed.schedule(leader), seed=number)
        if any(directed.said in fault for fault in faults):
            print(f"{build}: found at try {number}: {faults[0][:300]}")
            return
    raise AssertionError(f"{build} was not found in {TRIES} tries")
