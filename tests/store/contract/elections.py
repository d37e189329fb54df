import asyncio

import pytest

from ddnsd.store.interface import ConditionalWrite, Done, Leadership, Stale, Store
from tests.store.contract.actions import DEADLINE, commit
from tests.waiting import turn_loop, until


async def queue(store: Store, *names: bytes) -> list[asyncio.Task[Leadership]]:
    """Start campaigns one after the other, each once the one before stands in the queue."""
    campaigns = []
    for name in names:
        before = len(await candidates(store))
        campaigns.append(asyncio.create_task(store.campaign(name)))

        async def queued(count: int = before + 1) -> bool:
            return len(await candidates(store)) == count

        await until(queued)
    return campaigns


async def candidates(store: Store) -> list[bytes]:
    """Return the values of the candidates, first come first."""
    items = (await store.snapshot("election/")).items
    return [item.value for item in sorted(items.values(), key=lambda item: item.created)]


async def won(campaign: asyncio.Task[Leadership]) -> Leadership:
    return await asyncio.wait_for(campaign, DEADLINE)


class ElectionContract:
    async def test_lone_candidate_leads(self, store: Store) -> None:
        leadership = await store.campaign(b"node 1")
        assert await leadership.confirm()
        assert await candidates(store) == [b"node 1"]
        items = (await store.snapshot("election/")).items
        assert leadership.guard == dict.fromkeys(items, leadership.epoch)
        assert [item.created for item in items.values()] == [leadership.epoch]

    async def test_candidates_lead_one_at_a_time_in_the_order_they_came(self, store: Store) -> None:
        campaigns = await queue(store, b"1", b"2", b"3")
        epochs = []
        for place, campaign in enumerate(campaigns, start=1):
            leadership = await won(campaign)
            assert not any(later.done() for later in campaigns[place:])
            assert await leadership.confirm()
            epochs.append(leadership.epoch)
            await leadership.resign()
        assert epochs == sorted(set(epochs))
        assert await candidates(store) == []

    async def test_epoch_grows_when_the_same_candidate_returns(self, store: Store) -> None:
        first = await store.campaign(b"1")
        await first.resign()
        second = await store.campaign(b"1")
        assert second.epoch > first.epoch

    async def test_guard_lets_the_leader_commit_and_nobody_after(self, store: Store) -> None:
        leadership = await store.campaign(b"1")
        update = ConditionalWrite(leadership.guard, {"hosts/a": b""})
        assert isinstance(await commit(store, update), Done)
        await leadership.resign()
        assert isinstance(await commit(store, update), Stale)
        assert not await leadership.confirm()

    async def test_deposed_leader_learns_it(self, store: Store) -> None:
        leadership = await store.campaign(b"1")
        lost = asyncio.create_task(leadership.lost())
        assert isinstance(
            await commit(store, ConditionalWrite(leadership.guard, deletes=frozenset(leadership.guard))), Done
        )
        await asyncio.wait_for(lost, DEADLINE)
        assert not await leadership.confirm()
        await asyncio.wait_for(store.campaign(b"2"), DEADLINE)

    async def test_resigning_ends_the_leadership_once(self, store: Store) -> None:
        leadership = await store.campaign(b"1")
        lost = asyncio.create_task(leadership.lost())
        await turn_loop()
        assert not lost.done()
        await leadership.resign()
        await asyncio.wait_for(lost, DEADLINE)
        successor = await store.campaign(b"2")
        await leadership.resign()
        assert await successor.confirm()

    async def test_each_election_is_one_by_itself(self, store: Store) -> None:
        leader = await store.campaign(b"1")
        one, other = await asyncio.gather(
            store.campaign(b"2", election="controllers/prod"),
            store.campaign(b"3", election="controllers/prod-2"),
        )
        items = (await store.snapshot("controllers/prod/")).items
        assert one.guard == dict.fromkeys(items, one.epoch)
        assert [item.value for item in items.values()] == [b"2"]
        waiting = asyncio.create_task(store.campaign(b"4", election="controllers/prod"))
        await leader.resign()
        await other.resign()
        assert await one.confirm()
        assert not waiting.done()
        await one.resign()
        assert await (await won(waiting)).confirm()

    async def test_cancelled_candidate_leaves_the_queue(self, store: Store) -> None:
        first, second, third = await queue(store, b"1", b"2", b"3")
        second.cancel()
        with pytest.raises(asyncio.CancelledError):
            await second
        assert await candidates(store) == [b"1", b"3"]
        await (await won(first)).resign()
        assert await (await won(third)).confirm()
