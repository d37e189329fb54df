"""A rolling upgrade from the commit before under load, and back: nobody notices, and both read the same."""

from pathlib import Path
from typing import Any

import pytest

from tests.before.data import COMMIT
from tests.rigs.documents import document
from tests.rigs.former import environ_of, former
from tests.system.cluster import PREFIX, Cluster
from tests.system.history import read_history
from tests.system.installation import Installation, example
from tests.system.judge import figures, judge, longest_delay
from tests.system.load import all_served, number
from tests.system.test_cluster_restart import BETWEEN, HANDOVER, HOSTS
from tests.system.traffic import Caller, Traffic

pytestmark = [pytest.mark.faults, pytest.mark.timeout(300)]

KINDS = ("zones", "accounts", "tokens")
SITE, OLD, CHALLENGE = "site.example.com", "old.example.com", "v" * 43


@pytest.fixture
def before() -> Path:
    return former(COMMIT)


async def test_a_rolling_upgrade_and_the_way_back(before: Path, etcd_version: Any, tmp_path: Path) -> None:
    async with Cluster(tmp_path, etcd_version, environ=environ_of(before)) as cluster:
        first = cluster.nodes[0]
        await first.apply(
            *example(HOSTS),
            document("Zone", "options.example", ttl=300, nested=True, reserved=["wpad"]),
            document("Host", SITE, account="alice", ipv6Suffix="::1", wildcard=True),
            document("Host", OLD, account="alice", expiresAfter=86_400),
        )
        async with Traffic(HOSTS, cluster.addresses, cluster.nameserver, Caller) as traffic:
            await traffic.go_on(BETWEEN)
            for turn, environ in enumerate(({}, environ_of(before))):
                for place, node in enumerate(cluster.nodes):
                    assert await node.terminate() == 0
                    node.environ = environ
                    await node.start()
                    await traffic.go_on(BETWEEN)
                    await change(node, 10 * turn + place)
                    await agree(cluster, KINDS)
            await traffic.stop()
            await traffic.go_on(HANDOVER)
        history = read_history(cluster.etcd, PREFIX)
        verdict = judge(traffic.record, {host: history[host] for host in HOSTS})
        print(f"{figures(verdict.publications)}; {traffic.record.lost} connections refused")
        assert not verdict.faults
        assert longest_delay(verdict.publications) < HANDOVER
        assert await cluster.nodes[1].terminate() == 0
        cluster.nodes[1].environ = {}  # side by side, and nobody writes: they know the same of everything
        await cluster.nodes[1].start()
        await agree(cluster, (*KINDS, "hosts", "history", "audit"))
        await all_served(cluster.nameserver, await addresses(first), 10)


async def change(node: Installation, number: int) -> None:
    """Write by a node that has just changed its version what the others read, of every kind of change."""
    spec = document("Zone", "options.example", ttl=400 + number)
    assert (await node.admin("PUT", "zones/options.example", spec)).status == 200
    for host in (SITE, OLD):
        assert b'"updated":true' in (await node.update(host, f"192.0.2.{100 + number}")).body
    prefix = await node.update(
        SITE, f"192.0.2.{100 + number}", ip6lanprefix=f"2001:db8:0:{number + 1:x}::/64"
    )
    assert prefix.status == 200, prefix.body
    challenge = await node.public.get(
        "/update", domains=OLD, token=node.secret, txt=f"{number:02}{CHALLENGE[2:]}"
    )
    assert challenge.body == b"OK", challenge


async def agree(cluster: Cluster, kinds: tuple[str, ...]) -> None:
    """Compare what all nodes say, of whichever version they are."""
    for kind in kinds:
        first, *others = [(await node.admin("GET", kind)).json for node in cluster.nodes]
        assert first["items"]
        for other in others:
            assert other == first, kind


async def addresses(node: Installation) -> dict[str, int]:
    """Return the committed IPv4 addresses of all names, as numbers."""
    hosts = (await node.admin("GET", "hosts")).json["items"]
    return {host["metadata"]["name"]: number([host["status"]["A"]["ip"]]) for host in hosts}
