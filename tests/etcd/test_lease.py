"""Leases: kept alive from the grant on, over failures; ended first by the holder's own clock."""

import asyncio
import time

from ddnsd.etcd import EtcdClient, PutRequest
from tests.rigs.etcd import EtcdRig, Version
from tests.waiting import hold_up, stays, until


async def test_kept_alive_until_revoked(client: EtcdClient) -> None:
    lease = await client.grant(2)
    await client.put(PutRequest(b"lease/a", b"", lease.id))
    await stays(lambda: lease.alive, lease.ttl + 2)
    assert await client.get(b"lease/a") is not None
    await lease.revoke()
    assert not lease.alive
    assert await client.get(b"lease/a") is None
    await asyncio.wait_for(lease.ended(), 1)


async def test_etcd_frozen_the_holder_ends_first(version: Version) -> None:
    with EtcdRig(version) as rig:
        async with EtcdClient(rig.settings) as client:
            lease = await client.grant(3)
            began = time.monotonic()
            await client.put(PutRequest(b"lease/b", b"", lease.id))
            with rig.members[0].frozen():
                async with asyncio.timeout(10):
                    await lease.ended()
                assert time.monotonic() - began < lease.ttl
                assert not lease.alive
            assert await client.get(b"lease/b") is not None  # etcd counts on after its thaw


async def test_revoked_by_somebody_else(etcd: EtcdRig, client: EtcdClient) -> None:
    lease = await client.grant(3)
    etcd.ctl("lease", "revoke", f"{lease.id:x}")
    async with asyncio.timeout(lease.ttl):
        await lease.ended()


async def test_revoked_as_soon_as_etcd_is_back(version: Version) -> None:
    """etcd grants every lease its whole TTL anew when it was gone."""
    with EtcdRig(version) as rig:
        async with EtcdClient(rig.settings) as client:
            lease = await client.grant(30)
            await client.put(PutRequest(b"lease/e", b"", lease.id))
            rig.members[0].kill()
            await lease.revoke()
            assert not lease.alive
            rig.start()
            await gone(client, b"lease/e")


async def test_a_blocked_loop_cannot_take_a_lease_for_alive(client: EtcdClient) -> None:
    """After a pause of the process the clock is asked, not an event that has yet to be set."""
    lease = await client.grant(2)
    hold_up(lease.ttl)
    assert not lease.alive
    await lease.revoke()


async def test_without_its_holder_it_ends_after_the_ttl(etcd: EtcdRig, client: EtcdClient) -> None:
    async with EtcdClient(etcd.settings) as holder:
        lease = await holder.grant(2)
        await holder.put(PutRequest(b"lease/c", b"", lease.id))
    began = time.monotonic()
    await gone(client, b"lease/c")
    assert time.monotonic() - began > lease.ttl - 1
    await lease.revoke()  # its client is closed: it says nothing and leaves no task


async def test_keepalive_goes_on_elsewhere_when_its_member_dies(
    cluster: EtcdRig, cluster_client: EtcdClient
) -> None:
    lease = await cluster_client.grant(3)
    await cluster_client.put(PutRequest(b"lease/d", b"", lease.id))
    cluster.members[0].kill()
    await stays(lambda: lease.alive, lease.ttl + 1)
    assert await cluster_client.get(b"lease/d") is not None
    await lease.revoke()


async def gone(client: EtcdClient, key: bytes) -> None:
    async def is_gone() -> bool:
        return await client.get(key) is None

    await until(is_gone)
