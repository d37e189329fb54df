"""How a host's history is written: with the change itself, on the condition that it has not moved."""

from typing import NamedTuple

from ddnsd.model.records import HistoryEntry, extended
from ddnsd.model.state import State
from ddnsd.store import codec, keys


class HistoryAppend(NamedTuple):
    """What a commit expects of a history, and writes into it."""

    key: str
    revision: int
    value: bytes


def addition(state: State, host: str, *entries: HistoryEntry) -> HistoryAppend:
    """Return what adds newer entries to a host's history."""
    before = state.history.get(host)
    value = codec.encode(extended(before.value if before else None, *entries))
    return HistoryAppend(keys.history(host), before.revision if before else 0, value)
