"""One request of the public listener, and its answer."""

import asyncio
import re
from collections.abc import Awaitable
from http.client import responses
from typing import Protocol

from tornado.httputil import (
    HTTPConnection,
    HTTPHeaders,
    HTTPMessageDelegate,
    RequestStartLine,
    ResponseStartLine,
)

from ddnsd.web import replies
from ddnsd.web.owed import Owed
from ddnsd.web.slowdown import Slowdown
from ddnsd.web.streams import Stream

_ORIGIN = re.compile(r"https?://[^/?]*", re.IGNORECASE)  # before the path in absolute-form, RFC 9112 §3.2.2
_DIGITS = 18  # of a Content-Length; `int` does not take thousands of them
_DROPPED_AT_ONCE = 65536  # bytes of too large a body that are read, and dropped
_CRUMB, _CRUMBS = 512, 4  # bytes that are a small part of a body, and how many of these are nothing special
_PAUSE = 0.01  # seconds before more is read: each time it keeps others waiting


class Listener(Protocol):
    """What an exchange wants of its listener."""

    max_body: int
    """Bytes that the body of a request may have."""

    max_read: int
    """Bytes of a body that are read, if only to be dropped: who is cut off while it sends sees no answer."""

    draining: bool
    owed: Owed
    slowdown: Slowdown

    def dispatch(self, exchange: "Exchange", /) -> None:
        """Answer a complete request."""
        ...

    def failed(self, exchange: "Exchange", /) -> bool:
        """Count what is no request; return whether its client has sent too many of them."""
        ...


class Exchange(HTTPMessageDelegate):
    """One request and its answer."""

    method: str  # these five are there once the request is complete
    path: str
    query: str
    headers: HTTPHeaders
    body: bytes

    def __init__(self, listener: Listener, connection: HTTPConnection, peer: str) -> None:
        self.peer = peer
        # Since when the client has been waited for, for its head or to take its answer; else None.
        self.awaited_since: float | None = asyncio.get_running_loop().time()
        self.head_since: float | None = None  # since when a part, not all, of its head is known to be here
        self.at_work = False  # whether the request is complete, and waits for nobody but ddnsd
        self._listener = listener
        self._connection = connection
        self.stream: Stream = connection.stream  # type: ignore[attr-defined] # what the connection is known by
        self._body = bytearray()  # not a list of what comes: that may be single octets, of 40 bytes each
        self._size = 0
        self._crumbs = 0  # parts of the body that were small
        self._dropping = False  # whether the body is too large, and its rest is read for good manners alone
        self._unread: asyncio.Future[None] | None = None  # done once the rest of the request may be read
        self._answered = False

    def headers_received(  # type: ignore[override]
        self, start_line: RequestStartLine, headers: HTTPHeaders
    ) -> Awaitable[None] | None:
        """Take the head (Tornado calls this); return what to wait for before the body is read."""
        self._listener.owed.add(self)
        self.awaited_since = self.head_since = None
        self.method = start_line.method
        self.headers = headers
        target = start_line.path
        if not target.startswith("/"):
            target = _ORIGIN.sub("", target, count=1)
        self.path, _, self.query = target.partition("?")
        length = headers.get("Content-Length", "")
        if length.isdecimal() and (len(length) > _DIGITS or int(length) > self._listener.max_body):
            waits_for_leave = "Expect" in headers
            unreadable = len(length) > _DIGITS or int(length) > self._listener.max_read
            return self._refuse_body(read=not (waits_for_leave or unreadable))
        return None

    def data_received(self, chunk: bytes) -> Awaitable[None] | None:
        """Take a part of the body (Tornado calls this); return what to wait for before more is read."""
        before, self._size = self._size, self._size + len(chunk)
        if self._size <= self._listener.max_body:
            self._body += chunk
            self._crumbs += len(chunk) < _CRUMB
            return asyncio.sleep(_PAUSE) if self._crumbs > _CRUMBS else None
        if not self._dropping:
            return self._refuse_body(read=True)
        if self._size > self._listener.max_read:
            self._reply_too_large()
        step = before // _DROPPED_AT_ONCE < self._size // _DROPPED_AT_ONCE
        return asyncio.sleep(_PAUSE) if step else None

    def finish(self) -> None:
        """Answer the complete request (Tornado calls this)."""
        if self._dropping:
            self._reply_too_large()
            return
        self.body = bytes(self._body)
        self.at_work = True
        self._listener.dispatch(self)

    def on_connection_close(self) -> None:
        """Forget the answer: the client has gone (Tornado calls this)."""
        self._done()

    def abandon(self) -> None:
        """Close the connection: the request does not come, or its answer is not taken, or has no place."""
        self._done()
        self.stream.cut_off()
        self._connection.close()  # type: ignore[attr-defined]

    def look_for_head(self, now: float) -> None:
        """Note whether the head has begun to arrive; `now` by the loop's clock."""
        arrived = self.stream._read_buffer_size  # there is no other way to know
        if arrived and self.head_since is None and not self._answered:
            self.head_since = now

    @property
    def draining(self) -> bool:
        """Say whether the node wants no more traffic."""
        return self._listener.draining

    def fail(self, status: int, **headers: str) -> None:
        """Answer with a failure that the contract has no row for; later, if the client has had many."""
        late = status < 500 and self._listener.failed(self)
        self.reply(status, replies.failure_of_status(status), late, **headers)

    def reply(self, status: int, body: bytes, late: bool = False, /, **extra: str) -> None:
        """Answer, once; an answer to a client that has gone is dropped.

        Who asks too often is answered `late`: after a moment, in which it asks for nothing else.
        """
        if self._answered:
            return
        if late and self.stream.closed():
            self.abandon()  # else all that it had sent before would be answered, too
            return
        if late:
            self.at_work = False
            self._listener.owed.settle(self)  # it is the slowdown's from now on, also when the node drains
            self._listener.slowdown.keep(self.stream, lambda: self.reply(status, body, **extra))
            return
        self._done()
        self.at_work = False
        self.awaited_since = asyncio.get_running_loop().time()
        usual = {"Content-Type": replies.CONTENT_TYPE, "Content-Length": str(len(body)), **replies.GUARDS}
        headers = HTTPHeaders({**usual, **extra})
        if self.draining:
            headers["Connection"] = "close"
        content = None if self.method == "HEAD" else body
        self._connection.write_headers(ResponseStartLine("", status, responses[status]), headers, content)
        self._connection.finish()

    def _refuse_body(self, *, read: bool) -> Awaitable[None] | None:
        """Answer that the body is too large: once it has been read, else now; late, without reading, if it
        is one of many."""
        self._body.clear()
        if self._listener.failed(self):
            self._unread = asyncio.get_running_loop().create_future()
            self._reply_too_large(late=True)
        elif read:
            self._dropping = True
        else:
            self._reply_too_large()
        return self._unread

    def _reply_too_large(self, *, late: bool = False) -> None:
        self.reply(413, replies.failure_of_status(413), late)

    def _done(self) -> None:
        if self._unread and not self._unread.done():
            self._unread.set_result(None)
        if not self._answered:
            self._answered = True
            self._listener.owed.settle(self)
