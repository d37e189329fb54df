import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from ddnsd.model.records import Work
from ddnsd.service.registry import NotFoundError
from ddnsd.store import tables
from ddnsd.store.interface import ConditionalWrite
from tests.narrow import present
from tests.service.registry_node import Node, node_on, single_node, zone


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[Node]:
    async with single_node(tmp_path) as node:
        await node.registry.apply([zone("example.com")])
        yield node


async def finish(node: Node, id: str) -> None:
    """Do what the leader does."""
    await node.cache.current()
    entry = node.cache.state.requests[id]
    done = msgspec.structs.replace(entry.value, finished=datetime.now(UTC), findings=("nothing differs",))
    await node.commits.commit(ConditionalWrite({entry.key: entry.revision}, {entry.key: tables.encode(done)}))


async def test_work_asked_on_one_node_is_done_on_another(node: Node) -> None:
    async with node_on(node.store) as leader:
        id = await node.registry.work.request("example.com", Work.CHECK)
        waiting = asyncio.create_task(node.registry.work.finished(id, 10))
        await finish(leader, id)
        request = present(await waiting)
    assert request.findings == ("nothing differs",)
    await node.cache.current()
    assert not node.cache.state.requests


async def test_work_done_before_anybody_waits_is_found(node: Node) -> None:
    id = await node.registry.work.request("example.com", Work.REPAIR)
    await finish(node, id)
    assert present(await node.registry.work.finished(id, 10)).work is Work.REPAIR


async def test_work_that_nobody_does_ends_the_waiting(node: Node) -> None:
    id = await node.registry.work.request("example.com", Work.TAKEOVER)
    assert await node.registry.work.finished(id, 0.05) is None
    assert id in node.cache.state.requests


async def test_work_on_nothing_is_refused(node: Node) -> None:
    with pytest.raises(NotFoundError, match=r"there is no Zone example\.org"):
        await node.registry.work.request("example.org", Work.CHECK)
    with pytest.raises(NotFoundError, match="there is no request"):
        await node.registry.work.finished("nothing", 1)
