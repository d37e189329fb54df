"""How many records an UPDATE holds, by how long the nameserver takes over them.

On PowerDNS with SQLite each removal scans the zone: 200 records take 30 ms in a zone of 200 names and
4 s in one of 20,000. A batch that took longer than the timeout would be sent again for ever.
"""

from collections.abc import Callable, Iterator

_SLOW = 1.0  # seconds; the next change waits for this batch
_FAST = 0.25
_FIRST_PAUSE, _LAST_PAUSE = 0.01, 1.0  # seconds


def growing_pauses(seconds: float) -> Iterator[float]:
    """Yield pauses between questions about what was written just now, `seconds` of them in all."""
    pause, left = _FIRST_PAUSE, seconds
    while left > 0:
        yield min(pause, left)
        left -= pause
        pause = min(2 * pause, _LAST_PAUSE)


class Pace:
    """The size of the next batch: halved when one is slow or unanswered, doubled when one is fast."""

    def __init__(self, most: Callable[[], int]) -> None:
        """`most` says how many records an UPDATE may have now; the first has so many."""
        self._most = most
        self._wanted = most()

    @property
    def size(self) -> int:
        """How many records the next batch should hold."""
        return min(self._wanted, self._most())

    def answered(self, count: int, seconds: float) -> None:
        """Note that the nameserver took `seconds` over an UPDATE of `count` records."""
        if seconds > _SLOW:
            self._wanted = max(1, min(self.size, count) // 2)
        elif seconds < _FAST and count >= self.size:
            self._wanted = min(self._most(), self.size * 2)

    def unanswered(self, count: int) -> None:
        """Note that an UPDATE of `count` records got no answer in time."""
        self._wanted = max(1, min(self.size, count) // 2)
