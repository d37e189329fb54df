"""Health and metrics, on a listener of their own; there is no admin API here.

Neither of the two probes depends on the store (docs/decisions/0011).
"""

from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import msgspec
import structlog
from tornado.iostream import StreamClosedError
from tornado.web import Application, HTTPError, RequestHandler

from ddnsd.telemetry.metrics import CONTENT_TYPE
from ddnsd.web import replies

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
