"""The public listener: a small raw Tornado delegate, because it is the hot path.

A `RequestHandler` costs as much again as all the work of an "unchanged" (docs/decisions/0004).
"""

import asyncio
import re
from collections.abc import Mapping
from http.client import responses
from typing import Protocol

import structlog
from tornado.httputil import (
    HTTPConnection,
    HTTPHeaders,
    HTTPMessageDelegate,
    HTTPServerConnectionDelegate,
    RequestStartLine,
    ResponseStartLine,
)

from ddnsd.telemetry.metrics import Metrics
from ddnsd.web import replies
from ddnsd.web.owed import Owed

_log = structlog.get_logger(__name__)

_ORIGIN = re.compile(r"https?://[^/?]*", re.IGNORECASE)  # before the path in absolute-form, RFC 9112 §3.2.2
_DIGITS = 18  # of a Content-Length; `int` does not take thousands of them
_DROPPED = 8 << 20  # bytes of too large a body that are read: a client cut off while it sends sees no answer
_UNBOUNDED = 2**62  # Tornado's own limit answers without a body; ours answers in JSON


class Exchange(HTTPMessageDelegate):
    """One request and its answer."""

    method: str  # these five are there once the request is complete
    path: str
    query: str
    headers: HTTPHeaders
    body: bytes

    def __init__(self, listener: "PublicListener", connection: HTTPConnection, peer: str) -> None:
        self.peer = peer
        # Since when the client has been waited for, for its head or to take its answer; else None.
        self.awaited_since: float | None = asyncio.get_running_loop().time()
        self._listener = listener
        self._connection = connection
        self._chunks: list[bytes] = []
        self._size = 0
        self._answered = False

    def headers_received(self, start_line: RequestStartLine, headers: HTTPHeaders) -> None:  # type: ignore[override]
        """Take the head of the request (Tornado calls this)."""
        self._listener.owed.add(self)
        self.awaited_since = None
        self.method = start_line.method
        self.headers = headers
        target = start_line.path
        if not target.startswith("/"):
            target = _ORIGIN.sub("", target, count=1)
        self.path, _, self.query = target.partition("?")
        most = self._listener.max_body if "Expect" in headers else self._listener.max_read
        length = headers.get("Content-Length", "")
        if length.isdecimal() and (len(length) > _DIGITS or int(length) > most):
            self.fail(413)

    def data_received(self, chunk: bytes) -> None:
        """Take a part of the body (Tornado calls this)."""
        self._size += len(chunk)
        if self._size > self._listener.max_read:
            self.fail(413)
        elif self._size <= self._listener.max_body:
            self._chunks.append(chunk)

    def finish(self) -> None:
        """Answer the complete request (Tornado calls this)."""
        if self._size > self._listener.max_body:
            self.fail(413)
            return
        self.body = b"".join(self._chunks)
        self._listener.dispatch(self)

    def on_connection_close(self) -> None:
        """Forget the answer: the client has gone (Tornado calls this)."""
        self._done()

    def abandon(self) -> None:
        """Close the connection: the request does not come, or its answer is not taken."""
        self._connection.close()  # type: ignore[attr-defined]

    @property
    def draining(self) -> bool:
        """Say whether the node wants no more traffic."""
        return self._listener.draining

    def fail(self, status: int, **headers: str) -> None:
        """Answer with a failure that the contract has no row for."""
        self.reply(status, replies.failure_of_status(status), **headers)

    def reply(self, status: int, body: bytes, **extra: str) -> None:
        """Answer, once; an answer to a client that has gone is dropped."""
        if self._answered:
            return
        self._done()
        self.awaited_since = asyncio.get_running_loop().time()
        headers = HTTPHeaders(
            {"Content-Type": replies.CONTENT_TYPE, "Content-Length": str(len(body)), **extra}
        )
        if self.draining:
            headers["Connection"] = "close"
        content = None if self.method == "HEAD" else body
        self._connection.write_headers(ResponseStartLine("", status, responses[status]), headers, content)
        self._connection.finish()

    def _done(self) -> None:
        if not self._answered:
            self._answered = True
            self._listener.owed.settle(self)


class Endpoint(Protocol):
    """What answers one path: it must call `exchange.reply` or `fail` in the end, now or later."""

    def __call__(self, exchange: Exchange, /) -> None:
        """Answer the exchange."""
        ...


Routes = Mapping[str, Mapping[str, Endpoint]]  # path -> method -> endpoint


class PublicListener(HTTPServerConnectionDelegate):
    """Routes requests to endpoints; whatever happens, the answer is JSON."""

    def __init__(self, routes: Routes, max_body: int, metrics: Metrics) -> None:
        """`max_body` in bytes."""
        self.max_body = max_body
        self.max_read = max(max_body, _DROPPED)
        self._metrics = metrics
        self.draining = False
        self._routes = routes
        self.owed = Owed()

    def start_request(self, _server_conn: object, request_conn: HTTPConnection) -> Exchange:
        """Get ready for the connection's next request (Tornado calls this)."""
        request_conn.set_max_body_size(_UNBOUNDED)  # type: ignore[attr-defined]
        context = request_conn.context  # type: ignore[attr-defined]
        return Exchange(self, request_conn, context.remote_ip)

    def dispatch(self, exchange: Exchange) -> None:
        """Hand a complete request to its endpoint."""
        methods = self._routes.get(exchange.path)
        if methods is None:
            self._refuse(exchange, 404)
            return
        endpoint = methods.get(exchange.method)
        if endpoint is None:
            self._refuse(exchange, 405, Allow=", ".join(methods))
            return
        try:
            endpoint(exchange)
        except Exception:  # noqa: BLE001 - the boundary: whatever the bug, the client gets its JSON
            _log.exception("http.crashed", path=exchange.path)
            exchange.fail(500)

    def _refuse(self, exchange: Exchange, status: int, **headers: str) -> None:
        self._metrics.request("update", "malformed", 0.0)
        exchange.fail(status, **headers)

    async def drain(self) -> None:
        """From now on close each connection after its answer; return when none is owed."""
        self.draining = True
        await self.owed.drain()
