"""Whether the member behind a stream lives: gRPC's own keepalive takes longer to notice a frozen one."""

import asyncio
import contextlib
import math

import grpc

from ddnsd.etcd.endpoint import Stream
from ddnsd.etcd.errors import UnavailableError
from ddnsd.etcd.messages import CLASSES, WATCH

_LOOK = 0.25  # seconds between two looks
_PROGRESS = WATCH.request(progress_request=CLASSES["WatchProgressRequest"]())


class Pulse:
    """Asks a silent watch stream for its progress, and drops the stream when it stays silent.

    Never a timeout around the stream's read: to cancel a read is to cancel the stream.
    """

    def __init__(self, stream: Stream, idle: float, dead: float) -> None:
        self._stream = stream
        self._idle = idle
        self._dead = dead
        self._loop = asyncio.get_running_loop()
        self._heard = self._loop.time()
        self._task = asyncio.create_task(self._run(), name="etcd pulse")

    def heard(self) -> None:
        """Something came from the member."""
        self._heard = self._loop.time()

    def pause(self) -> None:
        """Nobody listens, so that nothing follows from silence, until `heard`."""
        self._heard = math.inf

    def close(self) -> None:
        """Look no longer."""
        self._task.cancel()

    async def _run(self) -> None:
        asked = 0.0  # what `_heard` was at the last question
        try:
            while (silence := self._loop.time() - self._heard) < self._dead:
                if silence >= self._idle and asked != self._heard:
                    asked = self._heard
                    await self._ask(self._dead - silence)
                await asyncio.sleep(_LOOK)
            self._stream.drop(failed=True)
        finally:  # whatever ends this: a stream without its pulse could be silent for any time
            self._stream.drop()

    async def _ask(self, timeout: float) -> None:
        with contextlib.suppress(grpc.aio.AioRpcError, UnavailableError):
            await self._stream.write(_PROGRESS, timeout)
