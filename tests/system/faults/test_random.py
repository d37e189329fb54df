"""Random schedules of faults, under the load of clients and operators: every promise holds, and all heals.

`make test` runs six fixed seeds, `make test-faults` FAULT_SEEDS (50) fresh ones from FAULT_SEED on, which it
chooses and prints. A test prints its schedule, too; `FAULT_SEED=<n> FAULT_SEEDS=1` runs one again.
"""

import os
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.rigs.etcd import Version
from tests.system.faults.broken_cluster import BreakableCluster
from tests.system.faults.runner import suffer
from tests.system.faults.schedule import schedule

EVERYDAY = (1, 2, 3, 4, 5, 6)
SECONDS, FAULTS = 12.0, 14

pytestmark = [pytest.mark.faults, pytest.mark.timeout(300)]


def seeds() -> Sequence[int]:
    """Return which seeds to run; the same in each of pytest's processes."""
    first = os.environ.get("FAULT_SEED")
    if first is None:
        return EVERYDAY
    return range(int(first), int(first) + int(os.environ.get("FAULT_SEEDS", "50")))


@pytest.mark.parametrize("seed", seeds())
async def test_a_random_schedule(tmp_path: Path, etcd_version: Version, seed: int) -> None:
    planned = schedule(seed, SECONDS, FAULTS)
    print(f"seed {seed}:", *planned, sep="\n    ")
    async with BreakableCluster(tmp_path, etcd_version) as cluster:
        faults = await suffer(cluster, planned, seed)
    assert not faults
