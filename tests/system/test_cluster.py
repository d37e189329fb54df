"""The promises of a cluster, tried by breaking one thing at a time under a steady load of changes."""

import time
from math import inf
from typing import NamedTuple

import pytest

from tests.share import FULL_SHARE
from tests.system import breakage
from tests.system.breakage import Breakage, frozen, isolated, killed
from tests.system.cluster import LEASE_TTL, PREFIX, Cluster
from tests.system.history import History, read_history
from tests.system.installation import example
from tests.system.judge import figures, judge, longest_delay, longest_pause
from tests.system.load import UPDATED
from tests.system.traffic import PATIENCE, Traffic
from tests.system.vitals import Vitals

HOSTS = [f"h{number}.example.com" for number in range(24)]
QUIET = "quiet.example.com"  # changed by nobody but the last question to each node
WARMTH = 1.5  # seconds of load before anything breaks
BROKEN = 15.0 if FULL_SHARE else 5.0  # seconds
BACK = 2.0  # seconds after the heal in which everything is published
REST = 60.0 if FULL_SHARE else 15.0  # seconds after which nothing is left of it
BUSY = 1.0  # seconds that two clusters at once on two cores may add to any deadline
# Seconds of an outage:
TAKEOVER = LEASE_TTL + 1.0  # the leader is gone: its lease ends, the next one publishes
ELECTION = 4.0  # etcd's leader is gone: 1 s to 2 s for its election, up to 1 s for a call to the lost one
FAILOVER = 3.0  # a member is gone: up to 1 s for a call to it
ALL_ALONG = inf

pytestmark = [pytest.mark.faults, pytest.mark.timeout(300)]


class Scenario(NamedTuple):
    """What breaks; and for how long, at most, no change is taken, or one waits to be published."""

    breakage: Breakage
    outage: float


SCENARIOS = {
    "node killed": Scenario(killed(breakage.follower), BACK),
    "node frozen": Scenario(frozen(breakage.follower), PATIENCE),
    "node isolated": Scenario(isolated(breakage.follower), PATIENCE),
    "leader killed": Scenario(killed(breakage.leader), TAKEOVER),
    "leader frozen": Scenario(frozen(breakage.leader), TAKEOVER),
    "leader isolated": Scenario(isolated(breakage.leader), TAKEOVER),
    "leader without nameserver": Scenario(breakage.leader_without_nameserver, ALL_ALONG),
    "member killed": Scenario(killed(breakage.member), FAILOVER),
    "member frozen": Scenario(frozen(breakage.member), FAILOVER),
    "member isolated": Scenario(isolated(breakage.member), FAILOVER),
    "etcd leader killed": Scenario(killed(breakage.etcd_leader), ELECTION),
    "etcd leader frozen": Scenario(frozen(breakage.etcd_leader), ELECTION),
    "etcd leader isolated": Scenario(isolated(breakage.etcd_leader), ELECTION),
    "etcd gone": Scenario(breakage.etcd_gone, ALL_ALONG),
    "nameserver killed": Scenario(killed(breakage.nameserver), ALL_ALONG),
    "nameserver frozen": Scenario(frozen(breakage.nameserver), ALL_ALONG),
}


@pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=SCENARIOS)
async def test_broken_for_a_while(cluster: Cluster, scenario: Scenario) -> None:
    await cluster.nodes[0].apply(*example([*HOSTS, QUIET]))
    async with Traffic(HOSTS, cluster.addresses, cluster.nameserver) as traffic:
        await traffic.go_on(WARMTH)
        vitals = await Vitals.of(cluster.nodes)
        broken = time.monotonic()
        async with scenario.breakage(cluster):
            await traffic.go_on(BROKEN)
        healed = time.monotonic()
        await traffic.go_on(BACK)
        await traffic.stop()
        await traffic.go_on(BACK)
    history = read_history(cluster.etcd, PREFIX)
    verdict = judge(traffic.record, history)
    during, after = verdict.between(broken, healed), verdict.between(healed)
    print(f"{len(traffic.record.answers)} answers, {traffic.record.lost} lost")
    print(f"during: {figures(during)}; after: {figures(after)}")
    assert not verdict.faults
    assert max(longest_pause(during), longest_delay(during)) <= scenario.outage + BUSY
    assert all(one.served < healed + BACK + BUSY for one in during)
    assert longest_delay(after) < BACK + BUSY
    await _all_know(cluster, history)
    await vitals.recovered(cluster.nodes, REST)


async def _all_know(cluster: Cluster, history: History) -> None:
    """Every node shows the newest addresses, as published, and takes changes."""
    for number, node in enumerate(cluster.nodes):
        hosts = (await node.admin("GET", "hosts?limit=1000")).json["items"]
        shown = {host["metadata"]["name"]: host.get("status", {}).get("A") for host in hosts}
        del shown[QUIET]
        assert {host: status["ip"] for host, status in shown.items()} == {
            host: commits[-1].address for host, commits in history.items()
        }
        assert all(status["published"] and not status["error"] for status in shown.values()), shown
        assert (await node.update(QUIET, f"192.0.2.{number}")).message == UPDATED
