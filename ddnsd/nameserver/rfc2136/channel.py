"""A way to a nameserver that stays open: requests side by side on one connection (RFC 7766 §6.2.1.1)."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from ddnsd.aio import Gate
from ddnsd.nameserver.interface import NoAnswerError
from ddnsd.nameserver.rfc2136.connection import Connection, connect
from ddnsd.nameserver.rfc2136.settings import Rfc2136Settings


class _Pipeline:
    """One connection, and who waits on it for which answer."""

    def __init__(self, name: str, connection: Connection) -> None:
        self.connection = connection
        self._name = name
        self._waiting: dict[bytes, asyncio.Future[bytes | NoAnswerError]] = {}
        self._reading = asyncio.create_task(self._read(), name="nameserver answers")

    @property
    def is_idle(self) -> bool:
        return not self._waiting

    async def ask(self, request: bytes) -> bytes:
        answer: asyncio.Future[bytes | NoAnswerError] = asyncio.get_running_loop().create_future()
        id = request[:2]
        self._waiting[id] = answer
        try:
            await self.connection.send(request)
            outcome = await answer
        finally:
            self._waiting.pop(id, None)
        if isinstance(outcome, NoAnswerError):
            raise outcome
        return outcome

    async def _read(self) -> None:
        try:
            while True:
                self._deliver(await self.connection.receive())
        except NoAnswerError as error:
            self.fail(str(error))

    def _deliver(self, message: bytes) -> None:
        answer = self._waiting.pop(message[:2], None)
        if answer is None:
            raise NoAnswerError(f"{self._name}: an answer to nothing that was asked")
        if not answer.done():  # else its time ended in this very turn of the loop: nobody waits for it
            answer.set_result(message)

    def fail(self, reason: str) -> None:
        """Close the connection; nobody gets an answer any more."""
        self.connection.abort()
        waiting, self._waiting = self._waiting, {}
        for answer in waiting.values():
            if not answer.done():
                answer.set_result(NoAnswerError(reason))

    async def close(self) -> None:
        self.fail(f"{self._name}: closed by us")
        await asyncio.wait([self._reading])
        await self.connection.closed()


class Channel:
    """Opens a connection when there is something to ask, keeps it, and closes it when unused."""

    def __init__(self, settings: Rfc2136Settings) -> None:
        self._settings = settings
        self._pipeline: _Pipeline | None = None
        self._opening: asyncio.Task[_Pipeline] | None = None
        self._closing: asyncio.TimerHandle | None = None

    async def ask(self, request: bytes) -> bytes:
        """Send a request and return the message with its id that comes back.

        Raises:
            UnreachableError: no connection; nothing was sent.
            NoAnswerError: sent, but nothing, or something else, came back within the settings'
                `timeout`. The connection is closed, also for all others who wait on it.
        """
        pipeline = await self._open()
        try:
            async with asyncio.timeout(self._settings.timeout):
                answer = await pipeline.ask(request)
        except TimeoutError as error:
            reason = f"{self._settings.name}: no answer within {self._settings.timeout} s"
            pipeline.fail(reason)
            raise NoAnswerError(reason) from error
        except BaseException:  # a caller that is cancelled leaves an answer behind that nobody expects
            pipeline.fail(f"{self._settings.name}: the connection was given up")
            raise
        self._close_when_idle(pipeline)
        return answer

    async def _open(self) -> _Pipeline:
        """Return a pipeline that nobody is known to have closed."""
        if self._closing is not None:
            self._closing.cancel()
        if self._pipeline is not None and self._pipeline.connection.is_usable:
            return self._pipeline
        if self._opening is None:
            self._opening = asyncio.create_task(self._connect(), name="nameserver connect")
            self._opening.add_done_callback(self._opened)
        # All who come meanwhile share the attempt, and how it ends: else each would wait its own time.
        return await asyncio.shield(self._opening)

    async def _connect(self) -> _Pipeline:
        return _Pipeline(self._settings.name, await connect(self._settings))

    def _opened(self, opening: asyncio.Task[_Pipeline]) -> None:
        self._opening = None
        if not opening.cancelled() and opening.exception() is None:
            self._pipeline = opening.result()

    def _close_when_idle(self, pipeline: _Pipeline) -> None:
        if pipeline is not self._pipeline:  # another has taken its place: nobody asks here any more
            _close_if_idle(pipeline)
        elif pipeline.is_idle:
            if self._closing is not None:  # all whose answers came in one read find it idle
                self._closing.cancel()
            loop = asyncio.get_running_loop()
            self._closing = loop.call_later(self._settings.idle_timeout, _close_if_idle, pipeline)

    def reconfigure(self, settings: Rfc2136Settings) -> None:
        """Use other times from the next request on."""
        self._settings = settings

    def abort(self) -> None:
        """Trust the connection no more: close it; idempotent."""
        if self._pipeline is not None:
            self._pipeline.fail(f"{self._settings.name}: the connection was given up")

    async def close(self) -> None:
        """Release everything; idempotent."""
        if self._closing is not None:
            self._closing.cancel()
        if self._opening is not None:
            await asyncio.wait([self._opening])  # at most `connect_timeout`
        pipeline, self._pipeline = self._pipeline, None
        if pipeline is not None:
            await pipeline.close()


class Pool:
    """Channels, each for one request at a time: what is slow, or breaks, delays and breaks nothing else."""

    def __init__(self, settings: Callable[[], Rfc2136Settings], most: Callable[[], int]) -> None:
        """`settings` are those of now; `most` says how many channels there may be in use at once."""
        self._settings = settings
        self._gate = Gate(most)
        self._free: list[Channel] = []  # the one used last at the end: it is the likeliest to be open

    @asynccontextmanager
    async def channel(self) -> AsyncIterator[Channel]:
        """Have a channel to oneself; wait for one where all are in use."""
        async with self._gate.place(lambda: False):
            channel = self._free.pop() if self._free else Channel(self._settings())
            channel.reconfigure(self._settings())
            try:
                yield channel
            finally:
                self._free.append(channel)

    async def close(self) -> None:
        """Release everything that is not in use; idempotent."""
        free, self._free = self._free, []
        for channel in free:
            await channel.close()


def _close_if_idle(pipeline: _Pipeline) -> None:
    if pipeline.is_idle:
        pipeline.fail("unused")
