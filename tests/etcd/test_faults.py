"""What callers are told when members die, freeze, come back as another cluster, or are full."""

import asyncio
import socket
import time
from pathlib import Path

import grpc
import pytest

from ddnsd.etcd import (
    Compare,
    CompareTarget,
    EtcdClient,
    EtcdClientSettings,
    PutRequest,
    RangeRequest,
    TxnRequest,
)
from ddnsd.etcd.connections import ClusterChannel
from ddnsd.etcd.errors import (
    EtcdRestoredError,
    EtcdUnavailableError,
    MemberRefusedError,
    NoLeaderError,
    NoSpaceError,
    UnknownOutcomeError,
)
from ddnsd.etcd.messages import MEMBER_LIST, PUT, encode_put
from tests.etcd.test_watch import member_id
from tests.narrow import present
from tests.rigs.etcd import EtcdRig, Version
from tests.waiting import turn_loop, until


async def test_nobody_there(version: Version) -> None:
    with EtcdRig(version) as rig:
        rig.members[0].kill()
        async with EtcdClient(rig.settings) as client:
            began = time.monotonic()
            with pytest.raises(EtcdUnavailableError):
                await client.put(PutRequest(b"a", b""), timeout=1)
            assert 0.9 < time.monotonic() - began < 1.3


async def test_a_killed_member_costs_no_read_and_no_new_write(
    cluster: EtcdRig, cluster_client: EtcdClient
) -> None:
    await cluster_client.put(PutRequest(b"a", b"1"))
    if cluster.leader() is cluster.members[0]:
        cluster.ctl("move-leader", member_id(cluster, 1))
    cluster.members[0].kill()
    began = time.monotonic()
    assert await cluster_client.get(b"a") is not None
    assert time.monotonic() - began < 1
    await cluster_client.put(PutRequest(b"a", b"2"))


async def test_a_frozen_member_costs_a_read_one_try(cluster: EtcdRig, cluster_client: EtcdClient) -> None:
    await cluster_client.put(PutRequest(b"a", b"1"))
    if cluster.leader() is cluster.members[0]:
        cluster.ctl("move-leader", member_id(cluster, 1))
    with cluster.members[0].frozen():
        began = time.monotonic()
        assert await cluster_client.get(b"a") is not None
        assert time.monotonic() - began < 1.6
        began = time.monotonic()
        await cluster_client.put(PutRequest(b"a", b"2"))
        assert time.monotonic() - began < 0.5  # by then it has been left


async def test_a_member_is_left_for_its_own_failure_and_not_for_a_caller_s_short_time(etcd: EtcdRig) -> None:
    """To leave it drops the watches of all others."""
    connections = ClusterChannel(etcd.settings_of(*[etcd.members[0].url] * 2))
    first, second = connections.endpoints
    await connections.call_now(MEMBER_LIST, MEMBER_LIST.request(), 5)
    with etcd.members[0].frozen():
        for timeout, patience, left_for in ((0.2, None, first), (0.2, 0.2, second), (1.0, None, first)):
            with pytest.raises(EtcdUnavailableError):
                await connections.call_now(MEMBER_LIST, MEMBER_LIST.request(), timeout, patience=patience)
            assert connections.current is left_for
    await connections.close()


async def test_a_write_that_was_not_sent_goes_to_the_next_member(cluster: EtcdRig) -> None:
    """The look at a new connection is lost, not the write: that is not begun before."""
    if cluster.leader() is cluster.members[0]:
        cluster.ctl("move-leader", member_id(cluster, 1))
    connections = ClusterChannel(cluster.settings)
    await connections.current.ready(5)
    with cluster.members[0].frozen():
        await connections.call_now(PUT, encode_put(PutRequest(b"not/sent", b"1")), 5)
    await connections.close()


async def test_a_write_whose_answer_is_lost_is_unknown_and_not_sent_again(version: Version) -> None:
    with EtcdRig(version) as rig:
        async with EtcdClient(rig.settings) as client:
            await client.put(PutRequest(b"a", b"1"))
            with rig.members[0].frozen():
                with pytest.raises(UnknownOutcomeError):
                    await client.put(PutRequest(b"a", b"2"))
                with pytest.raises(EtcdUnavailableError):  # not sent: the connection is looked at first
                    await client.txn(
                        TxnRequest([Compare(b"a", CompareTarget.MOD, 0)], [], [PutRequest(b"a", b"3")])
                    )

            async def is_there() -> bool:
                return await client.get(b"a") is not None

            await until(is_there)
            assert present(await client.get(b"a")).version <= 2  # at most once


async def test_at_most_32_calls_are_in_flight(version: Version) -> None:
    with EtcdRig(version) as rig:
        async with EtcdClient(rig.settings) as client:
            await client.put(PutRequest(b"a", b""))
            with rig.members[0].frozen():
                # The first ones keep their slots until after the others have given up waiting for one.
                puts = [client.put(PutRequest(b"a/%d" % number, b""), timeout=2) for number in range(32)]
                more = [
                    client.put(PutRequest(b"a/%d" % number, b""), timeout=0.5) for number in range(32, 100)
                ]
                outcomes = await asyncio.gather(*puts, *more, return_exceptions=True)
    sent = [outcome for outcome in outcomes if isinstance(outcome, UnknownOutcomeError)]
    kept = [outcome for outcome in outcomes if isinstance(outcome, EtcdUnavailableError)]
    assert (len(sent), len(kept)) == (32, 68)


async def test_no_quorum(cluster: EtcdRig, cluster_client: EtcdClient) -> None:
    await cluster_client.put(PutRequest(b"a", b"1"))
    for member in cluster.members[1:]:
        member.kill()
    began = time.monotonic()
    with pytest.raises(EtcdUnavailableError):
        await cluster_client.get(b"a", timeout=2)
    assert time.monotonic() - began < 2.5
    lonely = EtcdClient(cluster.settings_of(cluster.members[0].url))
    with pytest.raises(NoLeaderError):
        await lonely.get(b"a", timeout=2)
    await lonely.close()
    local = await cluster_client.statuses()
    assert [isinstance(status, Exception) for status in local.values()] == [False, True, True]
    cluster.members[1].launch()
    assert await cluster_client.get(b"a", timeout=15) is not None


async def test_another_cluster_behind_the_address(version: Version, tmp_path: Path) -> None:
    """A restored snapshot with a new token: nothing is written there before the change is noticed."""
    with EtcdRig(version) as rig:
        async with EtcdClient(rig.settings) as client:
            revision = (await client.put(PutRequest(b"a", b"1"))).revision
            rig.ctl("snapshot", "save", str(tmp_path / "snapshot"))
            async with client.watch(b"a", revision) as watch:
                await watch.read()
                await asyncio.to_thread(rig.restore, tmp_path / "snapshot", "another")
                with pytest.raises(EtcdRestoredError, match="belongs to cluster"):
                    await asyncio.wait_for(watch.read(), 10)
            with pytest.raises(EtcdRestoredError, match="belongs to cluster"):
                await client.put(PutRequest(b"a", b"2"))
        async with EtcdClient(rig.settings) as client:
            item = await client.get(b"a")
            assert item is not None
            assert item.value == b"1"


async def test_the_past_of_the_same_cluster(version: Version, tmp_path: Path) -> None:
    """A restored snapshot with the same token and members has the same cluster id."""
    with EtcdRig(version) as rig:
        async with EtcdClient(rig.settings) as client:
            await client.put(PutRequest(b"a", b"1"))
            rig.ctl("snapshot", "save", str(tmp_path / "snapshot"))
            for _ in range(10):
                await client.put(PutRequest(b"a", b"2"))
            await asyncio.to_thread(rig.restore, tmp_path / "snapshot", rig.token)
            with pytest.raises(EtcdRestoredError, match="had been seen"):
                await client.range(RangeRequest(b"a"))


async def fill_up(client: EtcdClient) -> None:
    for number in range(1000):
        await client.put(PutRequest(b"full/%d" % number, b"x" * 50_000))


async def test_a_full_database(version: Version) -> None:
    with EtcdRig(version, options=("--quota-backend-bytes", "200000")) as rig:
        async with EtcdClient(rig.settings) as client:
            with pytest.raises(NoSpaceError):
                await fill_up(client)
            assert await client.get(b"full/0") is not None
            (status,) = (await client.statuses()).values()
            assert not isinstance(status, Exception)
            assert "NOSPACE" in status.errors[0]
            assert status.quota == (0 if version.folder is None else 200_000)


async def test_a_learner_is_not_the_cluster(version: Version) -> None:
    """It refuses nearly all calls: what it does not do, a member that votes does."""
    with EtcdRig(version) as rig:
        await asyncio.to_thread(rig.add_learner)
        voter, learner = rig.members
        async with EtcdClient(rig.settings_of(learner.url, voter.url)) as client:
            put = await client.put(PutRequest(b"learner/a", b"1"))
            async with client.watch(b"learner/", put.revision) as watch:
                (found,) = await asyncio.wait_for(watch.read(), 10)
            assert found.revision == put.revision
            assert await client.get(b"learner/a") is not None
            statuses = await client.statuses()
            assert not any(isinstance(status, Exception) for status in statuses.values())
        async with EtcdClient(rig.settings_of(learner.url)) as client:
            with pytest.raises(MemberRefusedError, match="not supported for learner"):
                await client.put(PutRequest(b"learner/b", b""), timeout=1)


async def test_what_is_no_etcd_is_not_the_cluster(etcd: EtcdRig) -> None:
    """A gRPC server of something else, and a web server: perhaps a gateway that was given the address."""
    server = grpc.aio.server()
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    web = await asyncio.start_server(forbid, "127.0.0.1", 0)
    addresses = [f"http://127.0.0.1:{number}" for number in (port, web.sockets[0].getsockname()[1])]
    async with EtcdClient(etcd.settings_of(*addresses, etcd.members[0].url)) as client:
        put = await client.put(PutRequest(b"foreign/a", b""))
        async with client.watch(b"foreign/", put.revision) as watch:
            assert (await asyncio.wait_for(watch.read(), 10))[0].revision == put.revision
    async with EtcdClient(etcd.settings_of(addresses[0])) as client:
        with pytest.raises(MemberRefusedError, match="UNIMPLEMENTED"):
            await client.put(PutRequest(b"foreign/b", b""), timeout=1)
    web.close()
    await server.stop(None)


async def forbid(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer as a web server does that speaks HTTP/1.1."""
    writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
    writer.close()


async def test_closed(etcd: EtcdRig) -> None:
    client = EtcdClient(etcd.settings)
    await client.put(PutRequest(b"closed", b""))
    await client.close()
    with pytest.raises(EtcdUnavailableError):
        await client.put(PutRequest(b"closed", b""))
    (status,) = (await client.statuses()).values()
    assert isinstance(status, EtcdUnavailableError)
    await client.close()


async def test_closed_while_it_connects() -> None:
    """Of a closed channel gRPC raises what is no `EtcdError`."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        client = EtcdClient(EtcdClientSettings((f"http://127.0.0.1:{silent.getsockname()[1]}",)))
        put = asyncio.create_task(client.put(PutRequest(b"a", b"")))
        statuses = asyncio.create_task(client.statuses())
        await turn_loop(100)  # they are on their way
        await client.close()
        with pytest.raises(EtcdUnavailableError):
            await put
        (status,) = (await statuses).values()
        assert isinstance(status, EtcdUnavailableError)
