"""One request and its answer on one connection, on the parts of Tornado that fit.

Not `AsyncHTTPClient`: a fetch of it cannot be taken back, so that a watch nobody reads would live on, and
it does not wait for a slow reader. Connections are not used again: a controller makes some calls a second.
"""

import asyncio
import contextlib
import socket
import ssl
import sys
from collections.abc import AsyncIterator
from typing import NamedTuple

from tornado.http1connection import HTTP1Connection, HTTP1ConnectionParameters
from tornado.httputil import HTTPHeaders, HTTPMessageDelegate, RequestStartLine, ResponseStartLine
from tornado.iostream import SSLIOStream, StreamClosedError

from ddnsd.kube.api.errors import MalformedError, UnavailableError


class Request(NamedTuple):
    """What is asked; `path` has the query too."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes = b""


class Target(NamedTuple):
    """Where, by which authority's certificate, and the seconds that each address gets for TCP and TLS."""

    host: str
    port: int
    context: ssl.SSLContext
    timeout: float


class _Inbox(HTTPMessageDelegate):
    """Takes the answer from Tornado, one chunk at a time, each when the one before was read."""

    def __init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.head: asyncio.Future[tuple[int, HTTPHeaders]] = loop.create_future()
        self._loop = loop
        self._chunk: bytes | None = None
        self._filled = asyncio.Event()
        self._taken: asyncio.Future[None] | None = None
        self._ended = self._whole = False

    def headers_received(
        self, start_line: RequestStartLine | ResponseStartLine, headers: HTTPHeaders
    ) -> None:
        assert isinstance(start_line, ResponseStartLine)
        if start_line.code >= 200 and not self.head.done():
            self.head.set_result((start_line.code, headers))

    def data_received(self, chunk: bytes) -> asyncio.Future[None]:
        self._chunk = chunk
        self._taken = self._loop.create_future()
        if self._ended:
            self._taken.set_result(None)
        self._filled.set()
        return self._taken

    def finish(self) -> None:
        self._whole = True
        self.end()

    def on_connection_close(self) -> None:
        self.end()

    def end(self) -> None:
        """Nothing comes any more, and nobody reads."""
        self._ended = True
        self._filled.set()
        if self._taken is not None and not self._taken.done():
            self._taken.set_result(None)
        if not self.head.done():
            self.head.set_exception(UnavailableError("the connection was closed"))
            self.head.exception()  # read here, so that asyncio does not complain where nobody waits for it

    async def read(self) -> bytes:
        """Return the next part of the body, b"" at its end.

        Raises:
            UnavailableError: the connection was lost.
        """
        await self._filled.wait()
        chunk, self._chunk = self._chunk, None
        if chunk is None:
            if not self._whole:
                raise UnavailableError("the connection was lost")
            return b""
        if not self._ended:
            self._filled.clear()
        if self._taken is not None and not self._taken.done():
            self._taken.set_result(None)
        return chunk


class Answer:
    """The head of an answer, and its body as it comes."""

    def __init__(self, code: int, headers: HTTPHeaders, inbox: _Inbox) -> None:
        self.code = code
        self.headers = headers
        self._inbox = inbox

    async def read(self) -> bytes:
        """Return the next part of the body, b"" at its end.

        Raises:
            UnavailableError: the connection was lost.
        """
        return await self._inbox.read()

    async def read_all(self, limit: int) -> bytes:
        """Return the body.

        Raises:
            UnavailableError: the connection was lost.
            MalformedError: it has more than `limit` bytes.
        """
        body = bytearray()
        while chunk := await self.read():
            body += chunk
            if len(body) > limit:
                raise MalformedError(f"an answer of more than {limit} bytes")
        return bytes(body)


@contextlib.asynccontextmanager
async def exchange(target: Target, request: Request) -> AsyncIterator[Answer]:
    """Connect, ask, and give the answer; the connection ends with the block. The caller bounds the time.

    Raises:
        UnavailableError: no connection, or none that lasts until the head of the answer.
    """
    stream = await _connect(target)
    inbox = _Inbox()
    limits = HTTP1ConnectionParameters(no_keep_alive=True, max_body_size=sys.maxsize)
    connection = HTTP1Connection(stream, True, limits)
    reading = asyncio.create_task(_converse(connection, request, inbox), name="kube answer")
    try:
        yield Answer(*await inbox.head, inbox)
    finally:
        inbox.end()
        stream.close()
        # Not `await reading`: a cancellation of ours would go to it, and Tornado swallows it.
        await asyncio.wait([reading])


async def _converse(connection: HTTP1Connection, request: Request, inbox: _Inbox) -> None:
    headers = HTTPHeaders(request.headers)
    if request.body:
        headers["Content-Length"] = str(len(request.body))
    try:
        # Their futures say no more than the answer's: that the connection is closed.
        connection.write_headers(RequestStartLine(request.method, request.path, ""), headers, request.body)
        connection.finish()
        await connection.read_response(inbox)
    except StreamClosedError:
        pass
    finally:
        inbox.end()


async def _connect(target: Target) -> SSLIOStream:
    """Try each address of the host."""
    loop = asyncio.get_running_loop()
    failure: BaseException = OSError("no address")
    try:
        found = await loop.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise UnavailableError(f"{target.host}: {error.strerror}") from None
    for family, kind, protocol, _, address in found:
        try:
            return await _open(socket.socket(family, kind, protocol), address, target)
        except (StreamClosedError, OSError) as error:
            failure = (error.real_error if isinstance(error, StreamClosedError) else error) or failure
    raise UnavailableError(f"{target.host}:{target.port}: {_reason(failure)}")


async def _open(raw: socket.socket, address: tuple[object, ...], target: Target) -> SSLIOStream:
    raw.setblocking(False)
    raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    stream = SSLIOStream(raw, ssl_options=target.context)
    try:
        async with asyncio.timeout(target.timeout):
            await stream.connect(address, server_hostname=target.host)
    except BaseException:  # also cancelled: nothing stays open
        stream.close()
        raise
    return stream


def _reason(error: BaseException) -> str:
    return str(error) or type(error).__name__
