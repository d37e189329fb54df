"""How far the nodes' clocks are apart: what ends by the clock ends at another moment on each of them."""

from collections import deque
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from ddnsd.store import keys
from ddnsd.store.watch_cache import Touched, WatchCache

TOLERATED_SECONDS = 1.0
_BEATS = 3  # that are compared


class Clocks:
    """Compares each beat, as it arrives, with this node's own clock.

    A beat that was on its way for long, or that this node was too busy to look at, makes the other clock
    seem to be behind: of the last beats the one that was there first counts.
    """

    def __init__(self, cache: WatchCache) -> None:
        self._cache = cache
        self._seen: dict[str, deque[float]] = {}
        cache.subscribe(self._look)

    @property
    def differences(self) -> Mapping[str, float]:
        """By member's id, how many seconds its clock is ahead of this node's; after two beats."""
        return {id: max(seen) for id, seen in self._seen.items() if len(seen) > 1}

    def _look(self, touched: Sequence[Touched]) -> None:
        for shelf, id in touched:
            if shelf == keys.MEMBERS:
                self._compare(str(id))

    def _compare(self, id: str) -> None:
        member = self._cache.state.members.get(id)
        if member is None:
            self._seen.pop(id, None)
        elif member.revision == self._cache.revision:  # just written; not so what comes with a snapshot
            ahead = (member.value.beat.at - datetime.now(UTC)).total_seconds()
            self._seen.setdefault(id, deque(maxlen=_BEATS)).append(ahead)
