"""Real stores whose connection has the faults that no server can be made to have."""

import asyncio

from ddnsd.aio import wait_for
from ddnsd.store.interface import (
    OnProgress,
    Revision,
    SnapshotAt,
    Store,
    UnavailableError,
    Watch,
    ignore_progress,
)
from tests.rigs.forwarding import ForwardingStore


class DeafWatch:
    """A watch that is open, and to which nothing comes: as one whose stream was lost and nobody noticed."""

    def __aiter__(self) -> "DeafWatch":
        return self

    async def __anext__(self) -> Revision:
        await asyncio.Event().wait()
        raise AssertionError

    async def aclose(self) -> None:
        """Nothing is held."""


class DeafStore(ForwardingStore):
    """A store that answers. The watches `deaf`, by their number, hear nothing; the others are real."""

    def __init__(self, real: Store, deaf: range) -> None:
        super().__init__(real)
        self._deaf = deaf
        self.starts: list[int] = []  # revisions from which watches were opened
        self.snapshots = 0
        self.renewals: list[str] = []

    async def snapshot(self, prefix: str = "", progress: OnProgress = ignore_progress) -> SnapshotAt:
        self.snapshots += 1
        return await super().snapshot(prefix, progress)

    def watch(self, prefix: str, start: int) -> Watch:
        self.starts.append(start)
        return DeafWatch() if len(self.starts) - 1 in self._deaf else super().watch(prefix, start)

    def renew(self, reason: str) -> None:
        self.renewals.append(reason)


class DistantStore(ForwardingStore):
    """A store behind a network that can be cut: calls take their whole time then, and fail."""

    def __init__(self, real: Store, timeout: float) -> None:
        super().__init__(real)
        self._timeout = timeout
        self.reachable = asyncio.Event()
        self.delivers = asyncio.Event()  # what the watch has still to bring
        self.reachable.set()
        self.delivers.set()

    async def revision(self) -> int:
        if not self.reachable.is_set():
            await wait_for(asyncio.Event(), self._timeout)  # for the answer
            raise UnavailableError("no answer")
        return await super().revision()

    def watch(self, prefix: str, start: int) -> "DistantWatch":
        return DistantWatch(super().watch(prefix, start), self)


class DistantWatch:
    def __init__(self, real: Watch, store: DistantStore) -> None:
        self._real = real
        self._store = store

    def __aiter__(self) -> "DistantWatch":
        return self

    async def __anext__(self) -> Revision:
        revision = await self._real.__anext__()
        await self._store.delivers.wait()
        return revision

    async def aclose(self) -> None:
        await self._real.aclose()
