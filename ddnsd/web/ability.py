"""`/healthz` of the public listener, for DNS health checks: whether this node could answer an update now."""

import asyncio
from collections.abc import Callable

from ddnsd.store.interface import StoreError
from ddnsd.web import replies
from ddnsd.web.http import Exchange

WhenCurrent = Callable[[Callable[[StoreError | None], None]], None]

_ABLE = b'{"success":true}'
_DRAINING = replies.failure(replies.DRAINING)
_UNABLE = replies.failure(replies.NO_STORE)


class AbilityEndpoint:
    """Asks whether the state can be made current, and written: one question at a time, for all who wait."""

    def __init__(self, when_current: WhenCurrent, takes_changes: Callable[[], bool], timeout: float) -> None:
        """`when_current` is the watch cache's; no answer within `timeout` seconds is one, too.

        `takes_changes` says whether this node's own store can be written, as far as it is its own.
        """
        self._when_current = when_current
        self._takes_changes = takes_changes
        self._timeout = timeout
        self._waiting: list[Exchange] = []

    def __call__(self, exchange: Exchange) -> None:
        """Answer 200, or 503 if updates should go to another node."""
        if exchange.draining:
            exchange.reply(503, _DRAINING)
            return
        if not self._takes_changes():
            exchange.reply(503, _UNABLE)
            return
        self._waiting.append(exchange)
        if len(self._waiting) == 1:
            self._ask()

    def _ask(self) -> None:
        waiting = self._waiting

        def settle(status: int, body: bytes) -> None:
            if self._waiting is not waiting:  # they have been answered: it was late
                return
            late.cancel()
            self._waiting = []
            for exchange in waiting:
                exchange.reply(status, body)

        late = asyncio.get_running_loop().call_later(self._timeout, settle, 503, _UNABLE)
        self._when_current(lambda error: settle(503, _UNABLE) if error else settle(200, _ABLE))
