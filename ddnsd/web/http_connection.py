"""One connection of an HTTP listener: one request after the other, and their answers.

It is what Tornado's own `HTTP1Connection` is to a delegate (`HTTPServerConnectionDelegate`), so that a
`tornado.web.Application` is served as well as the public listener (docs/decisions/0030). Requests are taken
one by one: what a client sends ahead stays as octets, and after a few kilobytes in its own kernel.

A client that closes its half of the connection after a request gets its answer (RFC 9112 §9.6).
"""

import asyncio
import functools
import ssl
from collections.abc import Awaitable, Callable
from http.client import responses
from typing import NamedTuple, Protocol, Self

import structlog
from tornado.httputil import (
    HTTPConnection,
    HTTPHeaders,
    HTTPInputError,
    HTTPMessageDelegate,
    HTTPOutputError,
    HTTPServerConnectionDelegate,
    RequestStartLine,
    ResponseStartLine,
)
from tornado.iostream import StreamClosedError

from ddnsd.web import replies
from ddnsd.web.client_stream import ClientStream
from ddnsd.web.connections import Connections, Rank
from ddnsd.web.http_reader import (
    BodyTooLargeError,
    HeadTooLargeError,
    MalformedRequestError,
    RequestReader,
)
from ddnsd.web.proxy_protocol import PendingHeader

_log = structlog.get_logger(__name__)

_AHEAD = 4096  # octets that a client may send ahead before no more is read
_CRUMB, _CRUMBS = (
    512,
    4,
)  # octets that are few, and how often they may come in a request that is nothing special
_STEPS = 64  # that are taken on one connection before others have their turn
_LINGER = 65536  # octets that are read and dropped after a last answer, so that it is not lost by a reset
_LINGER_SECONDS = 2.0
_MALFORMED = b"HTTP/1.1 400 Bad Request\r\n\r\n"
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_WITHOUT_BODY = (204, 304)


class HttpLimits(NamedTuple):
    """How long a client is waited for, in seconds, and how much it may send, in octets."""

    idle: float
    """Until its request's head has begun, or its answer is taken."""
    head: float
    """From then until the head is complete."""
    body: float
    """From then until the body is complete."""
    max_head: int
    max_body: int


class Host(Protocol):
    """The server, to a connection."""

    delegate: HTTPServerConnectionDelegate
    limits: HttpLimits
    connections: Connections
    keeps_connections: bool
    too_large: bytes
    """The answer, without a head, to a body that cannot be read; none where no request has such an answer."""

    def admits(self, connection: "HttpConnection", source: str) -> bool:
        """Say whether a connection may stay whose PROXY header names this source."""
        ...

    def forget(self, connection: "HttpConnection") -> None:
        """Note that a connection is closed."""
        ...


class HttpConnection(HTTPConnection):
    """A client's connection, from its acceptance to its end."""

    def __init__(
        self, host: Host, peer: str, tls: ssl.SSLContext | None, header: PendingHeader | None
    ) -> None:
        self.remote_ip = peer
        self.protocol = "https" if tls else "http"
        self.stream = ClientStream(self, tls, header, functools.partial(host.connections.queue.take, self))
        self.take_turn = self.stream.take
        self._host = host
        self._loop = asyncio.get_running_loop()
        self._reader = RequestReader(host.limits.max_head)
        self._octets = b""  # that have come and were not looked at
        # Since when the client has been waited for, for its next head or to take its answer; else None.
        self.awaited_since: float | None = self._loop.time()
        self._head_since: float | None = None  # since when a part, not all, of a head is here
        self._body_since: float | None = None
        self._lingers_since: float | None = None  # since when nothing is sent, and what comes is dropped
        self._dropped = 0
        self._next_message()

    def _next_message(self) -> None:
        self._message: HTTPMessageDelegate | None = None
        self._start: RequestStartLine | None = None  # once the delegate has the head
        self._is_read = False  # whether the delegate has been told of the request's end
        self._is_busy = False  # whether the delegate wants no more of the request yet
        self._is_answered = False
        self._is_answering = False
        self._is_last = False  # whether the connection is closed after this answer
        self._is_scheduled = False  # whether it goes on by itself in the next turn of the event loop
        self._is_chunked = False
        self._left: int | None = None  # octets of the answer's body that are to come
        self._crumbs = 0
        self._size = 0
        self.body_length: int | None = 0
        """Octets of the present request's body, as its head says; None if it comes in chunks."""
        self._max_body = self._host.limits.max_body
        self._body_seconds = self._host.limits.body
        self._on_close: Callable[[], None] | None = None
        self._flow: list[asyncio.Future[None]] = []

    # What a delegate asks for.

    @property
    def context(self) -> Self:
        """What Tornado's requests ask for `remote_ip` and `protocol`."""
        return self

    @property
    def is_half_closed(self) -> bool:
        """Say whether the client has closed its half: it may have gone, or wait for its answer."""
        return self.stream.has_ended

    def set_max_body_size(self, octets: int) -> None:
        """Bound the body of the present request."""
        self._max_body = octets

    def set_body_timeout(self, seconds: float) -> None:
        """Bound the time in which the body of the present request has to come."""
        self._body_seconds = seconds

    def set_close_callback(self, callback: Callable[[], None] | None) -> None:
        """Call back when the connection ends before the present request, which is here whole, is answered."""
        self._on_close = callback

    def note_publishing(self) -> None:
        """Note that the present request waits for nothing but a nameserver."""
        if self._host.connections.rank_of(self) is Rank.AT_WORK and not self.is_half_closed:
            self._host.connections.rank(self, Rank.PUBLISHING)

    def answer(self, status: int, fields: str, body: bytes) -> None:
        """Answer the present request at once; nothing happens when the connection is closed.

        `fields` are the header's lines, each with its end, but for length and connection.
        """
        if self.stream.is_closed or self._start is None:
            return
        if connection := self._connection_field():
            fields += f"Connection: {connection}\r\n"
        head = f"HTTP/1.1 {status} {responses[status]}\r\n{fields}Content-Length: {len(body)}\r\n\r\n"
        octets = head.encode("latin-1")
        self._is_answered = True
        self.stream.send(octets if self._start.method == "HEAD" else octets + body)
        self._end_message()

    def write_headers(
        self,
        start_line: RequestStartLine | ResponseStartLine,
        headers: HTTPHeaders,
        chunk: bytes | None = None,
    ) -> "asyncio.Future[None]":
        """Begin an answer (Tornado calls this)."""
        assert isinstance(start_line, ResponseStartLine)
        if self._start is None:
            return self._written(b"")
        has_body = self._start.method != "HEAD" and start_line.code not in _WITHOUT_BODY
        if "Content-Length" in headers:
            self._left = int(headers["Content-Length"]) if has_body else 0
        elif has_body and self._start.version == "HTTP/1.1":
            self._is_chunked = True
            headers["Transfer-Encoding"] = "chunked"
        elif has_body:
            self._is_last = True  # only the connection's end can tell where the body ends
        if headers.get("Connection", "").lower() == "close":
            self._is_last = True
        if connection := self._connection_field():
            headers["Connection"] = connection
        lines = [f"HTTP/1.1 {start_line.code} {start_line.reason}"]
        lines += [f"{name}: {value}" for name, value in headers.get_all()]
        if any("\r" in line or "\n" in line for line in lines):
            raise ValueError("an end of line in a header of the answer")
        self._is_answering = True
        head = "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"
        return self._written(head + self._framed(chunk) if chunk and has_body else head)

    def write(self, chunk: bytes) -> "asyncio.Future[None]":
        """Go on with an answer (Tornado calls this)."""
        return self._written(self._framed(chunk))

    def finish(self) -> None:
        """End an answer (Tornado calls this)."""
        if self.stream.is_closed or self._is_answered:
            return
        if self._left:
            self.abandon()
            raise HTTPOutputError(f"the answer's body lacks {self._left} octets of its Content-Length")
        if self._is_chunked:
            self.stream.send(b"0\r\n\r\n")
        self._is_answered = True
        self._end_message()

    def close_after(self) -> None:
        """Close the connection after the present request's answer."""
        self._is_last = True

    def abandon(self) -> None:
        """Close the connection at once: its client does not do what it should, or has no place."""
        self._octets = b""
        self.stream.abort()

    # What the server asks for.

    def close(self) -> None:
        """Close the connection."""
        self._octets = b""
        self.stream.close()

    def close_if_late(self, now: float) -> None:
        """Close the connection if its client has been waited for too long; `now` by the loop's clock."""
        limits = self._host.limits
        now = self.stream.waited_until(now)
        if not self.stream.is_identified:
            self.stream.demand_header(now)
        elif _is_past(self._lingers_since, _LINGER_SECONDS, now):
            self.close()
        elif _is_past(self._head_since, limits.head, now) or _is_past(
            self.stream.handshake_since, limits.head, now
        ):
            self._host.connections.dismiss(self, "slow_head")
        elif _is_past(self.awaited_since, limits.idle, now):
            self.close()
        elif _is_past(self._body_since, self._body_seconds, now):
            self.abandon()

    # What the stream tells.

    def identified(self, source: str) -> bool:
        """Count as a client from there."""
        self.remote_ip = source
        self.awaited_since = self._loop.time()
        return self._host.admits(self, source)

    def received(self, octets: bytes) -> None:
        """Take what has come, in the connection's turn; or go on, if that is nothing."""
        self._is_scheduled = False
        if self._lingers_since is not None:
            self._dropped += len(octets)
            if self._dropped > _LINGER:
                self.close()
            return
        self._crumbs += 0 < len(octets) < _CRUMB
        self._octets = self._octets + octets if self._octets else octets
        self._advance()
        if octets and self._crumbs > _CRUMBS and not self._is_read:
            self.stream.rest(self._advance_later)

    def ended(self) -> None:
        """Go on with what has come whole: nothing else will."""
        if self._is_read and not self._is_answered:
            self._host.connections.rank(self, Rank.HALF_CLOSED)
            self._host.connections.tarpit.release(self)
        elif self._lingers_since is not None or not (self._octets or self._is_busy or self.stream.is_full):
            self.close()

    def filled(self) -> None:
        """Wait for the client to take what was sent."""
        if not self._is_answered and self._is_answering:
            self.awaited_since = self._loop.time()
            self._host.connections.rank(self, Rank.AWAITED)

    def drained(self) -> None:
        """Go on: the client has taken all."""
        if self._is_answered:
            self._go_on()
            return
        if self._is_answering:
            self.awaited_since = None
            if self._is_read:
                self._rank_at_work()
        self._release_flow(None)

    def lost(self) -> None:
        """Forget everything."""
        self._octets = b""
        self._host.forget(self)
        if self._flow:
            self._release_flow(StreamClosedError())
        message, self._message = self._message, None
        if message and not self._is_read:
            self._guarded(message.on_connection_close)
        elif message and not self._is_answered and (callback := self._on_close):
            self._on_close = None
            callback()

    # A request.

    def _advance(self) -> None:
        """Take apart what has come, as far as nobody has to be waited for."""
        for _ in range(_STEPS):
            if not self._octets or self._is_busy or self._is_read or self._is_scheduled:
                break
            if not self._take():
                return
        else:
            self.stream.rest(self._advance_later)
            return
        if self.stream.is_closed or self._lingers_since is not None:
            return
        if self._start is None and self._head_since is None and self._reader.size:
            self._head_since = self._loop.time()
        if len(self._octets) >= _AHEAD or self._is_busy:
            self.stream.pause()
        elif self.stream.has_ended and not (self._octets or self._is_read):
            self.close()
        elif self.stream.is_paused:
            self.stream.resume()

    def _take(self) -> bool:
        """Take the next piece, and let the delegate have it; return whether there may be another one."""
        reader = self._reader
        try:
            used = reader.take(self._octets)
            self._octets = self._octets[used:]
            self._pass_on(reader.body, reader.is_complete)
        except Exception as error:  # noqa: BLE001 - the boundary: one request's bug is no other connection's
            self._fail(error)
            return False
        return True

    def _pass_on(self, body: bytes, is_complete: bool) -> None:
        """Let the delegate have a piece of a request: its head, a part of its body, its end."""
        waits: Awaitable[None] | None = None
        if self._start is None and (start := self._reader.start_line):
            self._start = start
            self._is_last = not self._reader.keeps
            self.body_length = self._reader.length
            self.awaited_since = self._head_since = None
            if not is_complete:
                self._body_since = self._loop.time()
            self._message = self._host.delegate.start_request(self, self)
            waits = self._message.headers_received(start, self._reader.headers)
            if waits is None and not is_complete:
                self._begin_body()
        if waits is None and body:
            waits, body = self._pass_body(body), b""
        if waits is not None:
            self._wait(waits, body, is_complete)
        elif is_complete:
            self._body_since = None
            self._is_read = True
            if self._message and not self._is_answered:
                self._rank_at_work()
                self._message.finish()

    def _begin_body(self) -> None:
        """Let the body come, now that the delegate has seen the head."""
        if self._is_answered or self._start is None:
            return
        if self.body_length is not None and self.body_length > self._max_body:
            raise BodyTooLargeError
        expects = self._reader.headers.get("Expect", "").lower()
        if expects == "100-continue" and self._start.version == "HTTP/1.1" and not self._octets:
            self.stream.send(_CONTINUE)  # RFC 9110 §10.1.1

    def _pass_body(self, body: bytes) -> Awaitable[None] | None:
        self._size += len(body)
        if self._is_answered or self._message is None:
            return None
        if self._size > self._max_body:
            raise BodyTooLargeError
        return self._message.data_received(body)

    def _wait(self, waits: Awaitable[None], body: bytes, is_complete: bool) -> None:
        """Take no more until the delegate has done with what it has got."""
        self._is_busy = True
        message, begins_body = self._message, self._size == 0 and not is_complete

        def go_on(future: "asyncio.Future[None]") -> None:
            if message is not self._message or self.stream.is_closed or self._lingers_since is not None:
                return
            self._is_busy = False
            if not self._guarded(future.result) or (begins_body and not self._guarded(self._begin_body)):
                return
            if self._guarded(self._pass_on, body, is_complete):
                self._advance()

        asyncio.ensure_future(waits).add_done_callback(go_on)

    def _rank_at_work(self) -> None:
        """Note that the present request is here whole, and owed an answer."""
        self._host.connections.rank(self, Rank.HALF_CLOSED if self.stream.has_ended else Rank.AT_WORK)

    def _guarded(self, call: Callable[..., object], *arguments: object) -> bool:
        """Call a delegate; return whether it went well. If not, the connection ends with it."""
        try:
            call(*arguments)
        except Exception as error:  # noqa: BLE001 - the boundary, as above
            self._fail(error)
            return False
        return True

    def _fail(self, error: Exception) -> None:
        """End the connection: for what is no request, or for what a delegate has raised."""
        match error:
            case MalformedRequestError():
                _log.debug("http.malformed", peer=self.remote_ip, reason=str(error))
                self._refuse(_MALFORMED)
            case HTTPInputError():  # its text may repeat what was sent, such as a token
                _log.debug("http.malformed", peer=self.remote_ip, reason="the application refuses it")
                self._refuse(_MALFORMED)
            case BodyTooLargeError():
                self._refuse_body()
            case HeadTooLargeError():
                self._give_up()
            case StreamClosedError():
                self.abandon()
            case _:
                _log.error("http.crashed", exc_info=error)
                self.abandon()

    # An answer.

    def _written(self, octets: bytes) -> "asyncio.Future[None]":
        """Send octets; return what is done once they have gone out."""
        gone: asyncio.Future[None] = self._loop.create_future()
        self.stream.send(octets)
        if self.stream.is_closed:
            gone.set_exception(StreamClosedError())
            gone.exception()  # nobody has to ask
        elif self.stream.is_full:
            self._flow.append(gone)
        else:
            gone.set_result(None)
        return gone

    def _release_flow(self, error: Exception | None) -> None:
        waiting, self._flow = self._flow, []
        for each in waiting:
            if each.done():
                continue
            if error is None:
                each.set_result(None)
            else:
                each.set_exception(error)
                each.exception()

    def _framed(self, chunk: bytes) -> bytes:
        if self._is_chunked:
            return b"%x\r\n%b\r\n" % (len(chunk), chunk) if chunk else b""
        if self._left is not None:
            self._left -= len(chunk)
            if self._left < 0:
                self.abandon()
                raise HTTPOutputError("the answer's body is longer than its Content-Length")
        return chunk

    def _connection_field(self) -> str:
        """Decide whether the connection is closed after this answer; return what the answer says of that."""
        if not (self._is_read and self._host.keeps_connections) or (
            self.stream.has_ended and not self._octets
        ):
            self._is_last = True
        if self._is_last:
            return "close"
        return "keep-alive" if self._start and self._start.version == "HTTP/1.0" else ""

    def _end_message(self) -> None:
        """Go on to the next request, once this one's answer has gone out."""
        self._on_close = None
        self._body_since = None
        self.awaited_since = self._loop.time()
        self._host.connections.rank(self, Rank.AWAITED)
        if not self.stream.is_full:
            self._go_on()

    def _go_on(self) -> None:
        if self._flow:
            self._release_flow(None)
        if self.stream.is_closed or self._lingers_since is not None:
            return
        if self._is_last:
            if self._is_read and not self._octets:
                self.close()
            else:
                self._linger()
            return
        self._reader.next()
        self._next_message()
        if self._octets:
            self._advance_later()
        elif self.stream.has_ended:
            self.close()
        elif self.stream.is_paused:
            self.stream.resume()

    def _advance_later(self) -> None:
        self._is_scheduled = True
        self._host.connections.queue.add(self)

    def _refuse_body(self) -> None:
        """Answer a request that has too large a body, and close the connection."""
        if body := self._host.too_large:
            guards = "".join(f"{name}: {value}\r\n" for name, value in replies.GUARDS.items())
            head = (
                f"HTTP/1.1 413 {responses[413]}\r\nContent-Type: {replies.CONTENT_TYPE}\r\n{guards}"
                f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
            )
            self._refuse(head.encode("latin-1") + body)
        else:
            self._refuse(_MALFORMED)

    def _refuse(self, answer: bytes) -> None:
        """Answer what is no request, and close the connection."""
        if self.stream.is_closed:
            return
        if not (self._is_answered or self._is_answering):
            self._is_answered = True
            self.stream.send(answer)
        message, self._message = self._message, None
        if message and not self._is_read:
            self._guarded(message.on_connection_close)
        self._linger()

    def _give_up(self) -> None:
        """Read no more of too large a head, and close the connection later: until then nothing else comes."""
        self._octets = b""
        self._is_busy = True
        self._head_since = self.awaited_since = None
        self.stream.pause()
        self._host.connections.tarpit.keep(self, self.abandon)

    def _linger(self) -> None:
        """Close the connection once the client has seen the answer, though it may still be sending.

        A close with octets unread is a reset, by which the answer can be lost (RFC 9112 §9.6).
        """
        self._is_answered = True
        self._octets = b""
        self._head_since = self._body_since = None
        self._lingers_since = self.awaited_since = self._loop.time()
        self._host.connections.rank(self, Rank.KEPT_WAITING)
        if self.is_half_closed:
            self.close()
        else:
            self.stream.end()


def _is_past(since: float | None, seconds: float, now: float) -> bool:
    return since is not None and since <= now - seconds
