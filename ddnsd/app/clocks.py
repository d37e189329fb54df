"""How far the nodes' clocks are apart: what ends by the clock ends at another moment on each of them."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from ddnsd.store import keys
from ddnsd.store.snapshot import Touched, WatchCache

TOLERATED_SECONDS = 1.0


class Clocks:
    """Compares each beat, as it arrives, with this node's own clock.

    A beat is on its way for some hundredths of a second, so that a difference is never quite zero.
    """

    def __init__(self, cache: WatchCache) -> None:
        self._cache = cache
        self._ahead: dict[str, float] = {}
        cache.subscribe(self._look)

    @property
    def differences(self) -> Mapping[str, float]:
        """By member's id, how many seconds its clock is ahead of this node's."""
        return self._ahead

    def _look(self, touched: Sequence[Touched]) -> None:
        for shelf, id in touched:
            if shelf == keys.MEMBERS:
                self._compare(str(id))

    def _compare(self, id: str) -> None:
        member = self._cache.state.members.get(id)
        if member is None:
            self._ahead.pop(id, None)
        elif member.revision == self._cache.revision:  # just written; not so what comes with a snapshot
            self._ahead[id] = (member.value.beat.at - datetime.now(UTC)).total_seconds()
