"""How a node retires: told by `ddnsd drain` it serves on, but wants no more traffic; later it is stopped."""

import asyncio
import contextlib

import structlog

from ddnsd.app.listeners import HttpListeners
from ddnsd.web.http import PublicListener

_log = structlog.get_logger(__name__)


class Retirement:
    """Of one process. There is no way back: what has begun to retire is not ready until it is stopped."""

    def __init__(self, public: PublicListener, listeners: HttpListeners) -> None:
        self._public = public
        self._listeners = listeners
        self._stopped = asyncio.Event()

    @property
    def has_begun(self) -> bool:
        """Say whether this process wants no more traffic."""
        return self._public.draining

    def begin(self) -> None:
        """Be not ready from now on, and end each connection with its next answer; idempotent."""
        if not self.has_begun:
            _log.info("retirement.begun")
            self._public.draining = True
            self._listeners.keep_no_connections()

    def stop(self) -> None:
        """Keep nobody waiting for the end of a delay: the process ends."""
        self.begin()
        self._stopped.set()

    async def wait(self, delay: float) -> None:
        """Return after `delay` seconds, or once the process ends."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(delay):
                await self._stopped.wait()
