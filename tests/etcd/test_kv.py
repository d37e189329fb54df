"""Reads, writes and transactions on one member."""

import asyncio
from dataclasses import replace

import pytest

from ddnsd.etcd import (
    Compare,
    CompareTarget,
    DeleteRangeRequest,
    EtcdClient,
    Order,
    PutRequest,
    RangeRequest,
    Relation,
    TxnRequest,
)
from ddnsd.etcd.errors import EtcdCompactedError, RequestRefusedError
from ddnsd.etcd.values import DeleteRangeResponse, PutResponse, RangeResponse, TxnResponse, prefix_range
from tests.rigs.etcd import EtcdRig


async def fill(client: EtcdClient, prefix: bytes, count: int) -> int:
    """Put `count` keys, a hundred at a time; return the last revision."""
    revision = 0
    for first in range(0, count, 100):
        puts = [
            PutRequest(prefix + b"%06d" % number, b"v") for number in range(first, min(count, first + 100))
        ]
        revision = (await client.txn(TxnRequest(success=puts))).revision
    return revision


async def test_put_get_and_delete(client: EtcdClient) -> None:
    put = await client.put(PutRequest(b"kv/a", b"1"))
    again = await client.put(PutRequest(b"kv/a", b"2"))
    item = await client.get(b"kv/a")
    assert item is not None
    assert item[:5] == (b"kv/a", b"2", put.revision, again.revision, 2)
    assert await client.delete(DeleteRangeRequest(b"kv/a")) == (again.revision + 1, 1)
    assert await client.get(b"kv/a") is None


async def test_order_and_total(client: EtcdClient) -> None:
    for key in (b"order/b", b"order/a", b"order/c"):
        await client.put(PutRequest(key, b""))
    newest = await client.range(RangeRequest(*prefix_range(b"order/"), limit=1, order=Order.NEWEST))
    assert [item.key for item in newest.items] == [b"order/c"]
    assert newest.more
    assert newest.total == 3
    oldest = await client.range(RangeRequest(*prefix_range(b"order/"), order=Order.OLDEST, keys_only=True))
    assert [item.key[-1:] for item in oldest.items] == [b"b", b"a", b"c"]


async def test_pages_are_of_one_revision_while_others_write(client: EtcdClient) -> None:
    revision = await fill(client, b"page/", 500)

    async def write() -> None:
        for number in range(200):
            await client.put(PutRequest(b"page/%06d" % (number * 2), b"new"))
            await client.delete(DeleteRangeRequest(b"page/%06d" % (number * 2 + 1)))

    writing = asyncio.create_task(write())
    snapshot = await client.read_prefix(b"page/", page=7)
    late = await client.read_prefix(b"page/", revision=revision, page=50)
    await writing
    assert snapshot.revision >= revision
    assert max(item.mod_revision for item in snapshot.items) <= snapshot.revision
    assert [item.value for item in late.items] == [b"v"] * 500
    whole = await client.read_prefix(b"page/", revision=snapshot.revision)
    assert whole == snapshot


@pytest.mark.parametrize(
    ("target", "operand", "relation"),
    [
        (CompareTarget.VERSION, 1, Relation.EQUAL),
        (CompareTarget.CREATE, 0, Relation.GREATER),
        (CompareTarget.MOD, 1 << 40, Relation.LESS),
        (CompareTarget.VALUE, b"other", Relation.NOT_EQUAL),
        (CompareTarget.LEASE, 0, Relation.EQUAL),
    ],
)
async def test_compares(
    client: EtcdClient, target: CompareTarget, operand: int | bytes, relation: Relation
) -> None:
    await client.put(PutRequest(b"compare/" + target.name.encode(), b"1"))
    compare = Compare(b"compare/" + target.name.encode(), target, operand, relation)
    assert (await client.txn(TxnRequest([compare]))).succeeded
    opposite = Relation.NOT_EQUAL if relation is Relation.EQUAL else Relation.EQUAL
    assert not (await client.txn(TxnRequest([compare._replace(relation=opposite)]))).succeeded


async def test_nested_transactions_succeed_and_fail_one_by_one(client: EtcdClient) -> None:
    good = (await client.put(PutRequest(b"nest/good", b"1"))).revision
    stale = (await client.put(PutRequest(b"nest/stale", b"1"))).revision
    nested = [
        TxnRequest(
            [Compare(b"nest/good", CompareTarget.MOD, good)],
            [PutRequest(b"nest/good", b"2")],
            [RangeRequest(b"nest/good")],
        ),
        TxnRequest(
            [Compare(b"nest/stale", CompareTarget.MOD, 1)],
            [PutRequest(b"nest/stale", b"2")],
            [RangeRequest(b"nest/stale")],
        ),
        TxnRequest([], [DeleteRangeRequest(b"nest/none"), RangeRequest(b"nest/good")]),
    ]
    answer = await client.txn(TxnRequest(success=[*nested, PutRequest(b"nest/clock", b"")]))
    revision = answer.revision
    first, second, third, clock = answer.results
    assert first == TxnResponse(revision, True, (PutResponse(revision),))
    assert isinstance(second, TxnResponse)
    assert not second.succeeded
    assert isinstance(second.results[0], RangeResponse)
    assert second.results[0].items[0].mod_revision == stale
    assert isinstance(third, TxnResponse)
    assert third.results[0] == DeleteRangeResponse(revision, 0)
    assert clock == PutResponse(revision)
    item = await client.get(b"nest/good")
    assert item is not None
    assert item.mod_revision == revision


async def test_all_compares_see_the_state_before_the_writes(client: EtcdClient) -> None:
    crossed = [
        TxnRequest([Compare(b"cross/x", CompareTarget.MOD, 0)], [PutRequest(b"cross/y", b"")]),
        TxnRequest([Compare(b"cross/y", CompareTarget.MOD, 0)], [PutRequest(b"cross/x", b"")]),
    ]
    answer = await client.txn(TxnRequest(success=crossed))
    assert [result.succeeded for result in answer.results if isinstance(result, TxnResponse)] == [True, True]


async def test_122_updates_of_five_compares_fit_and_123_do_not(client: EtcdClient) -> None:
    def group(size: int) -> TxnRequest:
        def update(number: int) -> TxnRequest:
            compares = [Compare(b"big/%d/%d" % (number, key), CompareTarget.MOD, 0) for key in range(5)]
            return TxnRequest(
                compares,
                [PutRequest(b"big/%d" % number, b"")],
                [RangeRequest(compare.key) for compare in compares],
            )

        return TxnRequest(success=[*map(update, range(size)), PutRequest(b"big/clock", b"")])

    assert (await client.txn(group(122))).succeeded
    with pytest.raises(RequestRefusedError, match="too many operations"):
        await client.txn(group(123))


async def test_the_same_key_put_twice(client: EtcdClient) -> None:
    twice = [
        TxnRequest(success=[PutRequest(b"twice", b"1")]),
        TxnRequest(success=[PutRequest(b"twice", b"2")]),
    ]
    with pytest.raises(RequestRefusedError, match="duplicate key"):
        await client.txn(TxnRequest(success=twice))
    assert await client.get(b"twice") is None


@pytest.mark.parametrize("size", [1_600_000, 4_000_000], ids=["etcd's limit", "gRPC's limit"])
async def test_too_many_bytes(client: EtcdClient, size: int) -> None:
    with pytest.raises(RequestRefusedError, match=r"too large|larger than max"):
        await client.put(PutRequest(b"large", b"x" * size))


async def test_revisions_that_are_not_there(client: EtcdClient) -> None:
    revision = (await client.put(PutRequest(b"gone", b"1"))).revision
    await client.put(PutRequest(b"gone", b"2"))
    await client.compact(revision + 1)
    with pytest.raises(EtcdCompactedError):
        await client.range(RangeRequest(b"gone", revision=revision))
    with pytest.raises(EtcdCompactedError):
        await client.compact(revision)
    with pytest.raises(RequestRefusedError, match="future revision"):
        await client.range(RangeRequest(b"gone", revision=revision + 1000))


async def test_status_and_members(etcd: EtcdRig, client: EtcdClient) -> None:
    (member,) = await client.members()
    assert member.client_urls == (etcd.members[0].url,)
    (status,) = (await client.statuses()).values()
    assert not isinstance(status, Exception)
    assert status.member_id == status.leader == member.id
    assert status.version in etcd.ctl("endpoint", "status")
    assert status.size >= status.size_in_use > 0


@pytest.mark.parametrize("endpoint", ["http://localhost:{}", "127.0.0.1:{}", "http://[::1]:{}"])
async def test_names_and_addresses(etcd: EtcdRig, endpoint: str) -> None:
    settings = replace(etcd.settings, endpoints=(endpoint.format(etcd.members[0].client_port),))
    async with EtcdClient(settings) as client:
        assert (await client.put(PutRequest(b"address", b""))).revision
