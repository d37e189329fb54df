"""What the fence keeps from the nameserver: a leader that comes too late, and another cluster."""

import asyncio

import pytest

from tests.system.cluster import LEASE_TTL, Cluster
from tests.system.installation import Installation, example
from tests.system.load import NOT_PUBLISHED, UPDATED
from tests.waiting import until

HOST, ZONE = "h.example.com", "example.com"
RETRANSMISSION = 30.0  # seconds after a heal in which TCP sends again what was lost

pytestmark = [pytest.mark.faults, pytest.mark.timeout(120)]


async def test_leader_frozen_in_the_middle_of_a_push(cluster: Cluster) -> None:
    """Its UPDATE comes when the next leader has published; it is refused, and the leader steps down."""
    old, node = await cluster.leader(), await cluster.follower()
    await node.apply(*example([HOST]))
    assert (await node.update(HOST, "192.0.2.1")).message == UPDATED
    sent = await _batches(old)
    cluster.network.cut(old.place, cluster.nameserver.place)
    lost = asyncio.create_task(node.update(HOST, "192.0.2.2"))

    async def is_on_its_way() -> bool:
        return await _batches(old) > sent

    await until(is_on_its_way, 2, "the leader sends an UPDATE")
    old.freeze()
    assert (await node.update(HOST, "192.0.2.3")).message == UPDATED
    assert (await lost).message == UPDATED  # "or a newer value of the same name"
    cluster.network.heal()

    async def is_refused() -> bool:
        lines = cluster.nameserver.log_text().splitlines()
        return any(f"{old.place.address}#" in line and "NXRRSET" in line for line in lines)

    await until(is_refused, RETRANSMISSION, "BIND refuses the late UPDATE")
    assert await cluster.nameserver.query(HOST, "A") == ("192.0.2.3",)
    old.thaw()
    await until(cluster.is_led, LEASE_TTL, "the old leader steps down")
    assert await cluster.leader() is not old
    assert (await old.update(HOST, "192.0.2.4")).message == UPDATED


async def test_two_clusters_on_one_zone(cluster: Cluster) -> None:
    """The second publishes nothing and says whose the zone is."""
    node = cluster.nodes[0]
    await node.apply(*example([HOST]))
    assert (await node.update(HOST, "192.0.2.1")).message == UPDATED
    async with cluster.node("other", prefix="other/", publish={"timeout": 1}) as other:
        await other.apply(*example([HOST]))
        assert (await other.update(HOST, "192.0.2.2")).message == NOT_PUBLISHED
        (zone,) = (await other.admin("GET", "status")).json["zones"]
        mine = (await node.admin("GET", "status")).json["installation"]
        assert f"installation={mine} " in zone["fenceHeldBy"]
        assert "zone takeover" in zone["error"]
        assert (await node.update(HOST, "192.0.2.3")).message == UPDATED
    assert await cluster.nameserver.query(HOST, "A") == ("192.0.2.3",)


async def _batches(node: Installation) -> float:
    return await node.metric('ddnsd_publish_batches_total{nameserver="default"}')
