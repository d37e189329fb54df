"""Waiting for thousands of records, and deciding about them: once, for all who ask for the same."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from ddnsd.model.addresses import Family
from ddnsd.model.publication import Progress
from ddnsd.model.records import Committed, Published, RecordKey
from ddnsd.model.request import Request, UpdateRequest
from ddnsd.model.resources import Kind, digest
from ddnsd.service.update import Decisions
from ddnsd.service.waiting import Awaited, Waiting
from ddnsd.store import keys, tables
from ddnsd.store.embedded import open_embedded
from ddnsd.store.interface import ConditionalWrite, Done
from tests.model.world import read_all
from tests.rigs.documents import document
from tests.service.registry_node import Node, account, host, node_on, zone
from tests.waiting import until

NAMES = tuple(f"h{number}.example.com" for number in range(100))
RECORDS = tuple(RecordKey(name, Family.A) for name in NAMES)
NOW = datetime.now(UTC)


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[Node]:
    store = await open_embedded(tmp_path)
    try:
        async with node_on(store) as node:
            token = document("Token", "router", account="alice", sha256=digest("secret"))
            await node.registry.apply([zone("example.com"), account("alice"), token, *map(host, NAMES)])
            yield node
    finally:
        await store.close()


async def write(node: Node, puts: dict[str, bytes]) -> int:
    outcome = await node.commits.commit(ConditionalWrite({}, puts))
    assert isinstance(outcome, Done)
    await node.cache.current()
    return outcome.revision


async def committed(node: Node) -> int:
    value = tables.encode(Committed("192.0.2.1", "", "commit", NOW))
    return await write(node, {keys.address(record): value for record in RECORDS})


async def publish(node: Node, revision: int) -> None:
    value = tables.encode(Published(revision, "192.0.2.1", 60, "default", NOW))
    await write(node, {keys.published(record): value for record in RECORDS})


async def test_many_records_are_waited_for_once_by_all_who_wait_for_the_same(node: Node) -> None:
    waiting = Waiting(node.cache)
    revision = await committed(node)
    records = dict.fromkeys(RECORDS, Awaited(revision))
    one, two, gone = (asyncio.create_task(waiting.settled(dict(records))) for _ in range(3))
    other = asyncio.create_task(waiting.settled(records | {RECORDS[0]: Awaited(revision, verify=True)}))
    await until(lambda: len(waiting) == 2 * len(RECORDS))
    gone.cancel()
    with pytest.raises(asyncio.CancelledError):
        await gone
    assert not one.done()
    await publish(node, revision)
    assert await one is await two is Progress.PUBLISHED
    assert not other.done(), "it waits for its zone, too"
    other.cancel()
    await until(lambda: len(waiting) == 0)


async def test_hosts_that_go_together_end_the_waiting_once(node: Node) -> None:
    waiting = Waiting(node.cache)
    records = dict.fromkeys(RECORDS, Awaited(await committed(node)))
    waits = asyncio.create_task(waiting.settled(records))
    await until(lambda: len(waiting) == len(RECORDS))
    gone = frozenset(f"{Kind.HOST.plural}/{name}" for name in NAMES)
    assert isinstance(await node.commits.commit(ConditionalWrite({}, {}, gone)), Done)
    assert await waits is Progress.GONE
    assert len(waiting) == 0
    await committed(node)  # the state is followed still


async def test_who_comes_when_a_part_is_published_waits_for_what_is_asked_for(node: Node) -> None:
    waiting = Waiting(node.cache)
    revision = await committed(node)
    records = dict.fromkeys(RECORDS, Awaited(revision))
    first = asyncio.create_task(waiting.settled(records))
    value = tables.encode(Published(revision, "192.0.2.1", 60, "default", NOW))
    await write(node, {keys.published(RECORDS[0]): value})
    await write(node, {keys.published(RECORDS[0]): tables.encode(Published(0, "", 60, "default"))})  # drift
    later = asyncio.create_task(waiting.settled(records))
    await until(lambda: len(waiting) == 2 * len(RECORDS))
    for record in RECORDS[1:]:
        await write(node, {keys.published(record): value})
    assert await first is Progress.PUBLISHED
    assert not later.done()
    await write(node, {keys.published(RECORDS[0]): value})
    assert await later is Progress.PUBLISHED


def attempt(prefix: str) -> UpdateRequest:
    read_ = read_all(Request(NAMES[0], "", "secret", "", prefix=prefix))
    assert isinstance(read_, UpdateRequest)
    return read_


async def test_a_prefix_is_decided_on_once_while_nothing_changes(node: Node) -> None:
    decide = Decisions(node.cache, keep=60.0).decide
    first = decide(attempt("2001:db8:1::/64"))
    assert decide(attempt("2001:db8:1::/64")) is first
    assert decide(attempt("2001:db8:2::/64")) is not first
    first = decide(attempt("2001:db8:1::/64"))
    await committed(node)
    assert decide(attempt("2001:db8:1::/64")) is not first, "the state is another one"
    decide = Decisions(node.cache, keep=0.0).decide
    first = decide(attempt("2001:db8:1::/64"))
    assert decide(attempt("2001:db8:1::/64")) is not first, "something may have ended by the clock"
