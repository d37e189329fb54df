"""Answers that are kept back for a moment: who asks too often, and waits for them, asks less often.

A client that goes on at full speed when it is told to wait would else cost as much by what it is refused
as by what it was given.
"""

import asyncio
from collections.abc import Callable

SECONDS = 1.0
"""How long an answer is kept back at least: well below the 5 s after which impatient clients give up."""

_A_SECOND = 1000  # answers are given at most, so to say: the more are kept, the longer is each


class Slowdown:
    """Keeps answers back: at most one for each connection, so their number needs no other bound."""

    def __init__(self, kept: Callable[[object], None]) -> None:
        """`kept` is told of each connection that has to wait."""
        self._tell = kept
        self._kept: dict[object, tuple[asyncio.TimerHandle, Callable[[], None]]] = {}
        self._over = False

    def __len__(self) -> int:
        return len(self._kept)

    def keep(self, connection: object, answer: Callable[[], None]) -> None:
        """Call `answer` after a moment; at once, when nobody is to wait any more."""
        if self._over:
            answer()
            return
        delay = SECONDS + len(self._kept) / _A_SECOND
        timer = asyncio.get_running_loop().call_later(delay, self._release, connection)
        self._kept[connection] = timer, answer
        self._tell(connection)

    def drop(self, connection: object) -> None:
        """Forget a connection that is closed; idempotent."""
        if kept := self._kept.pop(connection, None):
            kept[0].cancel()

    def end(self) -> None:
        """Give every answer now, and keep none back from now on."""
        self._over = True
        for connection, (timer, _) in tuple(self._kept.items()):
            timer.cancel()
            self._release(connection)

    def _release(self, connection: object) -> None:
        _, answer = self._kept.pop(connection)
        answer()
