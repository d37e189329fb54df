"""What is told of a store that fails: a line for the outage, none for each request that meets it."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ddnsd.store.embedded import EmbeddedStore, open_embedded
from ddnsd.store.interface import ConditionalWrite, UnavailableError, Unknown
from tests.leader.faults import Fault, FaultyStore, Trigger
from tests.rigs.parts import parts_on, watch_cache
from tests.store.contract.actions import put

REQUESTS = 50


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[EmbeddedStore]:
    store = await open_embedded(tmp_path / "store")
    yield store
    await store.close()


async def test_watch_that_stands_still_is_told_once(
    store: EmbeddedStore, caplog: pytest.LogCaptureFixture
) -> None:
    cache = watch_cache(store, 0.3)
    following = asyncio.create_task(cache.run())
    await cache.loaded()
    following.cancel()
    await put(store, "hosts/a")
    waiting = []
    for _ in range(REQUESTS):  # each with a question of its own
        waiting.append(asyncio.create_task(cache.current()))
        await store.revision()
    ends = await asyncio.gather(*waiting, return_exceptions=True)
    assert all(isinstance(end, UnavailableError) for end in ends)
    assert said(caplog) == {"state.not_current": 1}


async def test_lost_answer_is_told_once_for_all_of_its_group(
    store: EmbeddedStore, caplog: pytest.LogCaptureFixture
) -> None:
    faulty = FaultyStore(store, Trigger(Fault.UNANSWERED, 1))
    commits = parts_on(faulty, 0.3).commits
    updates = [ConditionalWrite({}, {f"hosts/{number}": b""}) for number in range(REQUESTS)]
    outcomes = await asyncio.gather(*map(commits.commit, updates))
    assert all(isinstance(outcome, Unknown) for outcome in outcomes)
    assert said(caplog) == {"commit.outcome_unknown": 1}


def said(caplog: pytest.LogCaptureFixture) -> Counter[str]:
    return Counter(record.getMessage() for record in caplog.records if record.name.startswith("ddnsd"))
