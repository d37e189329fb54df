import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ddnsd.store.embedded import EmbeddedStore, open_embedded
from ddnsd.store.interface import CompactedError, ConditionalWrite, Stale, Store, UnavailableError
from tests.store.contract import StoreContract
from tests.store.contract.actions import DEADLINE, Compact, commit, put, take, write
from tests.waiting import turn_loop

HISTORY = 5_000  # changes


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    store = await open_embedded(tmp_path / "data", history=HISTORY)
    yield store
    await store.close()


@pytest.fixture
def compact(store: EmbeddedStore) -> Compact:
    async def fill_the_history() -> None:
        groups = range(HISTORY // 100)
        await store.commit(
            [ConditionalWrite({}, {f"filler/{group}/{n}": b"" for n in range(100)}) for group in groups]
        )

    return fill_the_history


class TestEmbeddedStore(StoreContract):
    pass


async def test_commit_that_changes_nothing_makes_no_revision(store: Store) -> None:
    before = await put(store, "hosts/a")
    assert isinstance(await commit(store, ConditionalWrite({"hosts/a": 0}, {"hosts/a": b""})), Stale)
    assert await write(store, ConditionalWrite({"hosts/a": before}, deletes=frozenset({"hosts/b"}))) == before
    assert await store.revision() == before


async def test_revisions_are_consecutive(store: Store) -> None:
    assert await store.revision() == 1
    assert [await put(store, "hosts/a") for _ in range(3)] == [2, 3, 4]


async def test_watch_has_a_revision_when_its_commit_is_answered(store: Store) -> None:
    watch = store.watch("hosts/", 2)
    revision = await put(store, "hosts/a")
    reader = asyncio.ensure_future(anext(watch))
    await turn_loop()
    assert reader.done()
    assert reader.result().revision == revision


async def test_reader_that_falls_too_far_behind_is_told(store: Store, compact: Compact) -> None:
    watch = store.watch("hosts/", await put(store, "hosts/a"))
    await take(watch, 1)
    await put(store, "hosts/b")
    await compact()
    with pytest.raises(CompactedError):
        await take(watch, 1)


async def test_revision_larger_than_the_history_is_kept_whole(store: Store, compact: Compact) -> None:
    watch = store.watch("filler/", await store.revision() + 1)
    await compact()
    (revision,) = await take(watch, 1)
    assert len(revision.changes) == HISTORY


async def test_cancelled_commit_is_finished(store: Store) -> None:
    watch = store.watch("hosts/", await store.revision() + 1)
    cancelled = asyncio.create_task(put(store, "hosts/a"))
    await with_the_disk()
    cancelled.cancel()
    (revision,) = await take(watch, 1)
    assert (await store.snapshot("hosts/")).items["hosts/a"].revision == revision.revision
    assert cancelled.cancelled()


async def test_candidate_whose_key_is_deleted_is_told(store: Store) -> None:
    leader = await store.campaign(b"1")
    waiting = asyncio.create_task(store.campaign(b"2"))
    await with_the_disk()
    await put(store, "hosts/a")  # behind the candidate's key
    keys = (await store.snapshot("election/")).items.keys() - leader.guard.keys()
    assert len(keys) == 1
    await write(store, ConditionalWrite({}, deletes=frozenset(keys)))
    with pytest.raises(UnavailableError, match="election key was deleted"):
        await asyncio.wait_for(waiting, DEADLINE)


async def test_leader_whose_key_is_overwritten_leads_no_more(store: Store) -> None:
    leader = await store.campaign(b"1")
    for key in leader.guard:
        await put(store, key)
    assert not await leader.confirm()
    await asyncio.wait_for(leader.lost(), DEADLINE)


async def test_closing_finishes_the_commit_in_flight(tmp_path: Path) -> None:
    store = await open_embedded(tmp_path)
    answered = asyncio.create_task(put(store, "hosts/a"))
    await with_the_disk()
    await store.close()
    revision = await answered

    store = await open_embedded(tmp_path)
    assert (await store.snapshot("hosts/")).items["hosts/a"].revision == revision
    await store.close()


async def with_the_disk() -> None:
    """Let a commit that was just started get to where the disk has it."""
    await turn_loop(3)
