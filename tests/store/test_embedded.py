import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ddnsd.store.embedded import EmbeddedStore, open_embedded
from ddnsd.store.interface import CompactedError, Stale, Store, Update

from .contract import StoreContract
from .contract.actions import Compact, commit, put, take, write

HISTORY = 5_000  # events


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    store = await open_embedded(tmp_path / "data", history=HISTORY)
    yield store
    await store.close()


@pytest.fixture
def compact(store: EmbeddedStore) -> Compact:
    async def fill_the_history() -> None:
        groups = range(HISTORY // 100)
        await store.commit([Update({}, {f"filler/{group}/{n}": b"" for n in range(100)}) for group in groups])

    return fill_the_history


class TestEmbeddedStore(StoreContract):
    pass


async def test_commit_that_changes_nothing_makes_no_revision(store: Store) -> None:
    before = await put(store, "hosts/a")
    assert isinstance(await commit(store, Update({"hosts/a": 0}, {"hosts/a": b""})), Stale)
    assert await write(store, Update({"hosts/a": before}, deletes=frozenset({"hosts/b"}))) == before
    assert await store.revision() == before


async def test_revisions_are_consecutive(store: Store) -> None:
    assert await store.revision() == 1
    assert [await put(store, "hosts/a") for _ in range(3)] == [2, 3, 4]


async def test_watch_has_a_revision_when_its_commit_is_answered(store: Store) -> None:
    watch = store.watch("hosts/", 2)
    revision = await put(store, "hosts/a")
    reader = asyncio.ensure_future(anext(watch))
    await asyncio.sleep(0)
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
    assert len(revision.events) == HISTORY


async def test_cancelled_commit_is_finished(store: Store) -> None:
    watch = store.watch("hosts/", await store.revision() + 1)
    commits = [asyncio.create_task(put(store, key)) for key in ("hosts/a", "hosts/b")]
    await asyncio.sleep(0)
    commits[0].cancel()
    second = await commits[1]
    assert [one.revision for one in await take(watch, 2)] == [second - 1, second]
    assert set((await store.snapshot("hosts/")).items) == {"hosts/a", "hosts/b"}


async def test_closing_finishes_the_commit_in_flight(tmp_path: Path) -> None:
    store = await open_embedded(tmp_path)
    answered = asyncio.create_task(put(store, "hosts/a"))
    for _ in range(3):  # until the commit is with the disk
        await asyncio.sleep(0)
    await store.close()
    revision = await answered

    store = await open_embedded(tmp_path)
    assert (await store.snapshot("hosts/")).items["hosts/a"].revision == revision
    await store.close()
