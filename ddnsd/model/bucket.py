"""A token bucket: how often something may be done, and how much of it at once. Time is passed in."""

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
