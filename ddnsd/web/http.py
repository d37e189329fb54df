"""Requests that are owed an answer, for which a node that drains waits; and those that are none.

One request of the public listener and its answer, and how it finds the endpoint that gives it.

The public listener is the hot path: it works on the connection itself. A `RequestHandler` costs as much as
all the work of an "unchanged" (docs/decisions/0004).
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping

import structlog
from tornado.httputil import (
    HTTPConnection,
    HTTPHeaders,
    HTTPMessageDelegate,
    HTTPServerConnectionDelegate,
    RequestStartLine,
    ResponseStartLine,
)

from ddnsd.service.limits import FairUse
from ddnsd.telemetry.metrics import Metrics
from ddnsd.web import replies
from ddnsd.web.client_address import SourceFinder
from ddnsd.web.connections import Connections, Tarpit
from ddnsd.web.http_connection import HttpConnection


class InFlight(set[object]):
    """The requests that have been accepted and are owed an answer; `drain` waits until there are none."""

    def __init__(self) -> None:
        super().__init__()
        self._waiting: list[asyncio.Future[None]] = []

    def settle(self, request: object) -> None:
        """Note that a request has its answer, or needs none any more; idempotent."""
        self.discard(request)
        if self:
            return
        for future in self._waiting:
            if not future.done():
                future.set_result(None)
        self._waiting.clear()

    async def drain(self) -> None:
        """Wait until no answer is owed."""
        if self:
            empty: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append(empty)
            await empty


def source_fails_too_often(fair_use: FairUse, sources: SourceFinder, peer: str, headers: HTTPHeaders) -> bool:
    """Note that a request is none: no such path, or too large a body. No endpoint sees it.

    Return whether its source has sent too many of them.
    """
    return fair_use.fails_too_often(sources.source(peer, headers) or peer)


UNBOUNDED = 2**63
"""Octets of a body, to the public listener's connections: that limit closes a connection at once, but the
listener's own reads on, so that the answer is seen."""

_log = structlog.get_logger(__name__)

_ORIGIN = re.compile(r"https?://[^/?]*", re.IGNORECASE)  # before the path in absolute-form, RFC 9112 §3.2.2
_DROPPED_AT_ONCE = 65536  # bytes of too large a body that are read, and dropped
_PAUSE = 0.01  # seconds before more is dropped: each time it keeps others waiting
_READ = 8 << 20  # bytes of too large a body that are read
_USUAL = {"Content-Type": replies.CONTENT_TYPE, **replies.GUARDS}


Endpoint = Callable[["HttpRequest"], None]
"""Answers one path: it must call the request's `reply` or `fail` in the end, now or later."""

Routes = Mapping[str, Mapping[str, Endpoint]]
"""Path -> method -> endpoint. A path that ends with a slash, such as `/update/`, is a folder: it stands for
all paths below it that are not routed themselves. There is one level of folders.

What lies below a folder may be secret, so a log has the route and not the path.
"""

FailsTooOften = Callable[[str, HTTPHeaders], bool]
"""Counts what is no request, by its peer and headers; returns whether its source has sent too many."""


class PublicListener(HTTPServerConnectionDelegate):
    """Routes requests to endpoints; whatever happens, the answer is JSON."""

    def __init__(
        self,
        routes: Routes,
        max_body: int,
        metrics: Metrics,
        fails_too_often: FailsTooOften,
        connections: Connections,
    ) -> None:
        """`max_body` in bytes."""
        self.max_body = max_body
        """Bytes that the body of a request may have."""
        self.max_read = max(max_body, _READ)
        """Bytes of a body that are read, if only to be dropped: a client that is cut off while it sends sees
        no answer."""
        self.too_large = replies.failure_of_status(413)
        """What a request is told whose body is larger than that."""
        self.draining = False
        self.in_flight = InFlight()
        self.routes = routes
        self._metrics = metrics
        self._fails_too_often = fails_too_often
        self._connections = connections

    @property
    def tarpit(self) -> Tarpit:
        """The answers that are kept back."""
        return self._connections.tarpit

    def start_request(self, _server_conn: object, request_conn: HTTPConnection) -> "HttpRequest":
        """Make ready for a request whose head is here."""
        assert isinstance(request_conn, HttpConnection)
        return HttpRequest(self, request_conn)

    def failed(self, exchange: "HttpRequest") -> bool:
        """Count what is no request; return whether its client has sent too many of them."""
        limited = self._fails_too_often(exchange.peer, exchange.headers)
        self._metrics.request("update", "limited" if limited else "malformed", 0.0)
        return limited

    async def drain(self) -> None:
        """From now on close each connection after its answer; return when none is owed."""
        self.draining = True
        self.tarpit.close()
        await self.in_flight.drain()


def _folder(path: str) -> str:
    """Return the topmost folder of a path, with its slashes: `/update/` of `/update/a/b`; "" of `/update`."""
    return path[: path.find("/", 1) + 1]


def _lines(headers: Mapping[str, str]) -> str:
    return "".join(f"{name}: {value}\r\n" for name, value in headers.items())


_USUAL_LINES = _lines(_USUAL)


class HttpRequest(HTTPMessageDelegate):
    """One request and its answer."""

    method: str  # these five are there once the request is complete
    path: str
    query: str
    headers: HTTPHeaders
    body: bytes

    def __init__(self, listener: PublicListener, connection: HttpConnection) -> None:
        self.peer = connection.remote_ip
        self.body = b""
        self._listener = listener
        self._connection = connection
        self._collected: bytearray | None = None  # a body that comes in several parts
        self._size = 0
        self._is_dropping = (
            False  # whether the body is too large, and its rest is read for good manners alone
        )
        self._unread: asyncio.Future[None] | None = None  # done once the rest of the request may be read
        self._is_answered = False

    def headers_received(
        self, start_line: RequestStartLine | ResponseStartLine, headers: HTTPHeaders
    ) -> Awaitable[None] | None:
        """Take the head; return what to wait for before the body is read."""
        assert isinstance(start_line, RequestStartLine)
        self._listener.in_flight.add(self)
        self.method = start_line.method
        self.headers = headers
        target = start_line.path
        if not target.startswith("/"):
            target = _ORIGIN.sub("", target, count=1)
        self.path, _, self.query = target.partition("?")
        if self.path.startswith("//"):  # of a client whose server's name ends with a slash, as ddclient's may
            self.path = "/" + self.path.lstrip("/")
        length = self._connection.body_length
        if length is not None and length > self._listener.max_body:
            waits_for_leave = "Expect" in headers
            return self._refuse_body(read=not (waits_for_leave or length > self._listener.max_read))
        return None

    def data_received(self, chunk: bytes) -> Awaitable[None] | None:
        """Take a part of the body; return what to wait for before more is read."""
        before, self._size = self._size, self._size + len(chunk)
        if self._size <= self._listener.max_body:
            if self._collected is None:
                self._collected = bytearray()  # not a list of what comes: that may be single octets
            self._collected += chunk
            return None
        if not self._is_dropping:
            return self._refuse_body(read=True)
        if self._size > self._listener.max_read:
            self._reply_too_large()
        step = before // _DROPPED_AT_ONCE < self._size // _DROPPED_AT_ONCE
        return asyncio.sleep(_PAUSE) if step else None

    def finish(self) -> None:
        """Hand the complete request to its endpoint."""
        if self._is_dropping:
            self._reply_too_large()
            return
        if self._collected is not None:
            self.body = bytes(self._collected)
        routes = self._listener.routes
        route = self.path if self.path in routes else _folder(self.path)
        methods = routes.get(route)
        if methods is None:
            self.fail(404)
            return
        endpoint = methods.get(self.method)
        if endpoint is None:
            self.fail(405, Allow=", ".join(methods))
            return
        try:
            endpoint(self)
        except Exception:  # noqa: BLE001 - the boundary: whatever the bug, the client gets its JSON
            _log.exception("http.crashed", route=route)
            self.fail(500)

    def on_connection_close(self) -> None:
        """Forget the answer: the rest of the request does not come."""
        self._settle()

    @property
    def draining(self) -> bool:
        """Say whether the node wants no more traffic."""
        return self._listener.draining

    def note_publishing(self) -> None:
        """Note that it waits for nothing but a nameserver from now on."""
        self._connection.note_publishing()

    def fail(self, status: int, **headers: str) -> None:
        """Answer with a failure that the contract has no row for; later, if the client has had many."""
        late = status < 500 and self._listener.failed(self)
        self.reply(status, replies.failure_of_status(status), late, **headers)

    def reply(self, status: int, body: bytes, late: bool = False, /, **extra: str) -> None:
        """Answer, once; an answer to a client that has gone is dropped.

        A client that asks too often is answered `late`: after a moment, in which it asks for nothing else; or
        for the last time, if it sends no more on this connection.
        """
        if self._is_answered:
            return
        if self._connection.stream.is_closed:
            self._settle()
            return
        if late and not self._connection.is_half_closed:
            self._listener.in_flight.settle(self)  # it is the tarpit's from now on, also when the node drains
            self._listener.tarpit.keep(self._connection, lambda: self._reply_late(status, body, extra))
            return
        if late or self._listener.draining:
            self._connection.close_after()
        self._settle()
        self._connection.answer(status, _lines({**_USUAL, **extra}) if extra else _USUAL_LINES, body)

    def _reply_late(self, status: int, body: bytes, extra: Mapping[str, str]) -> None:
        if self._connection.is_half_closed:  # what it has sent ahead would be answered late, too
            self._connection.close_after()
        self.reply(status, body, **extra)

    def _refuse_body(self, *, read: bool) -> Awaitable[None] | None:
        """Answer that the body is too large: once it has been read, else now; late, without reading, if it
        is one of many."""
        self._collected = None
        if self._listener.failed(self):
            self._unread = asyncio.get_running_loop().create_future()
            self._reply_too_large(late=True)
        elif read:
            self._is_dropping = True
        else:
            self._reply_too_large()
        return self._unread

    def _reply_too_large(self, *, late: bool = False) -> None:
        self.reply(413, self._listener.too_large, late)

    def _settle(self) -> None:
        if self._unread and not self._unread.done():
            self._unread.set_result(None)
        if not self._is_answered:
            self._is_answered = True
            self._listener.in_flight.settle(self)
