"""The election: one leader at a time, in the order of arrival, deposed by its own clock."""

import asyncio
import time

import pytest

from ddnsd.etcd import (
    Campaign,
    Compare,
    CompareTarget,
    DeleteRangeRequest,
    EtcdClient,
    PutRequest,
    RangeRequest,
    TxnRequest,
    WatchStream,
    enter,
)
from ddnsd.etcd.errors import CampaignLostError, EtcdUnavailableError
from tests.rigs.etcd import EtcdRig
from tests.waiting import turn_loop, until

TTL = 3
PATIENCE = 30.0  # seconds; only a failing test waits for it


async def campaign(client: EtcdClient, prefix: bytes, value: bytes, ttl: int) -> Campaign:
    """Enter and wait, as the store does."""
    candidate = await enter(client, prefix, value, ttl)
    await candidate.elected()
    return candidate


async def test_the_only_candidate_leads(client: EtcdClient) -> None:
    leader = await campaign(client, b"alone/", b"me", TTL)
    item = await client.get(leader.key)
    assert item is not None
    assert (item.value, item.create_revision) == (b"me", leader.epoch)
    assert leader.leads
    assert await leader.confirm()
    guard = Compare(leader.key, CompareTarget.CREATE, leader.epoch)
    assert (await client.txn(TxnRequest([guard]))).succeeded
    await leader.resign()
    assert not leader.leads
    assert not await leader.confirm()
    assert not (await client.txn(TxnRequest([guard]))).succeeded
    await leader.resign()


async def test_the_queue_is_fair_and_epochs_grow(client: EtcdClient) -> None:
    candidates = [await enter(client, b"fair/", b"%d" % number, TTL) for number in range(4)]
    won: list[Campaign] = []

    async def wait(candidate: Campaign) -> None:
        await candidate.elected()
        won.append(candidate)

    waiting = [asyncio.create_task(wait(candidate)) for candidate in reversed(candidates)]
    await candidates[1].resign()  # leaves the queue before its turn
    for number, leader in enumerate((candidates[0], candidates[2], candidates[3]), 1):
        await until(lambda: len(won) >= number)  # noqa: B023
        assert won[-1] is leader
        assert [candidate.leads for candidate in candidates].count(True) == 1
        await leader.resign()
    await asyncio.gather(*waiting, return_exceptions=True)
    assert [leader.epoch for leader in won] == sorted(leader.epoch for leader in won)


async def test_a_leader_that_dies_is_followed_after_its_ttl(etcd: EtcdRig, client: EtcdClient) -> None:
    async with EtcdClient(etcd.settings) as other:
        await campaign(other, b"dies/", b"other", TTL)
    began = time.monotonic()
    async with asyncio.timeout(TTL + 2):
        leader = await campaign(client, b"dies/", b"me", TTL)
    assert time.monotonic() - began > TTL - 1.5
    await leader.resign()


async def test_deposed_when_its_key_is_deleted(client: EtcdClient) -> None:
    leader = await campaign(client, b"deleted/", b"me", TTL)
    await client.delete(DeleteRangeRequest(leader.key))
    async with asyncio.timeout(1):
        await leader.lost()
    assert not leader.leads
    await leader.resign()


async def test_a_candidate_whose_key_is_deleted_is_told(client: EtcdClient) -> None:
    leader = await campaign(client, b"queue/", b"1", TTL)
    candidate = await enter(client, b"queue/", b"2", TTL)
    await client.delete(DeleteRangeRequest(candidate.key))
    with pytest.raises(CampaignLostError):
        await asyncio.wait_for(candidate.elected(), 1)
    await candidate.resign()
    await leader.resign()


async def test_a_cancelled_campaign_leaves_the_queue(client: EtcdClient) -> None:
    leader = await campaign(client, b"quit/", b"1", TTL)
    waiting = asyncio.create_task(campaign(client, b"quit/", b"2", TTL))
    await queued(client, b"quit", 2)
    waiting.cancel()
    await asyncio.wait([waiting])
    assert (await client.range(RangeRequest(b"quit/", b"quit0", count_only=True))).total == 1
    await leader.resign()


async def test_who_is_cancelled_before_it_hears_that_it_leads_resigns(client: EtcdClient) -> None:
    before = await campaign(client, b"unheard/", b"1", TTL)
    candidate = await enter(client, b"unheard/", b"2", TTL)
    waiting = asyncio.create_task(candidate.elected())
    resigning = asyncio.create_task(before.resign())
    async with asyncio.timeout(PATIENCE):
        while not candidate.leads:
            await turn_loop()
    waiting.cancel()
    await asyncio.wait([waiting, resigning])
    assert waiting.cancelled()
    assert not candidate.leads
    assert await client.get(candidate.key) is None


async def test_the_queue_survives_compaction(client: EtcdClient) -> None:
    leader = await campaign(client, b"compacted/", b"1", TTL)
    second = await enter(client, b"compacted/", b"2", TTL)
    for _ in range(3):
        await client.put(PutRequest(b"compacted", b""))
    await client.compact(client.revision)
    await leader.resign()
    async with asyncio.timeout(1):
        await second.elected()
    await second.resign()


async def test_a_leader_without_etcd_steps_down_before_the_next_is_elected(cluster: EtcdRig) -> None:
    """Its own member is frozen, and it knows no other: only its clock tells it."""
    first, second, third = cluster.members
    async with (
        EtcdClient(cluster.settings_of(first.url)) as alone,
        EtcdClient(cluster.settings_of(second.url, third.url)) as other,
    ):
        leader = await campaign(alone, b"frozen/", b"alone", TTL)
        following = asyncio.create_task(campaign_until_elected(other, b"frozen/", b"other"))
        await queued(other, b"frozen", 2)
        with first.frozen():
            async with asyncio.timeout(PATIENCE):
                await leader.lost()
            assert not following.done()
            with pytest.raises(EtcdUnavailableError):
                await asyncio.wait_for(leader.confirm(), PATIENCE)
            async with asyncio.timeout(PATIENCE):
                next_leader = await following
        assert next_leader.epoch > leader.epoch
        assert not await leader.confirm()
        await leader.resign()
        await next_leader.resign()


async def campaign_until_elected(client: EtcdClient, prefix: bytes, value: bytes) -> Campaign:
    """Campaign as the store does: a lease may not survive that etcd elects a leader."""
    while True:
        try:
            return await campaign(client, prefix, value, TTL)
        except CampaignLostError:
            continue


async def queued(client: EtcdClient, election: bytes, count: int) -> None:
    """Wait until so many candidates are in the queue."""

    async def are_in() -> bool:
        return (
            await client.range(RangeRequest(election + b"/", election + b"0", count_only=True))
        ).total >= count

    await until(are_in)


class DeafClient(EtcdClient):
    """Its watches are of a prefix under which nothing happens, for as long as it is deaf."""

    deaf = True

    def watch(self, prefix: bytes, start: int) -> WatchStream:
        return super().watch(b"nowhere/" if self.deaf else prefix, start)


async def test_a_first_candidate_that_does_not_notice_it_leaves_the_queue_and_may_enter_again(
    etcd: EtcdRig, client: EtcdClient
) -> None:
    """Its lease is kept alive: all others would wait for it, and nobody would lead."""
    before = await campaign(client, b"deaf/", b"before", TTL)
    async with DeafClient(etcd.settings) as deaf:
        unaware = await enter(deaf, b"deaf/", b"unaware", TTL)
        next_one = await enter(client, b"deaf/", b"next", TTL)
        await before.resign()
        began = time.monotonic()
        async with asyncio.timeout(3 * TTL):
            with pytest.raises(CampaignLostError):
                await unaware.elected()
            await next_one.elected()
        assert time.monotonic() - began >= TTL
        assert await client.get(unaware.key) is None
        await unaware.resign()
        deaf.deaf = False
        again = asyncio.create_task(campaign(deaf, b"deaf/", b"again", TTL))
        await next_one.resign()
        async with asyncio.timeout(TTL):
            await (await again).resign()
