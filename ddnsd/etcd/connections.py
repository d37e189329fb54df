"""The cluster as one thing to call: chooses the member, tries again elsewhere, keeps the token."""

import asyncio

import grpc

from ddnsd.etcd.channel import GrpcMetadata, MemberChannel, Stream, Timeline, Token, is_cancelled
from ddnsd.etcd.errors import (
    AuthenticationError,
    EtcdUnavailableError,
    MemberRefusedError,
    RequestRefusedError,
    UnknownOutcomeError,
    is_stale_token,
    translate,
    unavailable,
)
from ddnsd.etcd.messages import AUTHENTICATE, MEMBER_LIST, AnyMessage, Rpc
from ddnsd.etcd.settings import EtcdClientSettings

# grpc.aio delivers about one message of a stream per turn of the loop: with 256 puts in flight a watch
# of the same loop starved for 2 to 3 s.
MAX_IN_FLIGHT = 32
_PAUSE = 0.05  # seconds before all members are tried anew
_CLOCK = 0.05  # seconds that the clocks of gRPC and of the loop may differ by on a busy machine
# gRPC's thread hands over what was cancelled a moment later, and complains when the loop is closed by then.
_SETTLE = 0.02  # seconds
_NEEDS_LEADER = ("hasleader", "true")  # a member without a leader refuses at once, and ends its watches


class _OutOfTimeError(EtcdUnavailableError):
    """The caller's time is over; why, says what failed before."""


class ClusterChannel:
    """All endpoints of a cluster. Calls go to one of them until it fails, then to the next."""

    def __init__(self, settings: EtcdClientSettings) -> None:
        self.settings = settings
        self.timeline = Timeline()
        self.endpoints = tuple(MemberChannel(address, settings) for address in settings.addresses())
        self._index = 0
        self._slots = asyncio.Semaphore(MAX_IN_FLIGHT)
        self._token = Token(settings.credentials)
        self._closed = False

    def reconfigure(self, settings: EtcdClientSettings) -> None:
        """Go on with other credentials, certificates and times; the endpoints are those of before."""
        before, self.settings = self.settings, settings
        if settings.credentials != before.credentials:
            self._token.reconfigure(settings.credentials)
        if settings.tls != before.tls:
            for endpoint, address in zip(self.endpoints, settings.addresses(), strict=True):
                endpoint.reopen(address, settings)

    async def call(self, method: Rpc, request: AnyMessage, timeout: float) -> AnyMessage:
        """Call in turn with others, at most `MAX_IN_FLIGHT` at a time; see `call_now`."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout
        try:
            async with asyncio.timeout_at(deadline):
                await self._slots.acquire()
        except TimeoutError:
            raise EtcdUnavailableError("too many calls in flight") from None
        try:
            return await self.call_now(method, request, deadline - loop.time())
        finally:
            self._slots.release()

    async def call_now(
        self, method: Rpc, request: AnyMessage, timeout: float, *, patience: float | None = None
    ) -> AnyMessage:
        """Call until a member answers; a repeatable call is sent again when its answer is lost.

        A member that has failed is left. One that had less than `patience` seconds (None: those of a
        whole try) when the caller's time was over has not: to leave it would drop the watches of all.

        Raises:
            EtcdUnavailableError: not applied, no member answered in time.
            UnknownOutcomeError: the answer to a call that is not repeatable was lost.
            RequestRefusedError: etcd refused it.
            EtcdRestoredError: the answer is another cluster's.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout
        patience = patience or min(self.settings.try_timeout, self.settings.timeout)
        tried, cause = 0, None
        while True:
            endpoint, began = self.current, loop.time()
            try:
                return await self._attempt(endpoint, method, request, deadline)
            except RequestRefusedError:
                raise
            except (EtcdUnavailableError, UnknownOutcomeError) as error:
                if deadline - began > patience - _CLOCK or loop.time() < deadline - _CLOCK:
                    self.leave(endpoint)
                if isinstance(error, UnknownOutcomeError) and not method.repeatable:
                    raise
                tried += 1
                if cause is None or not isinstance(error, _OutOfTimeError | MemberRefusedError):
                    cause = error
                pause = 0 if tried % len(self.endpoints) else _PAUSE
                if self._closed or loop.time() + pause >= deadline:
                    raise unavailable(cause) from None
                await asyncio.sleep(pause)

    async def call_at(self, endpoint: MemberChannel, method: Rpc, request: AnyMessage) -> AnyMessage:
        """Ask this one member, also if it has no leader.

        Raises:
            EtcdUnavailableError, RequestRefusedError: it does not answer, or refuses.
            EtcdRestoredError: the answer is another cluster's.
        """
        deadline = asyncio.get_running_loop().time() + self.settings.try_timeout
        try:
            await endpoint.ready(self._left(deadline))
            return await self._send_authenticated(endpoint, method, request, deadline, leaderless=True)
        except UnknownOutcomeError as error:
            raise unavailable(error) from None

    async def open_watch(self) -> tuple[MemberChannel, Stream]:
        """Begin a watch stream on the member of now.

        Raises:
            EtcdUnavailableError: not there; the next time it is another member.
            EtcdError: as `call_now`.
        """
        endpoint = self.current
        deadline = asyncio.get_running_loop().time() + self.settings.try_timeout
        try:
            await self._prepare(endpoint, deadline)
        except EtcdUnavailableError:
            self.leave(endpoint)
            raise
        self._check_open()
        return endpoint, endpoint.open_watch(self._metadata())

    async def renew_token(self) -> bool:
        """Authenticate anew; False where there are no credentials.

        Raises:
            EtcdError: as `call_now`.
        """
        if not self._token.renewable:
            return False
        deadline = asyncio.get_running_loop().time() + self.settings.try_timeout
        await self._renew(self.current, self._token.text, deadline)
        return True

    @property
    def current(self) -> MemberChannel:
        """The endpoint that calls go to."""
        return self.endpoints[self._index % len(self.endpoints)]

    @property
    def closed(self) -> bool:
        """Say whether nothing can be called any more."""
        return self._closed

    def leave(self, endpoint: MemberChannel) -> None:
        """Go on with the next endpoint, if calls still go to this one; its watches move too."""
        if len(self.endpoints) > 1 and endpoint is self.current:
            self._index += 1
            endpoint.drop_streams()

    async def close(self) -> None:
        """End all; calls in flight fail as if their answers were lost; idempotent."""
        self._closed = True
        await asyncio.gather(*(endpoint.close() for endpoint in self.endpoints))
        await asyncio.sleep(_SETTLE)

    async def _attempt(
        self, endpoint: MemberChannel, method: Rpc, request: AnyMessage, deadline: float
    ) -> AnyMessage:
        await self._prepare(endpoint, deadline)
        return await self._send_authenticated(endpoint, method, request, deadline)

    async def _prepare(self, endpoint: MemberChannel, deadline: float) -> None:
        """Connect; on a new connection look which cluster it leads to, before anything is written there.

        Raises:
            EtcdUnavailableError: no answer, or only after the caller's time.
            RequestRefusedError, EtcdRestoredError: as `call_now`.
        """
        await endpoint.ready(self._left(deadline))
        if self._token.text is None:
            await self._renew(endpoint, None, deadline)
        losses = endpoint.losses
        if not endpoint.verified:
            try:
                await self._send_authenticated(endpoint, MEMBER_LIST, MEMBER_LIST.request(), deadline)
            except UnknownOutcomeError as error:  # of the look; the call itself was not sent
                self._left(deadline)  # raises if it was the caller's time that ended: no fault of the member
                raise unavailable(error) from None
            endpoint.verify(losses)

    async def _send_authenticated(
        self,
        endpoint: MemberChannel,
        method: Rpc,
        request: AnyMessage,
        deadline: float,
        *,
        leaderless: bool = False,
    ) -> AnyMessage:
        """Send it; once more with a new token if etcd no longer knows the token of now."""
        token = self._token.text
        try:
            metadata = self._metadata(leaderless=leaderless)
            return await self._send(endpoint, method, request, self._left(deadline), metadata)
        except AuthenticationError as error:
            if not (is_stale_token(error) and self._token.renewable):
                raise
        await self._renew(endpoint, token, deadline)
        metadata = self._metadata(leaderless=leaderless)
        return await self._send(endpoint, method, request, self._left(deadline), metadata)

    async def _renew(self, endpoint: MemberChannel, stale: str | None, deadline: float) -> None:
        async def ask(request: AnyMessage) -> AnyMessage:
            return await self._send(endpoint, AUTHENTICATE, request, self._left(deadline), (_NEEDS_LEADER,))

        try:
            await self._token.renew(stale, ask)
        except UnknownOutcomeError as error:  # of the authentication; the call itself was not sent
            raise unavailable(error) from None

    async def _send(
        self,
        endpoint: MemberChannel,
        method: Rpc,
        request: AnyMessage,
        timeout: float,
        metadata: GrpcMetadata,
    ) -> AnyMessage:
        try:
            answer = await endpoint.send(method, request, timeout, metadata)
        except grpc.aio.AioRpcError as error:
            translated = translate(error)
            if not isinstance(translated, RequestRefusedError):
                endpoint.doubt()
            raise translated from None
        except asyncio.CancelledError:
            if not self._closed or is_cancelled():
                raise
            raise UnknownOutcomeError("the client was closed") from None
        self.timeline.check_cluster(answer.header, endpoint.name)
        return answer

    def _metadata(self, *, leaderless: bool = False) -> GrpcMetadata:
        token = self._token.text
        needs = () if leaderless else (_NEEDS_LEADER,)
        return (*needs, ("token", token)) if token else needs

    def _check_open(self) -> None:
        if self._closed:
            raise EtcdUnavailableError("the client is closed")

    def _left(self, deadline: float) -> float:
        """Return the seconds for one step of a try."""
        self._check_open()
        left = min(self.settings.try_timeout, deadline - asyncio.get_running_loop().time())
        if left <= 0:
            raise _OutOfTimeError("no time left")
        return left
