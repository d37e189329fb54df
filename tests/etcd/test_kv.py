"""Reads, writes and transactions on one member."""

import asyncio
from dataclasses import replace

import pytest

from ddnsd.etcd import Client, Compare, Delete, Order, Put, Range, Relation, Target, Txn
from ddnsd.etcd.errors import (
    CompactedError,
    DuplicateKeyError,
    FutureRevisionError,
    RequestTooLargeError,
    TooManyOperationsError,
)
from ddnsd.etcd.values import DeleteResult, PutResult, RangeResult, TxnResult, prefix_range
from tests.rigs.etcd import EtcdRig


async def fill(client: Client, prefix: bytes, count: int) -> int:
    """Put `count` keys, a hundred at a time; return the last revision."""
    revision = 0
    for first in range(0, count, 100):
        puts = [Put(prefix + b"%06d" % number, b"v") for number in range(first, min(count, first + 100))]
        revision = (await client.txn(Txn(success=puts))).revision
    return revision


async def test_put_get_and_delete(client: Client) -> None:
    put = await client.put(Put(b"kv/a", b"1"))
    again = await client.put(Put(b"kv/a", b"2"))
    item = await client.get(b"kv/a")
    assert item is not None
    assert item[:5] == (b"kv/a", b"2", put.revision, again.revision, 2)
    assert await client.delete(Delete(b"kv/a")) == (again.revision + 1, 1)
    assert await client.get(b"kv/a") is None


async def test_order_and_total(client: Client) -> None:
    for key in (b"order/b", b"order/a", b"order/c"):
        await client.put(Put(key, b""))
    newest = await client.range(Range(*prefix_range(b"order/"), limit=1, order=Order.NEWEST))
    assert [item.key for item in newest.items] == [b"order/c"]
    assert newest.more
    assert newest.total == 3
    oldest = await client.range(Range(*prefix_range(b"order/"), order=Order.OLDEST, keys_only=True))
    assert [item.key[-1:] for item in oldest.items] == [b"b", b"a", b"c"]


async def test_pages_are_of_one_revision_while_others_write(client: Client) -> None:
    revision = await fill(client, b"page/", 500)

    async def write() -> None:
        for number in range(200):
            await client.put(Put(b"page/%06d" % (number * 2), b"new"))
            await client.delete(Delete(b"page/%06d" % (number * 2 + 1)))

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
        (Target.VERSION, 1, Relation.EQUAL),
        (Target.CREATE, 0, Relation.GREATER),
        (Target.MOD, 1 << 40, Relation.LESS),
        (Target.VALUE, b"other", Relation.NOT_EQUAL),
        (Target.LEASE, 0, Relation.EQUAL),
    ],
)
async def test_compares(client: Client, target: Target, operand: int | bytes, relation: Relation) -> None:
    await client.put(Put(b"compare/" + target.name.encode(), b"1"))
    compare = Compare(b"compare/" + target.name.encode(), target, operand, relation)
    assert (await client.txn(Txn([compare]))).succeeded
    opposite = Relation.NOT_EQUAL if relation is Relation.EQUAL else Relation.EQUAL
    assert not (await client.txn(Txn([compare._replace(relation=opposite)]))).succeeded


async def test_nested_transactions_succeed_and_fail_one_by_one(client: Client) -> None:
    good = (await client.put(Put(b"nest/good", b"1"))).revision
    stale = (await client.put(Put(b"nest/stale", b"1"))).revision
    nested = [
        Txn([Compare(b"nest/good", Target.MOD, good)], [Put(b"nest/good", b"2")], [Range(b"nest/good")]),
        Txn([Compare(b"nest/stale", Target.MOD, 1)], [Put(b"nest/stale", b"2")], [Range(b"nest/stale")]),
        Txn([], [Delete(b"nest/none"), Range(b"nest/good")]),
    ]
    answer = await client.txn(Txn(success=[*nested, Put(b"nest/clock", b"")]))
    revision = answer.revision
    first, second, third, clock = answer.results
    assert first == TxnResult(revision, True, (PutResult(revision),))
    assert isinstance(second, TxnResult)
    assert not second.succeeded
    assert isinstance(second.results[0], RangeResult)
    assert second.results[0].items[0].mod_revision == stale
    assert isinstance(third, TxnResult)
    assert third.results[0] == DeleteResult(revision, 0)
    assert clock == PutResult(revision)
    item = await client.get(b"nest/good")
    assert item is not None
    assert item.mod_revision == revision


async def test_all_compares_see_the_state_before_the_writes(client: Client) -> None:
    crossed = [
        Txn([Compare(b"cross/x", Target.MOD, 0)], [Put(b"cross/y", b"")]),
        Txn([Compare(b"cross/y", Target.MOD, 0)], [Put(b"cross/x", b"")]),
    ]
    answer = await client.txn(Txn(success=crossed))
    assert [result.succeeded for result in answer.results if isinstance(result, TxnResult)] == [True, True]


async def test_122_updates_of_five_compares_fit_and_123_do_not(client: Client) -> None:
    def group(size: int) -> Txn:
        def update(number: int) -> Txn:
            compares = [Compare(b"big/%d/%d" % (number, key), Target.MOD, 0) for key in range(5)]
            return Txn(compares, [Put(b"big/%d" % number, b"")], [Range(compare.key) for compare in compares])

        return Txn(success=[*map(update, range(size)), Put(b"big/clock", b"")])

    assert (await client.txn(group(122))).succeeded
    with pytest.raises(TooManyOperationsError):
        await client.txn(group(123))


async def test_the_same_key_put_twice(client: Client) -> None:
    twice = [Txn(success=[Put(b"twice", b"1")]), Txn(success=[Put(b"twice", b"2")])]
    with pytest.raises(DuplicateKeyError):
        await client.txn(Txn(success=twice))
    assert await client.get(b"twice") is None


@pytest.mark.parametrize("size", [1_600_000, 4_000_000], ids=["etcd's limit", "gRPC's limit"])
async def test_too_many_bytes(client: Client, size: int) -> None:
    with pytest.raises(RequestTooLargeError):
        await client.put(Put(b"large", b"x" * size))


async def test_revisions_that_are_not_there(client: Client) -> None:
    revision = (await client.put(Put(b"gone", b"1"))).revision
    await client.put(Put(b"gone", b"2"))
    await client.compact(revision + 1)
    with pytest.raises(CompactedError):
        await client.range(Range(b"gone", revision=revision))
    with pytest.raises(CompactedError):
        await client.compact(revision)
    with pytest.raises(FutureRevisionError):
        await client.range(Range(b"gone", revision=revision + 1000))


async def test_status_and_members(etcd: EtcdRig, client: Client) -> None:
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
    async with Client(settings) as client:
        assert (await client.put(Put(b"address", b""))).revision
