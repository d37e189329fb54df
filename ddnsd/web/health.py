"""Health and metrics on a listener of their own, and `/healthz` of the public listener for DNS health checks.

Neither of the two probes depends on the store (docs/decisions/0011). The public `/healthz` says whether this
node could answer an update now.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import msgspec
import structlog
from tornado.iostream import StreamClosedError
from tornado.web import Application, HTTPError, RequestHandler

from ddnsd.store.interface import StoreError
from ddnsd.telemetry.metrics import CONTENT_TYPE
from ddnsd.web import replies
from ddnsd.web.http import HttpRequest

_log = structlog.get_logger(__name__)


class Readiness(NamedTuple):
    """Whether the node should get traffic, and what is the matter, if anything."""

    ready: bool
    reasons: tuple[str, ...]


Ready = Callable[[], Awaitable[Readiness]]
Exposition = Callable[[], Awaitable[bytes]]  # all metrics, in Prometheus' text format


def make_health_application(ready: Ready, exposition: Exposition) -> Application:
    """Return the application of the health listener."""
    return Application(
        [
            (r"/healthz", HealthHandler),
            (r"/readyz", ReadyHandler, {"ready": ready}),
            (r"/metrics", MetricsHandler, {"exposition": exposition}),
        ],
        default_handler_class=UnknownHandler,
        log_function=lambda _: None,  # probes come every few seconds, for ever
    )


class _Handler(RequestHandler):
    def log_exception(self, *exc_info: Any) -> None:
        """Log what nobody expected; a client that has gone is no failure."""
        if not isinstance(exc_info[1], StreamClosedError | HTTPError):
            _log.error("health.crashed", path=self.request.path, exc_info=exc_info)

    def set_default_headers(self) -> None:
        """Say nothing of what serves this; let nobody keep the answer (Tornado calls this)."""
        self.clear_header("Server")
        for name, value in replies.GUARDS.items():
            self.set_header(name, value)

    def write_error(self, status_code: int, **_kwargs: Any) -> None:
        """Answer errors in JSON."""
        self._answer(replies.failure_of_status(status_code))

    def _answer(self, body: bytes) -> None:
        self.set_header("Content-Type", replies.CONTENT_TYPE)
        self.finish(body)


class UnknownHandler(_Handler):
    """Any other path."""

    def prepare(self) -> None:
        """Answer 404 whatever the method."""
        self.send_error(404)


class HealthHandler(_Handler):
    """`/healthz`: the process lives. It depends on nothing else, or a lost store would restart nodes."""

    def get(self) -> None:
        """Answer 200."""
        self._answer(b'{"healthy":true}')


class ReadyHandler(_Handler):
    """`/readyz`: the node should get traffic."""

    def initialize(self, ready: Ready) -> None:
        """Take what knows (Tornado calls this)."""
        self._ready = ready

    async def get(self) -> None:
        """Answer 200, or 503 with the reasons."""
        readiness = await self._ready()
        self.set_status(200 if readiness.ready else 503)
        self._answer(msgspec.json.encode(readiness._asdict()))


class MetricsHandler(_Handler):
    """`/metrics`, in Prometheus' text format."""

    def initialize(self, exposition: Exposition) -> None:
        """Take what has the metrics (Tornado calls this)."""
        self._exposition = exposition

    async def get(self) -> None:
        """Answer all series."""
        self.set_header("Content-Type", CONTENT_TYPE)
        await self.finish(await self._exposition())


WhenCurrent = Callable[[Callable[[StoreError | None], None]], None]

_ABLE = b'{"success":true}'
_DRAINING = replies.failure(replies.DRAINING)
_UNABLE = replies.failure(replies.NO_STORE)


class HealthEndpoint:
    """Asks whether the state can be made current, and written: one question at a time, for all who wait."""

    def __init__(self, when_current: WhenCurrent, takes_changes: Callable[[], bool], timeout: float) -> None:
        """`when_current` is the watch cache's; no answer within `timeout` seconds is one, too.

        `takes_changes` says whether this node's own store can be written, as far as it is its own.
        """
        self._when_current = when_current
        self._takes_changes = takes_changes
        self._timeout = timeout
        self._waiting: list[HttpRequest] = []

    def __call__(self, exchange: HttpRequest) -> None:
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
