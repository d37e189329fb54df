"""What a change costs between regions: the round trips that docs/multi-region.md counts, and little more."""

import time
from statistics import median

import pytest

from tests.share import FULL_SHARE
from tests.system.installation import example
from tests.system.load import UNCHANGED, UPDATED, address
from tests.system.regions import HOME, MEMBERS, Region, Regions, round_trip

CHANGES = 30 if FULL_SHARE else 5  # in each region, at least
MOST = 100  # of them, where the machine is busy
BUSY = 0.07  # seconds that a change may take beside its round trips: less than the longest of these


def majority(region: str) -> float:
    """Return the round trip to the farthest member of the nearest majority, for a member that leads etcd."""
    distances = sorted(
        round_trip(region, other) for other, members in MEMBERS.items() for _ in range(members)
    )
    return distances[len(distances) // 2]


@pytest.mark.parametrize("etcd_leader", MEMBERS if FULL_SHARE else [HOME])
async def test_round_trips(regions: Regions, etcd_leader: str) -> None:
    await regions.home.node.apply(*example([f"{name}.example.com" for name in MEMBERS]))
    regions.lead_etcd_from(etcd_leader)
    for name, region in regions.all.items():
        asked = round_trip(name, etcd_leader) + majority(etcd_leader)
        committed = asked + majority(etcd_leader) + round_trip(etcd_leader, HOME)
        changed, unchanged = await _took(region, asked + committed + BUSY, asked + BUSY)
        medians = f"a change in {name}: {median(changed):.3f} s, none: {median(unchanged):.3f} s"
        print(f"etcd led from {etcd_leader}, {medians}")
        assert asked <= min(unchanged) < asked + BUSY
        assert asked + committed <= min(changed) < asked + committed + BUSY


async def _took(region: Region, changed: float, unchanged: float) -> tuple[list[float], list[float]]:
    """Return how long changes took, and the same again, which are none, in seconds.

    What the machine does beside only adds to some of them: more are made, up to `MOST`, until one of each
    has taken less than `changed` and `unchanged`. A round trip too many is in all of them.
    """
    took: dict[str, list[float]] = {UPDATED: [], UNCHANGED: []}
    host = f"{region.name}.example.com"
    await region.node.update(host, address(1))  # a name's first publication is read back
    for number in range(2, MOST + 2):
        for message in (UPDATED, UNCHANGED):
            begin = time.monotonic()
            assert (await region.node.update(host, address(number))).message == message
            took[message].append(time.monotonic() - begin)
        is_seen = min(took[UPDATED]) < changed and min(took[UNCHANGED]) < unchanged
        if is_seen and number > CHANGES:
            break
    return took[UPDATED], took[UNCHANGED]
