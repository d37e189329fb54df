"""A token bucket: how often something may be done, and how much of it at once. Time is passed in.

The buckets of many, in bounded memory: whoever is known to nobody here has a full one.
"""

import heapq
from typing import NamedTuple


class Rate(NamedTuple):
    """`per_second` go on for ever, `burst` at once after a rest. Both are above 0, `burst` at least 1."""

    per_second: float
    burst: float


class Bucket(NamedTuple):
    """`level` was left at the time `at`, in seconds of any clock that does not go back."""

    level: float
    at: float

    def level_at(self, rate: Rate, now: float) -> float:
        """Return what is left now: never below 0, nor above the burst."""
        gained = max(0.0, now - self.at) * rate.per_second
        return max(0.0, min(rate.burst, self.level + gained))

    def wait(self, rate: Rate, now: float, count: float = 1) -> float:
        """Return the seconds until `count` can be taken, 0.0 if they can now.

        More than the burst can be taken as well, by whoever waits until the bucket is full.
        """
        missing = min(count, rate.burst) - self.level_at(rate, now)
        return max(0.0, missing) / rate.per_second

    def taken(self, rate: Rate, now: float, count: float = 1) -> "Bucket":
        """Return the bucket after `count` were taken, or all of it if there is less."""
        return Bucket(max(0.0, self.level_at(rate, now) - count), now)

    def full_at(self, rate: Rate) -> float:
        """Return the time at which it is full again: from then on it is like one never used."""
        return self.at + (rate.burst - self.level) / rate.per_second


def full(rate: Rate, now: float) -> Bucket:
    """Return the bucket of somebody who has done nothing yet."""
    return Bucket(rate.burst, now)


class Buckets:
    """A table of token buckets of one rate, by name. It holds those that are not full, and at most `most`.

    When there are more, the one that is full first is forgotten first: its owner gains the least by that,
    and whoever has used up everything is remembered, however many others there are.
    """

    def __init__(self, rate: Rate, most: int) -> None:
        self.rate = rate
        self._most = most
        self._buckets: dict[str, Bucket] = {}
        # When each is full, or earlier: what is taken later moves that on, and is looked up only when its
        # turn comes. So each bucket stands here once.
        self._full: list[tuple[float, str]] = []

    def __len__(self) -> int:
        return len(self._buckets)

    def wait(self, name: str, now: float, count: float = 1) -> float:
        """Return the seconds until `count` can be taken, 0.0 if they can now."""
        bucket = self._buckets.get(name)
        if bucket is None or bucket.level >= count:  # it has not become less since
            return 0.0
        return bucket.wait(self.rate, now, count)

    def take(self, name: str, now: float, count: float = 1) -> None:
        """Take `count`, or all of it if there is less."""
        bucket = self._buckets.get(name)
        if bucket is None:
            self._forget_full(now)
            bucket = full(self.rate, now).taken(self.rate, now, count)
            heapq.heappush(self._full, (bucket.full_at(self.rate), name))
        else:
            bucket = bucket.taken(self.rate, now, count)
        self._buckets[name] = bucket
        if len(self._buckets) > self._most:
            self._forget_first()

    def _forget_full(self, now: float) -> None:
        """Forget two that are full, if there are: so the table shrinks while others come."""
        for _ in range(2):
            if self._full and self._first() <= now:
                self._forget_first()

    def _forget_first(self) -> None:
        self._first()
        _, name = heapq.heappop(self._full)
        del self._buckets[name]

    def _first(self) -> float:
        """Return when the first of all is full, having brought it to the top."""
        while True:
            noted, name = self._full[0]
            actual = self._buckets[name].full_at(self.rate)
            if actual <= noted:
                return actual
            heapq.heapreplace(self._full, (actual, name))
