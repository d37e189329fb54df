"""One member's address, the gRPC channel to it, and what its answers are checked for.

A simple token of etcd's authentication lives in the members' memory: they forget it when they restart, and
refuse it after a change of users or roles. All calls of a client share one. Each answer must belong to the
history that this client has seen.
"""

import asyncio
import math
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

import grpc

from ddnsd.etcd.errors import (
    EtcdRestoredError,
    EtcdUnavailableError,
    RequestRefusedError,
    no_connection,
)
from ddnsd.etcd.messages import AUTHENTICATE, MEMBER_LIST, WATCH, AnyMessage, Rpc, encode
from ddnsd.etcd.settings import EtcdClientSettings, EtcdUser, MemberAddress, Tls

_Call: TypeAlias = "grpc.aio.StreamStreamCall[AnyMessage, AnyMessage]"
GrpcMetadata: TypeAlias = tuple[tuple[str, str], ...]
_Unary: TypeAlias = "grpc.aio.UnaryUnaryMultiCallable[AnyMessage, AnyMessage]"

_UNDECIDED = (grpc.ChannelConnectivity.IDLE, grpc.ChannelConnectivity.CONNECTING)
_READY = grpc.ChannelConnectivity.READY
_POLL = 0.005  # seconds between two looks at a connection that is being made
_TELLING = 0.2  # seconds for gRPC to tell why there is no connection
_FRESH = 1.0  # seconds for which an answer vouches for its connection


class Stream:
    """A watch stream on one member. Nothing waits on it longer than until it is dropped.

    gRPC promises less: who cancels a call before its initial metadata went out leaves a write behind that
    nothing wakes, and a call that never counts as done (grpcio 1.85.1, grpc/aio/_call.py, `_write`).
    """

    def __init__(self, call: _Call, name: str, ended: Callable[["Stream"], None]) -> None:
        """`name` is the member's, for error texts; `ended` is called once, when the stream has ended."""
        self._call = call
        self._name = name
        self._ended = ended
        self._over = False  # `ended` was called
        self._dropped: asyncio.Future[bool] = asyncio.get_running_loop().create_future()  # failed?
        call.add_done_callback(lambda _: self._end())

    async def write(self, request: AnyMessage, timeout: float) -> None:
        """Send a request. A stream that does not take it within `timeout` seconds is dropped.

        Raises:
            EtcdUnavailableError: not sent in time, or the stream has ended.
            grpc.aio.AioRpcError: the stream failed.
        """
        try:
            async with asyncio.timeout(timeout):
                await self._call.write(request)
        except TimeoutError:
            self.drop(failed=True)
            raise EtcdUnavailableError(
                f"{self._name}: the watch took no request within {timeout:g} s"
            ) from None
        except asyncio.InvalidStateError:  # gRPC's word for a call that is done
            raise EtcdUnavailableError(f"{self._name}: the watch has ended") from None

    async def read(self) -> AnyMessage:
        """Return the next response, or gRPC's EOF. Never to be put into a timeout: that would end the stream.

        Raises:
            grpc.aio.AioRpcError: the stream failed.
        """
        return await self._call.read()

    @property
    def failed(self) -> bool:
        """Of a stream that has ended: say whether its member is at fault, and not we who moved elsewhere."""
        return not self._dropped.done() or self._dropped.result()

    def drop(self, *, failed: bool = False) -> None:
        """End it, for all who wait on it, perhaps as its member has `failed`; idempotent."""
        if not self._dropped.done():
            self._dropped.set_result(failed)
        self._call.cancel()
        self._end()

    async def race(self, task: asyncio.Task[None]) -> None:
        """Wait for the end of the task, or of the stream, whichever comes first.

        Raises:
            EtcdUnavailableError: the stream was dropped.
            Exception: what the task raised.
        """
        either: tuple[asyncio.Future[Any], ...] = (task, self._dropped)
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if not task.done() or task.cancelled():  # gRPC cancels who waits on a call that is cancelled
            raise EtcdUnavailableError(f"{self._name}: the watch was dropped")
        task.result()

    def _end(self) -> None:
        if not self._over:
            self._over = True
            self._ended(self)


class MemberChannel:
    """A channel that reconnects by itself; it must be opened after any fork, in its event loop."""

    def __init__(self, address: MemberAddress, settings: EtcdClientSettings) -> None:
        self.name = address.text
        self._channel = _open(address, settings)
        self._unary: dict[str, _Unary] = {}
        self._streams: set[Stream] = set()
        self._closing: set[asyncio.Task[None]] = set()  # channels of before
        self._closed = False
        self._answered = -math.inf  # loop time of the last answer
        self._losses = 0
        self._verified = -1  # losses before the last verification

    async def ready(self, timeout: float) -> None:
        """Wait until it is connected.

        Raises:
            EtcdUnavailableError: it is not, or not within `timeout`; nothing was sent.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout
        # Polled, as gRPC's own wait for a state outlives its cancellation, its channel and its loop.
        while (state := self._state()) is not _READY:
            self.doubt()
            if state not in _UNDECIDED:
                raise no_connection(self.name, await self._last_error())
            if loop.time() > deadline:
                raise EtcdUnavailableError(f"{self.name}: no connection within {timeout:g} s")
            await asyncio.sleep(_POLL)

    @property
    def losses(self) -> int:
        """How often the connection was, or may have been, lost."""
        return self._losses

    @property
    def verified(self) -> bool:
        """Say whether this is certainly the connection that was verified.

        A stream would have ended with it; without one, only a recent answer proves it.
        """
        fresh = self._streams or asyncio.get_running_loop().time() - self._answered < _FRESH
        return self._verified == self._losses and bool(fresh)

    def verify(self, losses: int) -> None:
        """Note that the connection leads to the right cluster; `losses` were there before the look."""
        self._verified = losses

    def doubt(self) -> None:
        """Note that the connection may have been lost."""
        self._losses += 1

    async def send(
        self, method: Rpc, request: AnyMessage, timeout: float, metadata: GrpcMetadata
    ) -> AnyMessage:
        """Make one unary call.

        Raises:
            grpc.aio.AioRpcError: as gRPC tells it.
        """
        call = self._unary.get(method.path)
        if call is None:
            call = self._channel.unary_unary(
                method.path, request_serializer=encode, response_deserializer=method.decode
            )
            self._unary[method.path] = call
        answer = await call(request, timeout=timeout, metadata=metadata)
        self._answered = asyncio.get_running_loop().time()
        return answer

    def open_watch(self, metadata: GrpcMetadata) -> Stream:
        """Begin a watch stream, which `drop_streams` ends."""
        method = self._channel.stream_stream(
            WATCH.path, request_serializer=encode, response_deserializer=WATCH.decode
        )
        stream = Stream(method(metadata=metadata), self.name, self._ended)
        self._streams.add(stream)
        return stream

    def drop_streams(self) -> None:
        """End its streams: they are to go to another member."""
        for stream in tuple(self._streams):
            stream.drop()

    def reopen(self, address: MemberAddress, settings: EtcdClientSettings) -> None:
        """Connect anew, as with another certificate; what is in flight may come to its end as it is."""
        old, self._channel = self._channel, _open(address, settings)
        self._unary.clear()
        self.doubt()
        self.drop_streams()
        closing = asyncio.create_task(old.close(settings.try_timeout), name="etcd close")
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)

    async def close(self) -> None:
        """End everything; idempotent."""
        self._closed = True
        self.drop_streams()
        await asyncio.gather(self._channel.close(), *self._closing)

    def _state(self) -> grpc.ChannelConnectivity:
        if self._closed:  # of a closed channel gRPC raises an error that is not about connections
            raise EtcdUnavailableError(f"{self.name}: the client is closed")
        return self._channel.get_state(try_to_connect=True)

    async def _last_error(self) -> str:
        """Return why the last try to connect failed: only a call is told it, which then fails at once."""
        ask = self._channel.unary_unary(
            MEMBER_LIST.path, request_serializer=encode, response_deserializer=MEMBER_LIST.decode
        )
        try:
            await ask(MEMBER_LIST.request(), timeout=_TELLING)
        except grpc.aio.AioRpcError as error:
            return error.details() or ""
        except asyncio.CancelledError:
            if is_cancelled():
                raise
            return "the client is closed"
        return "it was lost"  # and is there again: the answer is nobody's

    def _ended(self, stream: Stream) -> None:
        self._streams.discard(stream)
        self.doubt()


def _open(address: MemberAddress, settings: EtcdClientSettings) -> grpc.aio.Channel:
    """Open the channel. The options: https://grpc.github.io/grpc/core/group__grpc__arg__keys.html"""
    options: list[tuple[str, int]] = [
        ("grpc.max_receive_message_length", -1),
        ("grpc.enable_http_proxy", 0),  # etcd is never behind the proxy of the environment
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", 1000),  # its default is two minutes
        ("grpc.min_reconnect_backoff_ms", int(settings.connect_timeout * 1000)),  # the time to connect
        ("grpc.keepalive_time_ms", 5000),  # etcd closes connections that ping more often
        ("grpc.keepalive_timeout_ms", 3000),
        ("grpc.http2.ping_timeout_ms", 3000),  # alone the line above leaves a frozen member after 60 s
        ("grpc.use_local_subchannel_pool", 1),  # two clients in one process share no connection
    ]
    if address.tls:
        return grpc.aio.secure_channel(address.target, _credentials(settings.tls or Tls()), options)
    return grpc.aio.insecure_channel(address.target, options)


def _credentials(tls: Tls) -> grpc.ChannelCredentials:
    return grpc.ssl_channel_credentials(
        root_certificates=tls.authority, private_key=tls.key, certificate_chain=tls.certificate
    )


def is_cancelled() -> bool:
    """Say whether somebody cancels the running task; gRPC raises the same error for a cancelled call."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


class Token:
    """Authenticates for the first caller, and again when a caller reports the token as stale."""

    def __init__(self, credentials: EtcdUser | None) -> None:
        self._credentials = credentials
        self._text: str | None = None if credentials else ""
        self._lock = asyncio.Lock()

    def reconfigure(self, credentials: EtcdUser | None) -> None:
        """Authenticate with these from the next time on.

        The token is used until etcd refuses it, which it does after a change of the password: so
        it does not matter whether etcd or we get to know a new one first.
        """
        if credentials is None or self._credentials is None:
            self._text = None if credentials else ""
        self._credentials = credentials

    @property
    def text(self) -> str | None:
        """The token; empty where none is needed, None before the first authentication."""
        return self._text

    @property
    def renewable(self) -> bool:
        """Say whether there are a user and a password to get another one."""
        return self._credentials is not None

    async def renew(self, stale: str | None, ask: Callable[[AnyMessage], Awaitable[AnyMessage]]) -> None:
        """Authenticate, unless somebody has already replaced the stale token; `ask` makes the call.

        Raises:
            EtcdError: what `ask` raises; AuthenticationError for a wrong user or password.
        """
        async with self._lock:
            if self._text != stale or self._credentials is None:
                return
            user, password = self._credentials.user, self._credentials.password
            try:
                answer = await ask(AUTHENTICATE.request(name=user, password=password))
            except RequestRefusedError as error:
                if "authentication is not enabled" not in str(error):
                    raise
                self._text = ""
            else:
                self._text = answer.token


class Timeline:
    """One cluster's history: its id, and the highest revision that is known to be committed.

    A restored snapshot has a new cluster id; a data folder copied back has not, but its linearizable
    answers lie below what was known. A low revision of a watch or of a serializable read proves nothing:
    the member may lag behind.
    """

    def __init__(self) -> None:
        self.cluster_id: int | None = None  # until the first answer
        self.revision = 0

    def check_cluster(self, header: AnyMessage, endpoint: str) -> None:
        """Compare an answer's cluster id.

        Raises:
            EtcdRestoredError: it is another one.
        """
        if self.cluster_id is None:
            self.cluster_id = header.cluster_id
        elif header.cluster_id != self.cluster_id:
            raise EtcdRestoredError(
                f"{endpoint} belongs to cluster {header.cluster_id:x}, not to {self.cluster_id:x}"
            )

    def check_revision(self, revision: int, known: int) -> None:
        """Compare a linearizable answer with the revision that was known when the call began.

        Raises:
            EtcdRestoredError: it lies below.
        """
        if revision < known:
            raise EtcdRestoredError(f"revision {revision} answered after {known} had been seen")
        self.note(revision)

    def note(self, revision: int) -> None:
        """Remember a revision that is certainly committed."""
        self.revision = max(self.revision, revision)
