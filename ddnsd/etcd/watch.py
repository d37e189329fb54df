"""Whether the member behind a stream lives: gRPC's own keepalive takes longer to notice a frozen one.

A watch that survives its members (etcd: api/etcdserverpb/rpc.proto, service Watch).

It goes on after the last revision that was delivered whole, never after a header's: while it catches up,
the header carries the store's newest revision. With `fragment` a response may end inside a revision.
Answers to progress requests prove that the member lives and nothing else (etcd issue 15220).
"""

import asyncio
import contextlib
import math
from collections import deque
from collections.abc import Iterator
from itertools import groupby
from types import TracebackType
from typing import Self

import grpc

from ddnsd.etcd.channel import MemberChannel, Stream
from ddnsd.etcd.connections import ClusterChannel
from ddnsd.etcd.errors import (
    AuthenticationError,
    EtcdCompactedError,
    EtcdUnavailableError,
    PermissionDeniedError,
    UnknownOutcomeError,
    refusal,
    translate,
)
from ddnsd.etcd.messages import CLASSES, WATCH, AnyMessage, decode_event
from ddnsd.etcd.values import WatchRevision, prefix_range

_LOOK = 0.25  # seconds between two looks
_PROGRESS = WATCH.request(progress_request=CLASSES["WatchProgressRequest"]())


class Keepalive:
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
        with contextlib.suppress(grpc.aio.AioRpcError, EtcdUnavailableError):
            await self._stream.write(_PROGRESS, timeout)


_MAX_WAITING = 64  # batches that the reader has not taken; beyond them etcd has to wait
_BATCH = 1000  # events that are converted at a time
_PAUSE = 0.1  # seconds after a failure
_CREATE = CLASSES["WatchCreateRequest"]


class WatchStream:
    """All changes under a prefix from a revision on: whole revisions, in order, each once.

    For one reader: `async with client.watch(prefix, start) as watch: revisions = await watch.read()`
    """

    def __init__(self, connections: ClusterChannel, prefix: bytes, start: int) -> None:
        if start < 1:
            raise ValueError("a watch starts at a revision: 1 or higher")
        self._connections = connections
        self._key, self._range_end = prefix_range(prefix)
        self._next = start
        self._waiting: deque[tuple[WatchRevision, ...]] = deque()
        self._filled = asyncio.Event()
        self._room = asyncio.Event()
        self._end: BaseException | None = None
        self._denied = False  # refused with a token that may be stale, and not heard of since
        self._task = asyncio.create_task(self._run(), name="etcd watch")
        self._task.add_done_callback(self._finish)

    async def read(self) -> tuple[WatchRevision, ...]:
        """Return the next revisions, one or more; may be cancelled without losing any.

        Raises:
            EtcdCompactedError: the next revision is no longer kept.
            EtcdRestoredError: etcd was restored from a snapshot.
            RequestRefusedError: etcd does not allow it.
            EtcdUnavailableError: the watch was closed.
        """
        while not self._waiting:
            if self._end is not None:
                raise self._end
            self._filled.clear()
            await self._filled.wait()
        self._room.set()
        return self._waiting.popleft()

    async def close(self) -> None:
        """End it; idempotent."""
        self._task.cancel()
        await asyncio.wait([self._task])

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def _finish(self, task: asyncio.Task[None]) -> None:
        self._end = EtcdUnavailableError("the watch is closed") if task.cancelled() else task.exception()
        self._filled.set()

    async def _run(self) -> None:
        while True:
            await self._follow_and_recover()

    async def _follow_and_recover(self) -> None:
        try:
            await self._follow()
        except (EtcdUnavailableError, UnknownOutcomeError):
            await asyncio.sleep(_PAUSE)
        except (AuthenticationError, PermissionDeniedError):
            # etcd 3.4 says "permission denied" to a watch whose token its member has forgotten.
            if self._denied:
                raise
            self._denied = True
            if not await self._connections.renew_token():
                raise

    async def _follow(self) -> None:
        """Read one stream until it fails.

        Raises:
            EtcdError: why it did.
        """
        endpoint, stream = await self._connections.open_watch()
        settings = self._connections.settings
        pulse = Keepalive(stream, settings.idle_timeout, settings.dead_timeout)
        reading = asyncio.create_task(self._read_stream(endpoint, stream, pulse), name="etcd watch stream")
        try:
            await stream.race(reading)
        except grpc.aio.AioRpcError as error:
            self._connections.leave(endpoint)
            raise translate(error) from None
        except EtcdUnavailableError:
            if stream.failed:
                self._connections.leave(endpoint)
            raise
        finally:
            pulse.close()
            stream.drop()
            reading.cancel()
            await asyncio.wait([reading])

    async def _read_stream(self, endpoint: MemberChannel, stream: Stream, pulse: Keepalive) -> None:
        create = _CREATE(
            key=self._key,
            range_end=self._range_end,
            start_revision=self._next,
            fragment=self._connections.settings.fragment,
        )
        await stream.write(WATCH.request(create_request=create), self._connections.settings.try_timeout)
        fragments: list[AnyMessage] = []
        while True:
            response: AnyMessage = await stream.read()
            if response is grpc.aio.EOF:
                raise EtcdUnavailableError(f"{endpoint.name}: ended the watch")
            self._connections.timeline.check_cluster(response.header, endpoint.name)
            _raise_if_canceled(response)
            self._denied = False
            fragments.extend(response.events)
            if fragments and not response.fragment:
                for revisions in _batches(fragments):
                    await self._deliver(revisions, pulse)
                fragments = []
            pulse.heard()

    async def _deliver(self, revisions: tuple[WatchRevision, ...], pulse: Keepalive) -> None:
        self._waiting.append(revisions)
        self._filled.set()
        self._next = revisions[-1].revision + 1
        self._connections.timeline.note(revisions[-1].revision)
        if len(revisions) > 1:  # one of a thousand revisions perhaps: let others have their turn
            await asyncio.sleep(0)
        while len(self._waiting) >= _MAX_WAITING:
            pulse.pause()
            self._room.clear()
            await self._room.wait()


def _raise_if_canceled(response: AnyMessage) -> None:
    if response.compact_revision:
        message = f"revisions before {response.compact_revision} are no longer kept"
        raise EtcdCompactedError(message, response.compact_revision)
    if response.canceled:
        raise refusal(response.cancel_reason)


def _batches(events: list[AnyMessage]) -> Iterator[tuple[WatchRevision, ...]]:
    """Convert events into whole revisions, about `_BATCH` events at a time."""
    batch: list[WatchRevision] = []
    size = 0
    for revision, group in groupby(events, key=lambda event: event.kv.mod_revision):
        batch.append(WatchRevision(revision, tuple(map(decode_event, group))))
        size += len(batch[-1].events)
        if size >= _BATCH:
            yield tuple(batch)
            batch, size = [], 0
    if batch:
        yield tuple(batch)
