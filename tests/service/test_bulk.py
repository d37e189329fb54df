"""The loop that commits many items: what it yields, and when."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from ddnsd.model.records import Resource
from ddnsd.model.resources import AccountSpec, Kind
from ddnsd.model.state import State
from ddnsd.service.registry.bulk import commit_all
from ddnsd.service.registry.results import RefusedError
from ddnsd.service.registry.transaction import RegistryCommits, RegistryTransaction
from ddnsd.store.interface import ConditionalWrite, Outcome
from tests.rigs.virtual import VirtualLoop, run_virtually
from tests.service.registry_node import TIMEOUT, Node, account, single_node

NAMES = [f"a{number:03}" for number in range(250)]


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[Node]:
    async with single_node(tmp_path) as node:
        yield node


@pytest.fixture
def commits(node: Node) -> RegistryCommits:
    return RegistryCommits(node.cache, node.commits, TIMEOUT)


def create(draft: RegistryTransaction, name: str) -> str:
    draft.accounts.put(name, Resource(AccountSpec()))
    return name


def cost(_draft: RegistryTransaction, _name: str) -> int:
    return 1


async def collected(
    parts: AsyncIterator[tuple[list[str], set[str]]], done: list[str] | None = None
) -> list[str]:
    """Return the results of all commits; those before an error are in `done`."""
    done = [] if done is None else done
    async for results, _ in parts:
        done += results
    return done


async def names(node: Node) -> list[str]:
    return [name for name, _ in (await node.registry.list(Kind.ACCOUNT, 1000)).items]


async def test_results_come_with_each_commit_in_the_order_of_the_items(
    node: Node, commits: RegistryCommits
) -> None:
    done: list[str] = []
    parts = 0
    async for results, withdrawn in commit_all(commits, NAMES, create, cost):
        done += results
        parts += 1
        assert await names(node) == done
        assert not withdrawn
    assert done == NAMES
    assert parts >= 3


async def test_what_is_raised_ends_it_and_leaves_what_was_committed(
    node: Node, commits: RegistryCommits
) -> None:
    def put(draft: RegistryTransaction, name: str) -> str:
        if name == NAMES[150]:
            raise RefusedError("no")
        return create(draft, name)

    done: list[str] = []
    with pytest.raises(RefusedError):
        await collected(commit_all(commits, NAMES, put, cost), done)
    assert 0 < len(done) <= 150
    assert await names(node) == done


async def test_an_item_that_is_not_finished_goes_on_in_the_next_commit(
    node: Node, commits: RegistryCommits
) -> None:
    def put(draft: RegistryTransaction, name: str) -> str | None:
        """Make two accounts, each in a commit of its own."""
        if f"{name}-first" in draft.state.accounts:
            return create(draft, name)
        create(draft, f"{name}-first")
        return None

    assert await collected(commit_all(commits, ["one", "two"], put, cost)) == ["one", "two"]
    assert await names(node) == ["one", "one-first", "two", "two-first"]


class Overtaken:
    """Commits only after somebody else has changed a resource, the first time."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self.commits = 0

    async def commit(self, update: ConditionalWrite) -> Outcome:
        self.commits += 1
        if self.commits == 1:
            await self._node.registry.apply([account("other")])
        return await self._node.commits.commit(update)


async def test_items_are_decided_again_when_another_writer_was_first(node: Node) -> None:
    overtaken = Overtaken(node)
    seen: list[bool] = []

    def put(draft: RegistryTransaction, name: str) -> str:
        seen.append("other" in draft.state.accounts)
        return create(draft, name)

    late: Any = overtaken
    committed = await collected(commit_all(RegistryCommits(node.cache, late, TIMEOUT), ["one"], put, cost))
    assert committed == ["one"]
    assert (seen, overtaken.commits) == ([False, True], 2)
    assert await names(node) == ["one", "other"]


class Unchanging:
    """A state that is current and stays as it is."""

    state = State()

    async def current(self) -> None:
        pass


def test_what_changes_nothing_takes_a_part_of_the_event_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    """Deciding is bounded in time, and others have their share although nothing is committed."""
    run_virtually(_share(monkeypatch))


async def _share(monkeypatch: pytest.MonkeyPatch) -> None:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualLoop)
    monkeypatch.setattr(time, "perf_counter", loop.time)
    unchanging: Any = Unchanging()
    commits = RegistryCommits(unchanging, unchanging, TIMEOUT)

    def leave(_draft: RegistryTransaction, name: str) -> str:
        loop.stop_process(0.0021)
        return name

    began = loop.time()
    parts = [len(results) async for results, _ in commit_all(commits, NAMES, leave, cost)]
    assert sum(parts) == len(NAMES)
    assert max(parts) == 5, "10 ms of deciding, until the end of the last"
    assert 0.75 < len(NAMES) * 0.0021 / (loop.time() - began) < 0.8, "then 3.3 ms of others"
