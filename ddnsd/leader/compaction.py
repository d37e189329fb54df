"""Letting the store forget its history, so that it does not grow without end."""

import asyncio
import contextlib
from collections import deque
from typing import NamedTuple

import structlog

from ddnsd.store.interface import Store, UnavailableError
from ddnsd.store.watch_cache import WatchCache

_log = structlog.get_logger(__name__)

_STEPS = 10  # compactions in the time that history is kept


class _Mark(NamedTuple):
    at: float  # on the loop's clock
    revision: int


class Compactor:
    """Compacts what is older than `after` seconds. Whose watch lags behind that loads a new snapshot."""

    def __init__(self, store: Store, cache: WatchCache, after: float) -> None:
        """`after` 0: never."""
        self._store = store
        self._cache = cache
        self._after = after
        self._changed = asyncio.Event()
        self._marks: deque[_Mark] = deque()

    def reconfigure(self, after: float) -> None:
        """Compact what is older than `after` seconds from now on; 0: nothing."""
        if after != self._after:
            self._after = after
            self._changed.set()

    async def run(self) -> None:
        """Compact for as long as this node leads. Never returns."""
        while True:
            self._changed.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout((self._after or 3600) / _STEPS):
                    await self._changed.wait()
            if self._after:
                await self._step()

    async def _step(self) -> None:
        now = asyncio.get_running_loop().time()
        self._marks.append(_Mark(now, self._cache.revision))
        old = [mark for mark in self._marks if mark.at <= now - self._after]
        if not old:
            return
        try:
            done = await self._store.compact(old[-1].revision)
        except UnavailableError as error:
            _log.warning("compaction.failed", revision=old[-1].revision, reason=str(error))
            return
        for _ in old:
            self._marks.popleft()
        if done:
            _log.info("compaction.done", revision=old[-1].revision)
