"""Pauses between tries that grow, with jitter, so that many clients do not come back at one moment."""

import random
from dataclasses import dataclass


@dataclass(slots=True)
class Backoff:
    """The pause doubles from `first` to `most` seconds; each is between the half and the whole of it."""

    first: float = 0.25
    most: float = 10.0
    _failures: int = 0

    def pause(self) -> float:
        """Return how long to wait after one more failure, in seconds."""
        whole = min(self.most, self.first * 2.0**self._failures)
        self._failures = min(self._failures + 1, 30)  # 2.0**30 is beyond any `most`
        return whole * random.uniform(0.5, 1.0)  # noqa: S311 - spreads load, guards nothing

    def reset(self) -> None:
        """Begin anew: it works again."""
        self._failures = 0
