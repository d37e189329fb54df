"""Attempts that were refused: the newest ones, in memory, of this node alone."""

from collections import deque
from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple

from ..model.request import Api

_MOST = 1000


class RefusedAttempt(NamedTuple):
    """One of them. `name` is "" where what was sent is no name, `token` where none was known."""

    at: datetime
    api: Api
    name: str
    result: str
    source: str
    token: str


class RefusedAttempts:
    """A bounded memory of refused attempts."""

    def __init__(self) -> None:
        self._attempts: deque[RefusedAttempt] = deque(maxlen=_MOST)

    def note(self, at: datetime, api: Api, name: str, result: str, source: str, token: str) -> None:
        """Remember one."""
        self._attempts.append(RefusedAttempt(at, api, name, result, source, token))

    def __iter__(self) -> Iterator[RefusedAttempt]:
        """Yield them, newest first."""
        return reversed(tuple(self._attempts))
