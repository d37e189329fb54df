"""The watch: whole revisions, in order, each once, whatever happens to its member."""

import asyncio
import time
from dataclasses import replace

import pytest

from ddnsd.etcd import (
    DeleteRangeRequest,
    EtcdClient,
    EtcdClientSettings,
    PutRequest,
    RangeRequest,
    TxnRequest,
    WatchRevision,
    WatchStream,
)
from ddnsd.etcd.channel import MemberChannel, Stream
from ddnsd.etcd.connections import ClusterChannel
from ddnsd.etcd.errors import EtcdCompactedError, EtcdUnavailableError
from ddnsd.etcd.values import prefix_range
from tests.etcd.test_kv import fill
from tests.rigs.etcd import EtcdRig
from tests.waiting import until


async def read_until(watch: WatchStream, revision: int) -> list[WatchRevision]:
    """Read up to a revision."""
    found: list[WatchRevision] = []
    async with asyncio.timeout(60):
        while not found or found[-1].revision < revision:
            found += await watch.read()
    return found


async def next_revision(client: EtcdClient) -> int:
    return (await client.range(RangeRequest(b"now"))).revision + 1


def revisions(found: list[WatchRevision]) -> list[int]:
    return [revision.revision for revision in found]


async def test_puts_and_deletes_of_the_prefix_only(client: EtcdClient) -> None:
    start = (await client.put(PutRequest(b"other", b""))).revision + 1
    async with client.watch(b"watch/", start) as watch:
        put = await client.put(PutRequest(b"watch/a", b"1"))
        await client.put(PutRequest(b"other", b""))
        both = await client.txn(
            TxnRequest(success=[DeleteRangeRequest(b"watch/a"), PutRequest(b"watch/b", b"2")])
        )
        first, second = await read_until(watch, both.revision)
    assert (first.revision, second.revision) == (put.revision, both.revision)
    assert [event.deleted for event in second.events] == [True, False]
    assert second.events[0].item.mod_revision == both.revision
    assert second.events[1].item == await client.get(b"watch/b")


async def test_catching_up_over_more_than_a_thousand_revisions(client: EtcdClient) -> None:
    """Catch-up comes in batches of 1,000 revisions, whose headers carry the newest one."""
    start = await next_revision(client)
    last = 0
    for _ in range(25):
        answers = await asyncio.gather(*(client.put(PutRequest(b"long/%d" % key, b"")) for key in range(100)))
        last = max(answer.revision for answer in answers)
    async with client.watch(b"long/", start) as watch:
        found = await read_until(watch, last)
    assert len(revisions(found)) == len(set(revisions(found))) == 2500
    assert revisions(found) == sorted(revisions(found))


@pytest.mark.parametrize("fragment", [False, True])
async def test_a_revision_of_many_fragments_is_whole(etcd: EtcdRig, fragment: bool) -> None:
    """etcd splits responses above --max-request-bytes + 512 KiB: a deletion of many long keys is such."""
    async with EtcdClient(replace(etcd.settings, fragment=fragment)) as client:
        await check_whole(client, b"fragment/%d/" % fragment + b"n" * 12_000)


async def check_whole(client: EtcdClient, name: bytes) -> None:
    for number in range(300):
        await client.put(PutRequest(name + b"/%03d" % number, b""))
    start = client.revision + 1
    async with client.watch(name, start) as watch:
        deleted = await client.delete(DeleteRangeRequest(*prefix_range(name)))
        last = (await client.put(PutRequest(name, b""))).revision
        found = await read_until(watch, last)
    async with client.watch(name, start) as watch:
        caught_up = await read_until(watch, last)
    assert deleted.deleted == 300
    assert [(revision.revision, len(revision.events)) for revision in found] == [(last - 1, 300), (last, 1)]
    assert caught_up == found


async def test_compacted(client: EtcdClient) -> None:
    await fill(client, b"compact/", 10)
    start = client.revision
    await client.put(PutRequest(b"compact/a", b""))
    await client.put(PutRequest(b"compact/a", b""))
    await client.compact(client.revision)
    async with client.watch(b"compact/", start) as watch:
        with pytest.raises(EtcdCompactedError) as caught:
            await watch.read()
    assert caught.value.compact_revision == client.revision


async def test_a_slow_reader_makes_etcd_wait_and_loses_nothing(etcd: EtcdRig) -> None:
    settings = replace(etcd.settings, idle_timeout=0.2, dead_timeout=0.5)
    async with EtcdClient(settings) as client:
        start = (await client.put(PutRequest(b"slow/", b""))).revision
        async with client.watch(b"slow/", start) as watch:
            answers = [await client.put(PutRequest(b"slow/%d" % number, b"")) for number in range(300)]
            await asyncio.sleep(1)  # longer than silence is borne: it is the reader that is slow
            found = await read_until(watch, answers[-1].revision)
    assert revisions(found) == list(range(start, answers[-1].revision + 1))


async def test_reading_may_be_cancelled(client: EtcdClient) -> None:
    async with client.watch(b"cancel/", await next_revision(client)) as watch:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await watch.read()
        put = await client.put(PutRequest(b"cancel/a", b""))
        assert revisions(await read_until(watch, put.revision)) == [put.revision]


async def test_closed(client: EtcdClient) -> None:
    watch = client.watch(b"closed/", 1)
    await watch.close()
    with pytest.raises(EtcdUnavailableError):
        await watch.read()


class Leaving(ClusterChannel):
    """Leaves a member, as a failed call does, some turns of the loop after the first watch opened there."""

    def __init__(self, settings: EtcdClientSettings, turns: int) -> None:
        super().__init__(settings)
        self._turns = turns
        self.opened = 0

    async def open_watch(self) -> tuple[MemberChannel, Stream]:
        endpoint, stream = await super().open_watch()
        self.opened += 1
        if self.opened == 1:
            self._leave_in(self._turns, endpoint)
        return endpoint, stream

    def _leave_in(self, turns: int, endpoint: MemberChannel) -> None:
        if turns:
            asyncio.get_running_loop().call_soon(self._leave_in, turns - 1, endpoint)
        else:
            self.leave(endpoint)


@pytest.mark.parametrize("turns", range(6))
async def test_a_stream_that_is_dropped_at_its_opening(etcd: EtcdRig, client: EtcdClient, turns: int) -> None:
    """gRPC never wakes a write that waits for the metadata of a call which was cancelled before they went."""
    put = await client.put(PutRequest(b"opening/", b""))
    connections = Leaving(etcd.settings_of(*[etcd.members[0].url] * 2), turns)
    watch = WatchStream(connections, b"opening/", put.revision)
    try:
        assert revisions(await read_until(watch, put.revision)) == [put.revision]
        assert connections.opened == 2
    finally:
        await watch.close()
        await connections.close()


async def test_no_loss_and_no_repetition_while_members_are_killed(
    cluster: EtcdRig, cluster_client: EtcdClient
) -> None:
    client = cluster_client
    start = (await client.put(PutRequest(b"load/", b""))).revision
    stop = asyncio.Event()
    done = 0

    async def write(number: int) -> None:
        nonlocal done
        while not stop.is_set():
            txn = TxnRequest(
                success=[PutRequest(b"load/%d/%d" % (number, key), b"x" * 100) for key in range(3)]
            )
            await client.txn(txn, repeatable=True)
            done += 1

    async def has_written(more: int) -> None:
        before = done
        await until(lambda: done >= before + more, 20)

    async def break_members() -> None:
        for member in cluster.members:
            await has_written(50)
            member.kill()
            await has_written(50)
            member.launch()
            await asyncio.to_thread(cluster.wait)
        stop.set()

    async with client.watch(b"load/", start) as watch:
        writers = [asyncio.create_task(write(number)) for number in range(8)]
        await asyncio.gather(break_members(), *writers)
        last = (await client.put(PutRequest(b"load/", b"end"))).revision
        found = await read_until(watch, last)
    assert revisions(found) == list(range(start, last + 1))
    assert all(len(revision.events) == 3 for revision in found[1:-1])


async def test_a_frozen_member_is_left(cluster: EtcdRig) -> None:
    """The watch alone notices, without a call that fails."""
    first, second, _ = cluster.members
    async with (
        EtcdClient(cluster.settings_of(first.url, second.url)) as client,
        EtcdClient(cluster.settings_of(second.url)) as writer,
    ):
        start = (await client.put(PutRequest(b"frozen/", b""))).revision
        async with client.watch(b"frozen/", start) as watch:
            await read_until(watch, start)
            if cluster.leader() is first:
                cluster.ctl("move-leader", member_id(cluster, 1), member=first)
            with first.frozen():
                began = time.monotonic()
                put = await writer.put(PutRequest(b"frozen/a", b""), timeout=10)
                await read_until(watch, put.revision)
                assert 2 < time.monotonic() - began < 6.5


async def test_a_failed_call_moves_the_watch_too(cluster: EtcdRig) -> None:
    first, second, _ = cluster.members
    async with EtcdClient(cluster.settings_of(first.url, second.url)) as client:
        start = (await client.put(PutRequest(b"moved/", b""))).revision
        async with client.watch(b"moved/", start) as watch:
            await read_until(watch, start)
            if cluster.leader() is first:
                cluster.ctl("move-leader", member_id(cluster, 1), member=first)
            with first.frozen():
                began = time.monotonic()
                await client.get(b"moved/")
                put = await client.put(PutRequest(b"moved/a", b""))
                await read_until(watch, put.revision)
                assert time.monotonic() - began < 2


def member_id(cluster: EtcdRig, index: int) -> str:
    """Return a member's id as etcdctl writes it."""
    lines = cluster.ctl("member", "list").splitlines()
    return next(line.split(",")[0] for line in lines if cluster.members[index].url in line)
