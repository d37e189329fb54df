"""Calls to the API server: credentials, pooled connections, time limits and failures, for all verbs alike."""

import asyncio
import os
import socket
import ssl
from base64 import urlsafe_b64decode
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import aclosing, asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar

import httpx2
import msgspec

from ddnsd.kube.api.objects import ApiUnavailableError, KubeError, failure
from ddnsd.kube.api.settings import ApiResource, ApiSettings

T = TypeVar("T")
_ACCOUNT = "system:serviceaccount:"
_MOST = 64 << 20  # bytes of an answer: a page of large objects, of which etcd holds up to 1.5 MiB each
_MOST_OF_FAILURE = 1 << 20
# The API server closes what is idle for 90 s (apiserver/pkg/server: IdleTimeout): we do so earlier, as a
# request that crosses with the close is lost, and nobody knows whether a write was done.
_LIMITS = httpx2.Limits(max_connections=None, max_keepalive_connections=16, keepalive_expiry=60.0)


class _Watched(Generic[T]):
    """What is made of a file, made again when the file is another."""

    def __init__(self, path: Path, make: Callable[[Path], T]) -> None:
        self._path = path
        self._make = make
        self._stamp: tuple[int, ...] = ()
        self._made: T

    def current(self) -> T:
        try:
            found = self._path.stat()
            # kubelet replaces the folder behind a file, so its inode tells of a change, too
            stamp = (found.st_ino, found.st_mtime_ns, found.st_size)
            if stamp != self._stamp:
                self._made = self._make(self._path)
                self._stamp = stamp
        except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
            reason = error.strerror if isinstance(error, OSError) else "not one line of ASCII"
            raise ApiUnavailableError(f"{self._path}: {reason or 'cannot be used'}") from None
        return self._made


class ServiceAccount:
    """A ServiceAccount's folder; each file is read again when it changes, as kubelet rotates them.

    Every property raises ApiUnavailableError when its file cannot be used.
    """

    def __init__(self, folder: Path) -> None:
        self._token = _Watched(folder / "token", _read)
        self._authority = _Watched(folder / "ca.crt", _context)
        self._namespace = _Watched(folder / "namespace", _read)

    @property
    def token(self) -> str:
        """The bearer token."""
        return self._token.current()

    @property
    def account(self) -> str:
        """The ServiceAccount that the token is of, as NAMESPACE:NAME; "" if it does not say."""
        subject = _subject(self.token)
        return subject.removeprefix(_ACCOUNT) if subject.startswith(_ACCOUNT) else ""

    @property
    def context(self) -> ssl.SSLContext:
        """TLS that trusts the cluster's authority; the same object until the authority changes."""
        return self._authority.current()

    @property
    def namespace(self) -> str:
        """The namespace of the pod."""
        return self._namespace.current()


class ApiCall(NamedTuple):
    """One request of a resource. `title` names it in errors; `content` is the document's media type."""

    title: str
    resource: ApiResource
    method: str
    path: str
    query: Mapping[str, str] = {}
    document: Mapping[str, Any] | None = None
    content: str = "application/json"


class _Opening:
    """A connection until TLS is there, which httpx2 forgets open when it is cancelled in the handshake."""

    def __init__(self) -> None:
        self._stream: Any = None

    async def trace(self, event: str, info: Mapping[str, Any]) -> None:
        """Note what a request does (httpx2's extension `trace`)."""
        if event == "connection.connect_tcp.complete":
            self._stream = info["return_value"]
        elif event == "connection.start_tls.complete":
            self._stream = None

    async def close(self) -> None:
        """Close what did not become a connection."""
        if self._stream is not None:
            await self._stream.aclose()


class _Pool:
    """Connections that trust one authority. A retired pool is closed when its last request has ended."""

    def __init__(self, context: ssl.SSLContext, settings: ApiSettings) -> None:
        self.context = context
        self._settings = settings
        self._requests = 0
        self._retired = False
        self._http = httpx2.AsyncClient(
            base_url=settings.server,
            headers={
                "Accept": "application/json",
                "Accept-Encoding": "identity",  # the limits are on what is sent
                "User-Agent": settings.user_agent,
            },
            verify=context,
            timeout=httpx2.Timeout(None, connect=settings.connect_timeout),  # the caller bounds the whole
            limits=_LIMITS,
            trust_env=False,
        )

    @asynccontextmanager
    async def answer(self, call: ApiCall, token: str) -> AsyncIterator[httpx2.Response]:
        """Give the answer as soon as its head is there.

        Raises:
            ApiUnavailableError: no connection, or none that lasts until the head of the answer.
        """
        self._requests += 1
        try:
            async with aclosing(await self._send(call, token)) as response:
                yield response
        finally:
            self._requests -= 1
            await self._close_if_unused()

    async def retire(self) -> None:
        """Take no further request."""
        self._retired = True
        await self._close_if_unused()

    async def _send(self, call: ApiCall, token: str) -> httpx2.Response:
        headers = {"Authorization": f"Bearer {token}"}
        body = None
        if call.document is not None:
            headers["Content-Type"] = call.content
            body = msgspec.json.encode(call.document)
        opening = _Opening()
        request = self._http.build_request(
            call.method,
            call.path,
            params=call.query,
            headers=headers,
            content=body,
            extensions={"trace": opening.trace},
        )
        try:
            if call.method == "GET":
                # The server may close a kept connection just when we use it; to ask again changes nothing.
                with suppress(httpx2.ReadError, httpx2.WriteError, httpx2.RemoteProtocolError):
                    return await self._http.send(request, stream=True)
            return await self._http.send(request, stream=True)
        except httpx2.HTTPError as error:
            raise ApiUnavailableError(f"{self._settings.authority}: {_reason(error)}") from None
        finally:
            await opening.close()

    async def _close_if_unused(self) -> None:
        if self._retired and not self._requests:
            await self._http.aclose()


class ApiTransport:
    """One API server, our credentials there, and the connections to it, which are used again."""

    def __init__(self, settings: ApiSettings) -> None:
        self.credentials = ServiceAccount(settings.credentials)
        self._settings = settings
        self._pool: _Pool | None = None

    async def close(self) -> None:
        """Close the connections as soon as the calls on them have ended; the next call opens others."""
        pool, self._pool = self._pool, None
        if pool is not None:
            await pool.retire()

    async def call(self, call: ApiCall, timeout: float) -> bytes:
        """Return the body of a successful answer; `timeout` is for all of it.

        Raises:
            KubeError: see `objects`.
        """
        try:
            async with asyncio.timeout(timeout), self._answer(call) as response:
                return await _read_all(response, _MOST)
        except TimeoutError:
            raise ApiUnavailableError(f"{call.title}: no answer within {timeout:g} s") from None

    @asynccontextmanager
    async def open(self, call: ApiCall, timeout: float) -> AsyncIterator[httpx2.Response]:
        """Give a successful answer as soon as its head is there, for which `timeout` is.

        Raises:
            KubeError: see `objects`.
        """
        bound = asyncio.timeout(timeout)
        try:
            async with bound, self._answer(call) as response:
                bound.reschedule(None)
                yield response
        except TimeoutError:
            if not bound.expired():
                raise
            raise ApiUnavailableError(f"{call.title}: no answer within {timeout:g} s") from None

    @asynccontextmanager
    async def _answer(self, call: ApiCall) -> AsyncIterator[httpx2.Response]:
        token, pool = self.credentials.token, await self._current_pool()
        try:
            async with pool.answer(call, token) as response:
                if response.is_success:
                    yield response
                    return
                refusal = await _failure(call, response)
        except (ApiUnavailableError, asyncio.CancelledError):
            # Where one connection is dead, the others may be, too: the next call opens a new one.
            if pool is self._pool:
                await self.close()
            raise
        raise refusal

    async def _current_pool(self) -> _Pool:
        context = self.credentials.context
        if self._pool is None or self._pool.context is not context:
            await self.close()
            self._pool = _Pool(context, self._settings)
        return self._pool


async def _read_all(response: httpx2.Response, limit: int) -> bytes:
    """Return the body.

    Raises:
        ApiUnavailableError: the connection was lost.
        KubeError: it has more than `limit` bytes.
    """
    body = bytearray()
    try:
        async for chunk in response.aiter_raw():
            body += chunk
            if len(body) > limit:
                raise KubeError(f"an answer of more than {limit} bytes")
    except httpx2.HTTPError:
        raise ApiUnavailableError("the connection was lost") from None
    return bytes(body)


async def _failure(call: ApiCall, response: httpx2.Response) -> KubeError:
    try:
        body = await _read_all(response, _MOST_OF_FAILURE)
    except KubeError:
        body = b""  # the code says enough
    retry_after = response.headers.get("Retry-After", "")
    silent = call.resource.sensitive
    return failure(response.status_code, body, call.title, retry_after=retry_after, silent=silent)


def _reason(error: BaseException) -> str:
    """Return what the innermost cause says: those around it say only that all attempts failed."""
    if isinstance(error, BaseExceptionGroup):  # of the attempts at several addresses
        return _reason(error.exceptions[0])
    for inner in (error.__cause__, *error.args[:1]):  # httpcore2 has it as its argument
        if isinstance(inner, BaseException):
            return _reason(inner)
    if isinstance(error, OSError) and error.errno and not isinstance(error, (ssl.SSLError, socket.gaierror)):
        return os.strerror(error.errno)  # asyncio says "Connect call failed" of all
    return str(error) or type(error).__name__


def _subject(token: str) -> str:
    """Return the `sub` of a JSON Web Token (RFC 7519 §4.1.2), "" of other texts; the server verifies it."""
    try:
        payload = token.split(".")[1]
        claims = msgspec.json.decode(
            urlsafe_b64decode(payload + "=" * (-len(payload) % 4)), type=dict[str, Any]
        )
        return str(claims.get("sub", ""))
    except (IndexError, ValueError):  # msgspec's and binascii's errors are ValueErrors
        return ""


def _read(path: Path) -> str:
    """Return text that may stand in a header: an HTTP library that refuses to send other text quotes it."""
    text = path.read_text(encoding="ascii").strip()
    if not text.isprintable():
        raise ValueError
    return text


def _context(path: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(path))
