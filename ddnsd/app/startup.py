"""A process from its first moment: it answers `/healthz`, `/readyz` and `/metrics` before it serves.

A process that waits for the store must say so when it is probed: Kubernetes ends a container whose startup
probe finds no listener, again and again, for as long as etcd is away.
"""

import asyncio
import time
from collections.abc import Callable
from contextlib import AsyncExitStack

import structlog
from prometheus_client import CollectorRegistry

from ddnsd.aio import Supervisor
from ddnsd.app.bootstrap import Bootstrap
from ddnsd.app.listeners import HttpListeners
from ddnsd.app.reloader import Reloader
from ddnsd.app.workers import Worker, WorkerChannel
from ddnsd.telemetry.metrics import Metrics
from ddnsd.web.health import Readiness, make_health_application

_log = structlog.get_logger(__name__)

_WAITING = "waiting for the store"
_FIRST_PAUSE, _LONGEST_PAUSE = 5.0, 60.0  # seconds between two warnings, which double


class Startup:
    """The parts that a process has before its store. Make it with `open`.

    `loading`, once there is something to load, says how far that has come.
    """

    def __init__(self, reloader: Reloader, bootstrap: Bootstrap, worker: Worker | None) -> None:
        settings = reloader.configuration.settings
        self.reloader = reloader
        self.registry = CollectorRegistry()
        self.metrics = Metrics(self.registry, settings.nameservers)
        self.metrics.count_tasks(asyncio.get_running_loop())
        reloader.on_outcome(self.metrics.reloaded)
        self.supervisor = Supervisor()
        count = self.metrics.internal_connection_closed
        self.listeners = HttpListeners(settings, bootstrap.bound, count)
        self.worker = worker
        self.siblings = WorkerChannel(worker, self.metrics) if worker else None
        self.loading: Callable[[], str] = lambda: ""
        self._waiting = ""  # why the store cannot be used
        self._warned = 0  # how often that was logged since it could
        self._warn_from = 0.0  # when to log it next, by the monotonic clock
        self._began = time.monotonic()
        self._serving: Callable[[], Readiness] | None = None

    @classmethod
    async def open(
        cls, reloader: Reloader, bootstrap: Bootstrap, worker: Worker | None, stack: AsyncExitStack
    ) -> "Startup":
        """Answer on the health listener until the stack is left; `worker` is None for the only process.

        Raises:
            OSError: it cannot listen; the message says what to do.
        """
        startup = cls(reloader, bootstrap, worker)
        stack.push_async_callback(startup.listeners.close)
        if startup.siblings:
            stack.callback((await startup.siblings.listen(startup._is_ready)).close)
        health = make_health_application(startup.readiness, startup.exposition)
        startup.listeners.open("health", health)
        return startup

    def serves(self, readiness: Callable[[], Readiness]) -> None:
        """Note that the process answers requests from now on; `readiness` says whether it should get any."""
        self._serving = readiness

    def waits(self, reason: str) -> None:
        """Show why the store cannot be used yet; log it now and then, with growing pauses."""
        self._waiting = reason
        now = time.monotonic()
        if now < self._warn_from:
            return
        self._warn_from = now + min(_FIRST_PAUSE * 2**self._warned, _LONGEST_PAUSE)
        self._warned += 1
        _log.warning("start.waiting_for_store", reason=reason, seconds=round(now - self._began, 1))

    def waits_no_longer(self) -> None:
        """Note that the store can be used."""
        if self._warned:
            _log.info("start.store_answers", seconds=round(time.monotonic() - self._began, 1))
        self._waiting, self._warned, self._warn_from = "", 0, 0.0

    async def readiness(self) -> Readiness:
        """Say whether to send requests to this process, or to its siblings while it starts.

        Workers share their sockets: until this one accepts requests the others get all of them. So one that
        replaces a dead one must not take the whole node out of the load balancer.
        """
        if self._serving is not None:
            return self._serving()
        ready = self.siblings is not None and await self.siblings.is_any_ready()
        return Readiness(ready, (self._stage(),))

    async def exposition(self) -> bytes:
        """Return the metrics of this node, of all workers if there are several."""
        return await self.siblings.exposition() if self.siblings else self.metrics.text()

    def _stage(self) -> str:
        if self._waiting:
            return f"{_WAITING}: {self._waiting}"
        return self.loading() or _WAITING

    def _is_ready(self) -> bool:
        return self._serving is not None and self._serving().ready
