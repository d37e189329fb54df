"""Histories are bounded in all: what has not changed for longest is forgotten first."""

import asyncio
import heapq
from collections.abc import Iterable, Sequence

import structlog

from ddnsd.aio import Slice
from ddnsd.leader.mandate import Mandate
from ddnsd.model.records import Entry, History
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
        chosen = []
        for entry in await _oldest(list(history.values()), excess):
            if excess <= 0:
                break
            excess -= len(entry.value.entries)
            chosen.append(entry)
        for start in range(0, len(chosen), _AT_ONCE):
            part = chosen[start : start + _AT_ONCE]
            expects = {entry.key: entry.revision for entry in part}
            await self._mandate.commit(expects, deletes=frozenset(expects))
        await self._mandate.cache.current()


async def _oldest(histories: Iterable[Entry[History]], count: int) -> Sequence[Entry[History]]:
    """Return as many of the histories as were not written for longest, the oldest first."""
    newest_first: list[tuple[int, Entry[History]]] = []  # a heap; no two have one revision and key
    async for entry in Slice().each(histories):
        heapq.heappush(newest_first, (-entry.revision, entry))
        if len(newest_first) > count:
            heapq.heappop(newest_first)
    return [entry for _, entry in sorted(newest_first, key=lambda each: each[1].revision)]
