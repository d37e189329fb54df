"""Decisions on the state of now. A long one is made once for all who ask for the same at that moment."""

from datetime import UTC, datetime
from typing import NamedTuple

from ddnsd.model.decision import Decision, decide
from ddnsd.model.request import Attempt
from ddnsd.store.snapshot import WatchCache

_KEPT = 0.1  # seconds: what ends by the clock ends so much later at most


class _Kept(NamedTuple):
    attempt: Attempt
    history: str  # identity of the state's history
    revision: int
    at: datetime
    decision: Decision


class Decisions:
    """Decides. Thousands of hosts may follow a prefix, and a look at them holds the loop for 40 ms."""

    def __init__(self, cache: WatchCache) -> None:
        self._cache = cache
        self._kept: _Kept | None = None

    def decide(self, attempt: Attempt) -> Decision:
        """Return what the attempt comes to now."""
        now = datetime.now(UTC)
        if not _moves(attempt):  # as nearly always
            return decide(self._cache.state, attempt, now)
        if self._kept is None or not self._stands(self._kept, attempt, now):
            decision = decide(self._cache.state, attempt, now)
            self._kept = _Kept(attempt, self._cache.identity, self._cache.revision, now, decision)
        return self._kept.decision

    def _stands(self, kept: _Kept, attempt: Attempt, now: datetime) -> bool:
        is_of_this_state = (kept.history, kept.revision) == (self._cache.identity, self._cache.revision)
        return is_of_this_state and kept.attempt == attempt and 0 <= (now - kept.at).total_seconds() < _KEPT


def _moves(attempt: Attempt) -> bool:
    targets = attempt.targets
    if len(targets) == 1:
        return targets[0].prefix is not None and targets[0].moves
    return any(target.prefix is not None and target.moves for target in targets)
