"""Calls to the API server: credentials, connections, time limits and failures, the same for every verb.

Not `AsyncHTTPClient`: a fetch of it cannot be taken back, so that a watch nobody reads would live on, and
it does not wait for a slow reader. Connections are not used again: a controller makes some calls a second.
"""

import asyncio
import contextlib
import socket
import ssl
import sys
from base64 import urlsafe_b64decode
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

import msgspec
from tornado.http1connection import HTTP1Connection, HTTP1ConnectionParameters
from tornado.httputil import HTTPHeaders, HTTPMessageDelegate, RequestStartLine, ResponseStartLine
from tornado.iostream import SSLIOStream, StreamClosedError

from ddnsd.kube.api.objects import KubeError, MalformedError, UnavailableError, failure
from ddnsd.kube.api.settings import Resource, Settings

T = TypeVar("T")
_ACCOUNT = "system:serviceaccount:"


class _Stamp(NamedTuple):
    """By what a changed file is known; kubelet replaces the folder behind it, so its inode too."""

    inode: int
    modified: int
    size: int


class _Watched(Generic[T]):
    """What is made of a file, made anew when the file is another."""

    def __init__(self, path: Path, make: Callable[[Path], T]) -> None:
        self._path = path
        self._make = make
        self._stamp: _Stamp | None = None
        self._made: T

    def current(self) -> T:
        try:
            found = self._path.stat()
            stamp = _Stamp(found.st_ino, found.st_mtime_ns, found.st_size)
            if stamp != self._stamp:
                self._made = self._make(self._path)
                self._stamp = stamp
        except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
            reason = error.strerror if isinstance(error, OSError) else "not one line of ASCII"
            raise UnavailableError(f"{self._path}: {reason or 'cannot be used'}") from None
        return self._made


class _Claims(msgspec.Struct, frozen=True):
    sub: str = ""


class Credentials:
    """A ServiceAccount's folder."""

    def __init__(self, folder: Path) -> None:
        self._token = _Watched(folder / "token", _read)
        self._authority = _Watched(folder / "ca.crt", _context)
        self._namespace = _Watched(folder / "namespace", _read)

    @property
    def token(self) -> str:
        """The bearer token.

        Raises:
            UnavailableError: the file cannot be read.
        """
        return self._token.current()

    @property
    def account(self) -> str:
        """The ServiceAccount that the token is of, as NAMESPACE:NAME; "" if it does not say.

        Raises:
            UnavailableError: the file cannot be read.
        """
        subject = _subject(self.token)
        return subject.removeprefix(_ACCOUNT) if subject.startswith(_ACCOUNT) else ""

    @property
    def context(self) -> ssl.SSLContext:
        """TLS with the cluster's authority.

        Raises:
            UnavailableError: the file cannot be read, or holds no certificate.
        """
        return self._authority.current()

    @property
    def namespace(self) -> str:
        """The namespace of the pod.

        Raises:
            UnavailableError: the file cannot be read.
        """
        return self._namespace.current()


def _subject(token: str) -> str:
    """Return whose JSON Web Token it is (RFC 7519 §4.1.2), "" of what is none; the API server verifies it."""
    try:
        payload = token.split(".")[1]
        return msgspec.json.decode(urlsafe_b64decode(payload + "=" * (-len(payload) % 4)), type=_Claims).sub
    except (IndexError, ValueError):  # msgspec's and binascii's errors are ValueErrors
        return ""


def _read(path: Path) -> str:
    """Return what can stand in a header: whoever refuses to send something else would quote it."""
    text = path.read_text(encoding="ascii").strip()
    if not text.isprintable():
        raise ValueError
    return text


def _context(path: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(path))


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


_MOST = 64 << 20  # bytes of an answer: a page of large objects, of which etcd holds up to 1.5 MiB each
_MOST_OF_FAILURE = 1 << 20


class Call(NamedTuple):
    """One request of a resource. `title` names it in errors; `content` is the document's media type."""

    title: str
    resource: Resource
    method: str
    path: str
    document: Mapping[str, Any] | None = None
    content: str = "application/json"

    def request(self, settings: Settings, token: str) -> Request:
        """Return it as HTTP."""
        headers = {
            "Host": settings.authority,
            "Authorization": f"Bearer {token}",
            "Accept": "application/json",
            "User-Agent": settings.user_agent,
            "Connection": "close",
        }
        if self.document is None:
            return Request(self.method, self.path, headers)
        headers["Content-Type"] = self.content
        return Request(self.method, self.path, headers, msgspec.json.encode(self.document))


class Transport:
    """One API server and our credentials there."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.credentials = Credentials(settings.credentials)

    async def call(self, call: Call, timeout: float) -> bytes:
        """Return the body of a successful answer; `timeout` is for all of it.

        Raises:
            KubeError: see `errors`.
        """
        try:
            async with asyncio.timeout(timeout), self._exchange(call) as answer:
                return await answer.read_all(_MOST)
        except TimeoutError:
            raise UnavailableError(f"{call.title}: no answer within {timeout:g} s") from None

    @asynccontextmanager
    async def open(self, call: Call, timeout: float) -> AsyncIterator[Answer]:
        """Give a successful answer as soon as its head is there, for which `timeout` is.

        Raises:
            KubeError: see `errors`.
        """
        bound = asyncio.timeout(timeout)
        try:
            async with bound, self._exchange(call) as answer:
                bound.reschedule(None)
                yield answer
        except TimeoutError:
            if not bound.expired():
                raise
            raise UnavailableError(f"{call.title}: no answer within {timeout:g} s") from None

    @asynccontextmanager
    async def _exchange(self, call: Call) -> AsyncIterator[Answer]:
        settings, credentials = self.settings, self.credentials
        target = Target(*settings.address, credentials.context, settings.connect_timeout)
        async with exchange(target, call.request(settings, credentials.token)) as answer:
            if not 200 <= answer.code < 300:
                raise await _failure(call, answer)
            yield answer


async def _failure(call: Call, answer: Answer) -> KubeError:
    try:
        body = await answer.read_all(_MOST_OF_FAILURE)
    except (UnavailableError, MalformedError):
        body = b""  # the code says enough
    silent = call.resource.sensitive
    retry_after = answer.headers.get("Retry-After", "")
    return failure(answer.code, body, call.title, retry_after=retry_after, silent=silent)
