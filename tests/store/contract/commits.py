import random

import pytest

from ddnsd.store.interface import CLOCK, ConditionalWrite, Done, KeyValue, Stale, Store
from tests.store.contract.actions import commit, delete, put, write
from tests.store.contract.model import Model, random_group


class CommitContract:
    async def test_fresh_store_is_empty_at_a_revision(self, store: Store) -> None:
        revision, items = await store.snapshot("hosts/")
        assert revision >= 1
        assert items == {}
        assert 1 <= await store.revision() <= revision

    async def test_snapshot_shows_what_was_put(self, store: Store) -> None:
        first = await put(store, "hosts/a", b"1")
        second = await put(store, "hosts/a", b"2")
        revision, items = await store.snapshot("hosts/")
        assert items == {"hosts/a": KeyValue(b"2", revision=second, created=first)}
        assert revision >= second > first

    async def test_key_put_again_after_its_deletion_is_created_anew(self, store: Store) -> None:
        await put(store, "hosts/a")
        await delete(store, "hosts/a")
        assert (await store.snapshot("hosts/")).items == {}
        revision = await put(store, "hosts/a", b"2")
        assert (await store.snapshot("hosts/")).items["hosts/a"] == KeyValue(b"2", revision, revision)

    @pytest.mark.parametrize(
        ("prefix", "selected"),
        [
            ("hosts/", {"hosts/a", "hosts/b"}),
            ("hosts/a", {"hosts/a"}),
            ("h", {"hosts/a", "hosts/b", "hotels/a"}),
            ("zones/", set()),
            ("", {"hosts/a", "hosts/b", "hotels/a", CLOCK}),
        ],
    )
    async def test_prefix_selects_by_text(self, store: Store, prefix: str, selected: set[str]) -> None:
        await write(store, ConditionalWrite({}, {"hosts/a": b"", "hosts/b": b"", "hotels/a": b""}))
        assert set((await store.snapshot(prefix)).items) == selected

    async def test_values_are_any_bytes_and_keys_any_text(self, store: Store) -> None:
        value = bytes(range(256))
        await put(store, "hosts/ключ 例え", value)
        assert (await store.snapshot("hosts/ключ")).items["hosts/ключ 例え"].value == value

    async def test_every_commit_writes_the_clock(self, store: Store) -> None:
        revision = await put(store, "hosts/a")
        assert (await store.snapshot(CLOCK)).items[CLOCK].revision == revision
        assert await store.revision() == revision

    async def test_update_is_done_where_each_key_is_as_expected(self, store: Store) -> None:
        present = await put(store, "hosts/present")
        expects = {"hosts/present": present, "hosts/absent": 0}
        revision = await write(store, ConditionalWrite(expects, {"hosts/absent": b"new"}))
        assert (await store.snapshot("hosts/absent")).items["hosts/absent"].revision == revision

    @pytest.mark.parametrize("expected", ["absent", "older", "newer"])
    async def test_stale_update_writes_nothing_and_tells_the_current_items(
        self, store: Store, expected: str
    ) -> None:
        older = await put(store, "hosts/a", b"1")
        now = await put(store, "hosts/a", b"2")
        wrong = {"absent": 0, "older": older, "newer": now + 1}[expected]
        outcome = await commit(store, ConditionalWrite({"hosts/a": wrong, "hosts/b": 0}, {"hosts/b": b""}))
        assert isinstance(outcome, Stale)
        assert outcome.revision >= now
        assert outcome.current == {"hosts/a": KeyValue(b"2", now, older), "hosts/b": None}
        assert set((await store.snapshot("hosts/")).items) == {"hosts/a"}

    async def test_update_that_expects_a_deleted_key_is_stale(self, store: Store) -> None:
        revision = await put(store, "hosts/a")
        await delete(store, "hosts/a")
        outcome = await commit(store, ConditionalWrite({"hosts/a": revision}, {"hosts/a": b""}))
        assert isinstance(outcome, Stale)
        assert outcome.current == {"hosts/a": None}

    async def test_deleting_what_is_absent_does_nothing(self, store: Store) -> None:
        await put(store, "hosts/a")
        await delete(store, "hosts/b")
        assert set((await store.snapshot("hosts/")).items) == {"hosts/a"}

    async def test_update_without_writes_only_asks(self, store: Store) -> None:
        revision = await put(store, "hosts/a")
        assert isinstance(await commit(store, ConditionalWrite({"hosts/a": revision})), Done)
        assert isinstance(await commit(store, ConditionalWrite({"hosts/a": 0})), Stale)
        assert isinstance(await commit(store, ConditionalWrite({})), Done)

    async def test_updates_of_one_commit_succeed_and_fail_one_by_one(self, store: Store) -> None:
        shared = await put(store, "zones/z")
        updates = [
            ConditionalWrite(
                {"zones/z": shared if number % 3 else 0, f"hosts/{number}": 0}, {f"hosts/{number}": b""}
            )
            for number in range(50)
        ]
        outcomes = await store.commit(updates)
        assert [isinstance(outcome, Done) for outcome in outcomes] == [number % 3 > 0 for number in range(50)]
        written = {f"hosts/{number}" for number in range(50) if number % 3}
        items = (await store.snapshot("hosts/")).items
        assert set(items) == written
        (revision,) = {outcome.revision for outcome in outcomes if isinstance(outcome, Done)}
        assert {item.revision for item in items.values()} == {revision}

    @pytest.mark.parametrize(
        "other",
        [
            ConditionalWrite({}, {"hosts/a": b"other"}),
            ConditionalWrite({}, deletes=frozenset({"hosts/a"})),
            ConditionalWrite({"hosts/a": 0}, {"hosts/b": b""}),
            ConditionalWrite({}, {"zones/z": b""}),
        ],
        ids=["both write", "one deletes", "compares what the first writes", "writes what the first compares"],
    )
    @pytest.mark.parametrize("turned", [False, True])
    async def test_conflicting_updates_are_refused_whole(
        self, store: Store, other: ConditionalWrite, turned: bool
    ) -> None:
        updates = [
            ConditionalWrite({"zones/z": 0}, {"hosts/a": b""}),
            ConditionalWrite({}, {"hosts/c": b""}),
            other,
        ]
        with pytest.raises(ValueError, match="conflict"):
            await store.commit(updates[::-1] if turned else updates)
        assert (await store.snapshot("hosts/")).items == {}

    async def test_group_above_the_limit_is_refused(self, store: Store) -> None:
        count = store.limits.group
        updates = [ConditionalWrite({}, {f"hosts/{number}": b""}) for number in range(count + 1)]
        with pytest.raises(ValueError, match="at most"):
            await store.commit(updates)
        assert len(await store.commit(updates[:count])) == count

    async def test_nothing_to_commit(self, store: Store) -> None:
        assert list(await store.commit([])) == []

    @pytest.mark.parametrize("seed", range(5))
    async def test_any_sequence_of_commits_does_what_a_plain_map_would(self, store: Store, seed: int) -> None:
        chance, model = random.Random(seed), Model()
        for _ in range(40):
            updates = random_group(chance, model.items, store.limits)
            model.check(updates, await store.commit(updates))
            assert (await store.snapshot("hosts/")).items == model.items
