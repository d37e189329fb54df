import asyncio
import random
from collections.abc import AsyncIterator

import pytest

from ddnsd.store.group_commit import GroupCommit
from ddnsd.store.interface import (
    CLOCK,
    CompactedError,
    ConditionalWrite,
    Done,
    KeyValue,
    Revision,
    Store,
)
from tests.store.contract.actions import DEADLINE, Compact, delete, group_commit, put, take, write
from tests.store.contract.model import Model, random_group, random_update
from tests.waiting import turn_loop


class WatchContract:
    async def test_watch_yields_the_past_then_what_comes(self, store: Store) -> None:
        first = await put(store, "hosts/a", b"1")
        second = await put(store, "hosts/a", b"2")
        watch = store.watch("hosts/", first)
        past = await take(watch, 2)
        coming = asyncio.create_task(take(watch, 1))
        third = await delete(store, "hosts/a")
        assert [*past, *await coming] == [
            Revision(first, {"hosts/a": KeyValue(b"1", first, first)}),
            Revision(second, {"hosts/a": KeyValue(b"2", second, first)}),
            Revision(third, {"hosts/a": None}),
        ]

    async def test_watch_starts_at_its_revision(self, store: Store) -> None:
        await put(store, "hosts/a")
        second = await put(store, "hosts/b")
        assert [one.revision for one in await take(store.watch("hosts/", second), 1)] == [second]

    async def test_watch_from_after_a_snapshot_of_nothing(self, store: Store) -> None:
        watch = store.watch("", (await store.snapshot()).revision + 1)
        revision = await put(store, "hosts/a")
        assert [one.revision for one in await take(watch, 1)] == [revision]

    async def test_revision_comes_whole(self, store: Store) -> None:
        watch = store.watch("", await store.revision() + 1)
        keys = {f"hosts/{number}-{part}" for number in range(50) for part in "ab"}
        updates = [
            ConditionalWrite({}, {f"hosts/{number}-a": b"", f"hosts/{number}-b": b""}) for number in range(50)
        ]
        await store.commit(updates)
        (revision,) = await take(watch, 1)
        assert revision.changes.keys() == keys

    async def test_watch_of_everything_shows_the_clock(self, store: Store) -> None:
        watch = store.watch("", await store.revision() + 1)
        revision = await put(store, "hosts/a")
        async with asyncio.timeout(DEADLINE):
            seen = await anext(watch)
        assert seen.revision == revision
        assert seen.changes.keys() == {"hosts/a", CLOCK}

    async def test_watch_passes_over_what_is_not_under_its_prefix(self, store: Store) -> None:
        watch = store.watch("hosts/", await store.revision() + 1)
        await put(store, "zones/a")
        mixed = await write(store, ConditionalWrite({}, {"hosts/a": b"", "zones/a": b""}))
        await put(store, "hotels/a")
        last = await put(store, "hosts/b")
        taken = await take(watch, 2)
        assert [(one.revision, [*one.changes]) for one in taken] == [
            (mixed, ["hosts/a"]),
            (last, ["hosts/b"]),
        ]

    async def test_stale_update_is_not_seen(self, store: Store) -> None:
        watch = store.watch("hosts/", await store.revision() + 1)
        await store.commit(
            [ConditionalWrite({"hosts/a": 7}, {"hosts/a": b""}), ConditionalWrite({}, {"hosts/b": b""})]
        )
        (revision,) = await take(watch, 1)
        assert [*revision.changes] == ["hosts/b"]

    async def test_cancelled_reader_can_read_on(self, store: Store) -> None:
        watch = store.watch("hosts/", await store.revision() + 1)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(anext(watch), 0.05)
        first, second = await put(store, "hosts/a"), await put(store, "hosts/a")
        assert [one.revision for one in await take(watch, 2)] == [first, second]

    async def test_watches_of_one_store_do_not_disturb_each_other(self, store: Store) -> None:
        start = await store.revision() + 1
        watches = [store.watch("hosts/", start) for _ in range(3)]
        readers = [asyncio.create_task(take(watch, 1)) for watch in watches]
        await turn_loop()
        readers[0].cancel()
        revision = await put(store, "hosts/a")
        assert [(await reader)[0].revision for reader in readers[1:]] == [revision, revision]

    async def test_compacted_history_is_refused(self, store: Store, compact: Compact) -> None:
        first = await put(store, "hosts/a")
        await compact()
        with pytest.raises(CompactedError):
            await take(store.watch("hosts/", first), 1)
        revision = await put(store, "hosts/b")
        assert [one.revision for one in await take(store.watch("hosts/", revision), 1)] == [revision]

    @pytest.mark.parametrize("seed", range(3))
    async def test_snapshot_and_watch_give_the_exact_state(self, store: Store, seed: int) -> None:
        chance, model = random.Random(seed), Model()
        for _ in range(5):
            updates = random_group(chance, model.items, store.limits)
            model.check(updates, await store.commit(updates))
        view = await View.open(store)
        for _ in range(30):
            updates = random_group(chance, model.items, store.limits)
            model.check(updates, await store.commit(updates))
        await put(store, "hosts/last")
        await view.follow("hosts/last")
        assert view.items == (await store.snapshot("hosts/")).items
        assert view.items.keys() - model.items.keys() == {"hosts/last"}

    async def test_concurrent_commits_are_seen_once_and_in_order(self, store: Store) -> None:
        commits = group_commit(store)
        views = [await View.open(store)]
        readers = [asyncio.create_task(views[0].follow("hosts/last"))]
        writers = [asyncio.create_task(write_often(commits, writer)) for writer in range(20)]
        for number in range(5):
            await put(store, "hosts/mark", bytes([number]))
            views.append(await View.open(store))
            readers.append(asyncio.create_task(views[-1].follow("hosts/last")))
        done = {revision for revisions in await asyncio.gather(*writers) for revision in revisions}
        await put(store, "hosts/last")
        await asyncio.gather(*readers)
        assert done <= set(views[0].revisions)
        for view in views:
            assert view.revisions == sorted(set(view.revisions))
            assert view.items == (await store.snapshot("hosts/")).items


async def write_often(commits: GroupCommit, writer: int) -> list[int]:
    """Commit random updates and return the revisions of those that were done."""
    chance = random.Random(writer)
    outcomes = [await commits.commit(random_update(chance, {})) for _ in range(20)]
    return [outcome.revision for outcome in outcomes if isinstance(outcome, Done)]


class View:
    """What a snapshot and the watch from there show."""

    def __init__(self, items: dict[str, KeyValue], watch: AsyncIterator[Revision]) -> None:
        self.items = items
        self.revisions: list[int] = []
        self._watch = watch

    @classmethod
    async def open(cls, store: Store) -> "View":
        revision, items = await store.snapshot("hosts/")
        return cls(dict(items), store.watch("hosts/", revision + 1))

    async def follow(self, last: str) -> None:
        """Follow the watch up to the revision that writes `last`."""
        while last not in self.items:
            (revision,) = await take(self._watch, 1)
            self.revisions.append(revision.revision)
            for key, item in revision.changes.items():
                if item is None:
                    del self.items[key]
                else:
                    self.items[key] = item
