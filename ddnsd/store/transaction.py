"""Building one conditional commit: what it depends on, what it writes, what it deletes."""

from collections.abc import Mapping
from typing import Any, Self

from ddnsd.model.records import Entry, HistoryEntry, Stored, extended, revision_of
from ddnsd.model.state import State
from ddnsd.store import codec, keys
from ddnsd.store.interface import ConditionalWrite


class Transaction:
    """One commit in the making: it does all of its writes, or, if a key has moved, none."""

    def __init__(self, expects: Mapping[str, int] | None = None) -> None:
        """`expects`: the revisions of keys, 0 for absent ones."""
        self.expects: dict[str, int] = dict(expects or {})
        self.puts: dict[str, bytes] = {}
        self.deletes: set[str] = set()

    def expect(self, key: str, entry: Entry[Any] | None) -> Self:
        """Depend on the key's being what was read: this entry, or absent."""
        self.expects[key] = revision_of(entry)
        return self

    def put(self, key: str, value: Stored) -> Self:
        """Write a value of the key's table. Of several writes of one key the last one counts."""
        self.deletes.discard(key)
        self.puts[key] = codec.encode(value)
        return self

    def replace(self, key: str, entry: Entry[Any] | None, value: Stored) -> Self:
        """Write a value in the place of what was read."""
        return self.expect(key, entry).put(key, value)

    def delete(self, *keys: str) -> Self:
        """Delete keys; absent ones do no harm."""
        for key in keys:
            self.puts.pop(key, None)
            self.deletes.add(key)
        return self

    def append_history(self, state: State, host: str, *entries: HistoryEntry) -> Self:
        """Add newer entries to a host's history, on the condition that it has not moved."""
        before = state.history.get(host)
        return self.replace(keys.history(host), before, extended(before.value if before else None, *entries))

    def update(self) -> ConditionalWrite:
        """Return what the store commits.

        Raises:
            ValueError: it compares or writes more than `MAX_KEYS_PER_UPDATE` keys.
        """
        return ConditionalWrite(self.expects, self.puts, frozenset(self.deletes))
