"""A rolling restart of all nodes under load: nobody notices who knows more than one address."""

import time
from collections.abc import Sequence

import pytest

from tests.rigs.haproxy import HaproxyRig
from tests.system.cluster import LEASE_TTL, PREFIX, Cluster
from tests.system.history import read_history
from tests.system.installation import example
from tests.system.judge import figures, judge, longest_delay
from tests.system.traffic import Caller, Traffic

HOSTS = [f"h{number}.example.com" for number in range(12)]
BETWEEN = 0.5  # seconds from one node's return to the next one's end
# A leader that leaves hands over: nobody waits for the end of its lease. That takes well under a second (the
# figure is printed), and on a busy machine still less than the lease itself.
HANDOVER = LEASE_TTL

pytestmark = [pytest.mark.faults, pytest.mark.timeout(300)]


async def test_clients_that_try_the_next_address_when_refused(cluster: Cluster) -> None:
    await _restart_under_load(cluster, cluster.addresses)


async def test_clients_behind_a_proxy_with_retries(cluster: Cluster) -> None:
    with HaproxyRig(cluster.addresses) as proxy:
        await _restart_under_load(cluster, [proxy.address])


async def _restart_under_load(cluster: Cluster, addresses: Sequence[str]) -> None:
    """A client fails the test by anything but a refused connection."""
    await cluster.nodes[0].apply(*example(HOSTS))
    async with Traffic(HOSTS, addresses, cluster.nameserver, Caller) as traffic:
        await traffic.go_on(BETWEEN)
        began = time.monotonic()
        for node in cluster.nodes:
            assert await node.terminate() == 0
            await node.start()
            await traffic.go_on(BETWEEN)
        await traffic.stop()
        await traffic.go_on(HANDOVER)
    verdict = judge(traffic.record, read_history(cluster.etcd, PREFIX))
    print(f"{figures(verdict.between(began))}; {traffic.record.lost} connections refused")
    assert not verdict.faults
    assert longest_delay(verdict.between(began)) < HANDOVER
