"""The watch: whole revisions, in order, each once, whatever happens to its member."""

import asyncio
import time
from dataclasses import replace

import pytest

from ddnsd.etcd import Client, Delete, Put, Range, Revision, Settings, Txn, Watch
from ddnsd.etcd.connections import Connections, OpenWatch
from ddnsd.etcd.errors import CompactedError, UnavailableError
from ddnsd.etcd.values import prefix_range
from tests.etcd.test_kv import fill
from tests.rigs.etcd import EtcdRig


async def read_until(watch: Watch, revision: int) -> list[Revision]:
    """Read up to a revision."""
    found: list[Revision] = []
    async with asyncio.timeout(60):
        while not found or found[-1].revision < revision:
            found += await watch.read()
    return found


async def next_revision(client: Client) -> int:
    return (await client.range(Range(b"now"))).revision + 1


def revisions(found: list[Revision]) -> list[int]:
    return [revision.revision for revision in found]


async def test_puts_and_deletes_of_the_prefix_only(client: Client) -> None:
    start = (await client.put(Put(b"other", b""))).revision + 1
    async with client.watch(b"watch/", start) as watch:
        put = await client.put(Put(b"watch/a", b"1"))
        await client.put(Put(b"other", b""))
        both = await client.txn(Txn(success=[Delete(b"watch/a"), Put(b"watch/b", b"2")]))
        first, second = await read_until(watch, both.revision)
    assert (first.revision, second.revision) == (put.revision, both.revision)
    assert [event.deleted for event in second.events] == [True, False]
    assert second.events[0].item.mod_revision == both.revision
    assert second.events[1].item == await client.get(b"watch/b")


async def test_catching_up_over_more_than_a_thousand_revisions(client: Client) -> None:
    """Catch-up comes in batches of 1,000 revisions, whose headers carry the newest one."""
    start = await next_revision(client)
    last = 0
    for _ in range(25):
        answers = await asyncio.gather(*(client.put(Put(b"long/%d" % key, b"")) for key in range(100)))
        last = max(answer.revision for answer in answers)
    async with client.watch(b"long/", start) as watch:
        found = await read_until(watch, last)
    assert len(revisions(found)) == len(set(revisions(found))) == 2500
    assert revisions(found) == sorted(revisions(found))


@pytest.mark.parametrize("fragment", [False, True])
async def test_a_revision_of_many_fragments_is_whole(etcd: EtcdRig, fragment: bool) -> None:
    """etcd splits responses above --max-request-bytes + 512 KiB: a deletion of many long keys is such."""
    async with Client(replace(etcd.settings, fragment=fragment)) as client:
        await check_whole(client, b"fragment/%d/" % fragment + b"n" * 12_000)


async def check_whole(client: Client, name: bytes) -> None:
    for number in range(300):
        await client.put(Put(name + b"/%03d" % number, b""))
    start = client.revision + 1
    async with client.watch(name, start) as watch:
        deleted = await client.delete(Delete(*prefix_range(name)))
        last = (await client.put(Put(name, b""))).revision
        found = await read_until(watch, last)
    async with client.watch(name, start) as watch:
        caught_up = await read_until(watch, last)
    assert deleted.deleted == 300
    assert [(revision.revision, len(revision.events)) for revision in found] == [(last - 1, 300), (last, 1)]
    assert caught_up == found


async def test_compacted(client: Client) -> None:
    await fill(client, b"compact/", 10)
    start = client.revision
    await client.put(Put(b"compact/a", b""))
    await client.put(Put(b"compact/a", b""))
    await client.compact(client.revision)
    async with client.watch(b"compact/", start) as watch:
        with pytest.raises(CompactedError) as caught:
            await watch.read()
    assert caught.value.compact_revision == client.revision


async def test_a_slow_reader_makes_etcd_wait_and_loses_nothing(etcd: EtcdRig) -> None:
    settings = replace(etcd.settings, idle_timeout=0.2, dead_timeout=0.5)
    async with Client(settings) as client:
        start = (await client.put(Put(b"slow/", b""))).revision
        async with client.watch(b"slow/", start) as watch:
            answers = [await client.put(Put(b"slow/%d" % number, b"")) for number in range(300)]
            await asyncio.sleep(1)  # longer than silence is borne: it is the reader that is slow
            found = await read_until(watch, answers[-1].revision)
    assert revisions(found) == list(range(start, answers[-1].revision + 1))


async def test_reading_may_be_cancelled(client: Client) -> None:
    async with client.watch(b"cancel/", await next_revision(client)) as watch:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await watch.read()
        put = await client.put(Put(b"cancel/a", b""))
        assert revisions(await read_until(watch, put.revision)) == [put.revision]


async def test_closed(client: Client) -> None:
    watch = client.watch(b"closed/", 1)
    await watch.close()
    with pytest.raises(UnavailableError):
        await watch.read()


class Leaving(Connections):
    """Leaves a member, as a failed call does, some turns of the loop after the first watch opened there."""

    def __init__(self, settings: Settings, turns: int) -> None:
        super().__init__(settings)
        self._turns = turns
        self.opened = 0

    async def open_watch(self) -> OpenWatch:
        opened = await super().open_watch()
        self.opened += 1
        if self.opened == 1:
            self._leave_in(self._turns, opened)
        return opened

    def _leave_in(self, turns: int, opened: OpenWatch) -> None:
        if turns:
            asyncio.get_running_loop().call_soon(self._leave_in, turns - 1, opened)
        else:
            self.leave(opened.endpoint)


@pytest.mark.parametrize("turns", range(6))
async def test_a_stream_that_is_dropped_at_its_opening(etcd: EtcdRig, client: Client, turns: int) -> None:
    """gRPC never wakes a write that waits for the metadata of a call which was cancelled before they went."""
    put = await client.put(Put(b"opening/", b""))
    connections = Leaving(etcd.settings_of(*[etcd.members[0].url] * 2), turns)
    watch = Watch(connections, b"opening/", put.revision)
    try:
        assert revisions(await read_until(watch, put.revision)) == [put.revision]
        assert connections.opened == 2
    finally:
        await watch.close()
        await connections.close()


async def test_no_loss_and_no_repetition_while_members_are_killed(
    cluster: EtcdRig, cluster_client: Client
) -> None:
    client = cluster_client
    start = (await client.put(Put(b"load/", b""))).revision
    stop = asyncio.Event()
    done = 0

    async def write(number: int) -> None:
        nonlocal done
        while not stop.is_set():
            txn = Txn(success=[Put(b"load/%d/%d" % (number, key), b"x" * 100) for key in range(3)])
            await client.txn(txn, repeatable=True)
            done += 1

    async def break_members() -> None:
        for member in cluster.members:
            await asyncio.sleep(0.5)
            member.kill()
            before = done
            async with asyncio.timeout(20):
                while done < before + 50:
                    await asyncio.sleep(0.02)
            member.launch()
            await asyncio.to_thread(cluster.wait)
        stop.set()

    async with client.watch(b"load/", start) as watch:
        writers = [asyncio.create_task(write(number)) for number in range(8)]
        await asyncio.gather(break_members(), *writers)
        last = (await client.put(Put(b"load/", b"end"))).revision
        found = await read_until(watch, last)
    assert revisions(found) == list(range(start, last + 1))
    assert all(len(revision.events) == 3 for revision in found[1:-1])


async def test_a_frozen_member_is_left(cluster: EtcdRig) -> None:
    """The watch alone notices, without a call that fails."""
    first, second, _ = cluster.members
    async with (
        Client(cluster.settings_of(first.url, second.url)) as client,
        Client(cluster.settings_of(second.url)) as writer,
    ):
        start = (await client.put(Put(b"frozen/", b""))).revision
        async with client.watch(b"frozen/", start) as watch:
            await read_until(watch, start)
            if cluster.leader() is first:
                cluster.ctl("move-leader", member_id(cluster, 1), member=first)
            with first.frozen():
                began = time.monotonic()
                put = await writer.put(Put(b"frozen/a", b""), timeout=10)
                await read_until(watch, put.revision)
                assert 2 < time.monotonic() - began < 6.5


async def test_a_failed_call_moves_the_watch_too(cluster: EtcdRig) -> None:
    first, second, _ = cluster.members
    async with Client(cluster.settings_of(first.url, second.url)) as client:
        start = (await client.put(Put(b"moved/", b""))).revision
        async with client.watch(b"moved/", start) as watch:
            await read_until(watch, start)
            if cluster.leader() is first:
                cluster.ctl("move-leader", member_id(cluster, 1), member=first)
            with first.frozen():
                began = time.monotonic()
                await client.get(b"moved/")
                put = await client.put(Put(b"moved/a", b""))
                await read_until(watch, put.revision)
                assert time.monotonic() - began < 2


def member_id(cluster: EtcdRig, index: int) -> str:
    """Return a member's id as etcdctl writes it."""
    lines = cluster.ctl("member", "list").splitlines()
    return next(line.split(",")[0] for line in lines if cluster.members[index].url in line)
