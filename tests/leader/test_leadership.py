"""Two leaders of one installation: the one that was deposed changes nothing more."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from ddnsd.model.addresses import Family
from ddnsd.model.fence import parse_fence
from ddnsd.model.records import Candidacy, Placement, PlacementState, RecordKey, Work
from ddnsd.model.request import Updated
from ddnsd.nameserver.interface import Nameserver, Rcode, RecordType, RRset, Update
from ddnsd.store import keys, tables
from ddnsd.store.embedded import EmbeddedStore, open_embedded
from ddnsd.store.interface import ConditionalWrite as StoreUpdate
from ddnsd.store.interface import Leadership, Stale
from ddnsd.store.keys import ELECTION
from tests.leader.faults import Fault, FaultyNameserver, Trigger
from tests.leader.node import BLOG, PATIENCE, ZONE, Node, embedded_nameservers, example, node_on, served
from tests.narrow import only, present
from tests.rigs.forwarding import ForwardingStore
from tests.waiting import turn_loop

WHO = tables.encode(Candidacy("other"))
BLOG_A = RecordKey(BLOG, Family.A)


@asynccontextmanager
async def two_nodes(
    folder: Path,
) -> AsyncIterator[tuple[EmbeddedStore, Nameserver, list[Update], Node, Node]]:
    """Run two nodes, of which the first leads; note the UPDATEs of the first that were done."""
    store = await open_embedded(folder / "store")
    done: list[Update] = []
    try:
        async with embedded_nameservers(folder) as servers:
            watched = {"default": FaultyNameserver(servers["default"], Trigger(Fault.LOST, 0), done.append)}
            async with node_on(store, watched) as first, node_on(store, servers) as second:
                first.lead()
                await first.until(lambda: first.candidate.publisher is not None)
                second.lead()
                await first.apply(*example())
                yield store, servers["default"], done, first, second
    finally:
        await store.close()


async def _depose(store: EmbeddedStore, first: Node, second: Node) -> dict[str, int]:
    """Take the first node's key away, as the end of its lease would; return its guard."""
    epoch = present(first.candidate.publisher).epoch
    keys = (await store.snapshot(ELECTION)).items
    (mine,) = [key for key, item in keys.items() if item.created == epoch]
    await first.commits.commit(StoreUpdate({}, deletes=frozenset({mine})))
    await second.until(lambda: second.candidate.publisher is not None)
    return {mine: epoch}


async def test_late_update_of_the_deposed_is_refused(tmp_path: Path) -> None:
    async with two_nodes(tmp_path) as (store, nameserver, done, first, second):
        assert isinstance(await first.update(BLOG, "192.0.2.1"), Updated)
        late = done[-1]
        await _depose(store, first, second)
        assert isinstance(await first.update(BLOG, "192.0.2.2"), Updated), "any node answers"
        assert await nameserver.update(late) is Rcode.NXRRSET
        assert (await served(nameserver))[BLOG_A][0] == "192.0.2.2"


async def test_commit_of_the_deposed_fails(tmp_path: Path) -> None:
    async with two_nodes(tmp_path) as (store, _, _, first, second):
        publisher = present(first.candidate.publisher)
        guard = await _depose(store, first, second)
        assert guard[next(iter(guard))] == publisher.epoch
        outcome = await first.commits.commit(StoreUpdate(guard, {"installation": b"x"}))
        assert isinstance(outcome, Stale)
        await first.until(lambda: first.candidate.publisher is not publisher)


async def test_leadership_goes_to_and_fro_under_load(tmp_path: Path) -> None:
    """Each change is answered, and the fence is the last leader's."""
    async with two_nodes(tmp_path) as (store, nameserver, _, first, second):
        leader, other = first, second
        for turn in range(1, 8):
            asking = asyncio.create_task(other.update(BLOG, f"192.0.2.{turn}"))
            if turn % 2:
                await turn_loop()
            await _depose(store, leader, other)
            leader, other = other, leader
            assert isinstance(await asking, Updated)
        await leader.published()
        assert await served(nameserver) == leader.wanted()
        rrset = only(RRset, await nameserver.query(ZONE, f"_ddnsd.{ZONE}", RecordType.TXT))
        fence = present(parse_fence(rrset.values[0]))
        assert fence.epoch == present(leader.candidate.publisher).epoch


class Deaf(Leadership):
    """A real leadership whose end nobody is told of: it shows only when something is written."""

    def __init__(self, real: Leadership) -> None:
        self._real = real

    @property
    def epoch(self) -> int:
        return self._real.epoch

    @property
    def guard(self) -> Mapping[str, int]:
        return self._real.guard

    async def confirm(self) -> bool:
        return await self._real.confirm()

    async def lost(self) -> None:
        await asyncio.Event().wait()

    async def resign(self) -> None:
        await self._real.resign()


class DeafStore(ForwardingStore):
    """A store whose leaders are not told of their end: the etcd of a node may be slow to tell."""

    async def campaign(self, value: bytes, election: str = ELECTION) -> Leadership:
        return Deaf(await super().campaign(value, election))


@pytest.mark.logs_errors
async def test_leader_that_learns_of_its_end_by_requested_work_stands_again(tmp_path: Path) -> None:
    """Requests are answered by a group of tasks: what ends one of them comes in a group, too."""
    real = await open_embedded(tmp_path / "store")
    try:
        async with embedded_nameservers(tmp_path) as servers, node_on(DeafStore(real), servers) as node:
            node.lead()
            await node.apply(*example())
            await node.published()
            stray, epoch = Placement(ZONE, "gone"), present(node.candidate.publisher).epoch
            await real.commit([StoreUpdate({}, {keys.placement(stray): tables.encode(PlacementState())})])
            await node.until(lambda: stray in node.state.placements)
            mine = frozenset((await real.snapshot(ELECTION)).items)
            await real.commit([StoreUpdate({}, deletes=mine)])
            asked = await node.registry.work.request(ZONE, Work.FORGET)
            done = present(await node.registry.work.finished(asked, PATIENCE))
            assert not done.failure
            assert stray not in node.state.placements
            assert present(node.candidate.publisher).epoch > epoch
    finally:
        await real.close()


async def test_orderly_end_hands_over_at_once(tmp_path: Path) -> None:
    async with two_nodes(tmp_path) as (_, nameserver, _, first, second):
        await first.update(BLOG, "192.0.2.1")
        await first.stop_leading()
        async with asyncio.timeout(1):
            assert isinstance(await first.update(BLOG, "192.0.2.2"), Updated)
        assert (await served(nameserver))[BLOG_A][0] == "192.0.2.2"
        assert second.candidate.publisher is not None


@pytest.mark.parametrize("steps", range(12))
async def test_a_candidate_that_ends_when_it_is_elected_stands_in_nobodys_way(
    tmp_path: Path, steps: int
) -> None:
    """Steps of the event loop, of which it is one between its election and that the candidate knows."""
    store = await open_embedded(tmp_path / "store")
    try:
        async with embedded_nameservers(tmp_path) as servers, node_on(store, servers) as node:
            before = await store.campaign(WHO)
            node.lead()
            await queue_of(store, 2)
            resigning = asyncio.create_task(before.resign())
            await queue_of(store, 1)
            await turn_loop(steps)
            await node.stop_leading()
            await resigning
            async with asyncio.timeout(PATIENCE):
                await (await store.campaign(WHO)).resign()
    finally:
        await store.close()


async def queue_of(store: EmbeddedStore, length: int) -> None:
    """Wait until so many candidates are in the queue; look at each step of the event loop."""
    async with asyncio.timeout(PATIENCE):
        while len((await store.snapshot(ELECTION)).items) != length:
            await turn_loop()
