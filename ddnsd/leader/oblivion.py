"""Histories are bounded in all: what has not changed for longest is forgotten first."""

import asyncio
import heapq

import structlog

from ddnsd.leader.mandate import Mandate
from ddnsd.store.interface import UnavailableError

_log = structlog.get_logger(__name__)

MOST = 100_000  # entries of all hosts together
_SPARE = 1_000  # more than is needed goes at once, so that not every change costs a look at all
_RETRY_SECONDS = 1.0
_AT_ONCE = 50  # keys of one commit


class Forgetter:
    """Deletes the histories of the hosts that changed longest ago."""

    def __init__(self, mandate: Mandate) -> None:
        self._mandate = mandate
        self._due = asyncio.Event()

    def look(self) -> None:
        """Note that a history has grown."""
        if self._mandate.state.history.total > MOST:
            self._due.set()

    async def run(self) -> None:
        """Forget whenever there is too much. Never returns."""
        self.look()
        while True:
            await self._due.wait()
            self._due.clear()
            try:
                await self._forget()
            except UnavailableError as error:
                _log.warning("history.not_forgotten", reason=str(error))
                await asyncio.sleep(_RETRY_SECONDS)
            self.look()

    async def _forget(self) -> None:
        history = self._mandate.state.history
        excess = history.total - MOST + min(_SPARE, MOST // 10)
        oldest = heapq.nsmallest(excess, history.values(), key=lambda entry: entry.revision)
        chosen = []
        for entry in oldest:
            if excess <= 0:
                break
            excess -= len(entry.value.entries)
            chosen.append(entry)
        for start in range(0, len(chosen), _AT_ONCE):
            part = chosen[start : start + _AT_ONCE]
            expects = {entry.key: entry.revision for entry in part}
            await self._mandate.commit(expects, deletes=frozenset(expects))
        await self._mandate.cache.current()
