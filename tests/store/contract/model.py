"""A plain map that says what a store must do, and random updates to compare the two."""

import random
from collections.abc import Sequence

from ddnsd.store.group_commit import next_group
from ddnsd.store.interface import ConditionalWrite, Done, KeyValue, Limits, Outcome, Stale

KEYS = [f"hosts/{number}" for number in range(8)]


class Model:
    def __init__(self) -> None:
        self.items: dict[str, KeyValue] = {}

    def check(self, updates: Sequence[ConditionalWrite], outcomes: Sequence[Outcome]) -> None:
        """Check the outcomes of one commit, then do what it did."""
        before = dict(self.items)
        for update, outcome in zip(updates, outcomes, strict=True):
            if all(revision_of(before, key) == revision for key, revision in update.expects.items()):
                assert isinstance(outcome, Done)
                self._apply(update, outcome.revision)
            else:
                assert isinstance(outcome, Stale)
                assert outcome.current == {key: before.get(key) for key in update.expects}

    def _apply(self, update: ConditionalWrite, revision: int) -> None:
        for key, value in update.puts.items():
            created = self.items[key].created if key in self.items else revision
            self.items[key] = KeyValue(value, revision, created)
        for key in update.deletes:
            self.items.pop(key, None)


def random_group(chance: random.Random, items: dict[str, KeyValue], limits: Limits) -> list[ConditionalWrite]:
    """Return some updates that may share a commit; most, not all, expect what is there."""
    updates = [random_update(chance, items) for _ in range(6)]
    group, _ = next_group([(update, None) for update in updates], limits)
    return [update for update, _ in group]


def random_update(chance: random.Random, items: dict[str, KeyValue]) -> ConditionalWrite:
    compared = chance.sample(KEYS, chance.randint(0, 2))
    expects = {key: chance.choice([revision_of(items, key)] * 4 + [0, 1]) for key in compared}
    put, *deleted = chance.sample(KEYS, chance.randint(1, 2))
    return ConditionalWrite(expects, {put: chance.randbytes(4)}, frozenset(deleted))


def revision_of(items: dict[str, KeyValue], key: str) -> int:
    return items[key].revision if key in items else 0
