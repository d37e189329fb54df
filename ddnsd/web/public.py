"""The public listener: a small raw Tornado delegate, because it is the hot path.

A `RequestHandler` costs as much again as all the work of an "unchanged" (docs/decisions/0004).
"""

from collections.abc import Callable, Mapping
from typing import Protocol

import structlog
from tornado.httputil import HTTPConnection, HTTPServerConnectionDelegate

from ddnsd.telemetry.metrics import Metrics
from ddnsd.web.connections import Connections
from ddnsd.web.exchange import Exchange
from ddnsd.web.owed import Owed
from ddnsd.web.slowdown import Slowdown

_log = structlog.get_logger(__name__)

_READ = 8 << 20  # bytes of too large a body that are read
_UNBOUNDED = 2**62  # Tornado's own limit answers without a body; ours answers in JSON


class Endpoint(Protocol):
    """What answers one path: it must call `exchange.reply` or `fail` in the end, now or later."""

    def __call__(self, exchange: Exchange, /) -> None:
        """Answer the exchange."""
        ...


Routes = Mapping[str, Mapping[str, Endpoint]]
"""Path -> method -> endpoint. A path that ends with a slash, such as `/update/`, is a folder: it stands for
all paths below it that are not routed themselves. There is one level of folders.

What lies below a folder may be secret, so a log has the route and not the path.
"""

TooOften = Callable[[Exchange], bool]


class PublicListener(HTTPServerConnectionDelegate):
    """Routes requests to endpoints; whatever happens, the answer is JSON."""

    def __init__(
        self,
        routes: Routes,
        max_body: int,
        metrics: Metrics,
        too_often: TooOften,
        connections: Connections[Exchange],
    ) -> None:
        """`max_body` in bytes. `too_often` counts what is no request, and says whose are too many."""
        self.max_body = max_body
        self.max_read = max(max_body, _READ)
        self._metrics = metrics
        self.draining = False
        self._routes = routes
        self._too_often = too_often
        self.connections = connections
        self.slowdown = Slowdown(connections.demote)
        self.owed = Owed()

    def start_request(self, _server_conn: object, request_conn: HTTPConnection) -> Exchange:
        """Get ready for the connection's next request (Tornado calls this)."""
        request_conn.set_max_body_size(_UNBOUNDED)  # type: ignore[attr-defined]
        context = request_conn.context  # type: ignore[attr-defined]
        exchange = Exchange(self, request_conn, context.remote_ip)
        self.connections.occupy(exchange.stream, exchange)
        return exchange

    def on_close(self, server_conn: object) -> None:
        """Forget a closed connection (Tornado calls this)."""
        stream = server_conn.stream  # type: ignore[attr-defined]
        self.connections.leave(stream)
        self.slowdown.drop(stream)

    def dispatch(self, exchange: Exchange) -> None:
        """Hand a complete request to its endpoint."""
        route = exchange.path if exchange.path in self._routes else _folder(exchange.path)
        methods = self._routes.get(route)
        if methods is None:
            exchange.fail(404)
            return
        endpoint = methods.get(exchange.method)
        if endpoint is None:
            exchange.fail(405, Allow=", ".join(methods))
            return
        try:
            endpoint(exchange)
        except Exception:  # noqa: BLE001 - the boundary: whatever the bug, the client gets its JSON
            _log.exception("http.crashed", route=route)
            exchange.fail(500)

    def failed(self, exchange: Exchange) -> bool:
        """Count what is no request; return whether its client has sent too many of them."""
        limited = self._too_often(exchange)
        self._metrics.request("update", "limited" if limited else "malformed", 0.0)
        return limited

    async def drain(self) -> None:
        """From now on close each connection after its answer; return when none is owed."""
        self.draining = True
        self.slowdown.end()
        await self.owed.drain()


def _folder(path: str) -> str:
    """Return the topmost folder of a path, with its slashes: `/update/` of `/update/a/b`; "" of `/update`."""
    return path[: path.find("/", 1) + 1]
