"""Stores and nameservers that hand each call on to a real one: a test overrides what is to go otherwise."""

from collections.abc import AsyncIterator, Callable, Sequence

from ddnsd.nameserver.interface import Hidden, LoadedNameserver, Rcode, RecordType, RRset, Update
from ddnsd.store.interface import (
    ConditionalWrite,
    FailureKind,
    KeyPage,
    Leadership,
    Limits,
    OnProgress,
    Outcome,
    Registration,
    SnapshotAt,
    Store,
    StoreHealth,
    StoreProblem,
    Watch,
    ignore_progress,
)
from ddnsd.store.keys import ELECTION


class ForwardingStore(Store):
    """A store that does what the real one does."""

    def __init__(self, real: Store) -> None:
        self.real = real

    @property
    def limits(self) -> Limits:
        return self.real.limits

    @property
    def identity(self) -> str:
        return self.real.identity

    async def snapshot(self, prefix: str = "", progress: OnProgress = ignore_progress) -> SnapshotAt:
        return await self.real.snapshot(prefix, progress)

    async def page(self, prefix: str, limit: int, *, before: str = "", first: bool = False) -> KeyPage:
        return await self.real.page(prefix, limit, before=before, first=first)

    def watch(self, prefix: str, start: int) -> Watch:
        return self.real.watch(prefix, start)

    async def commit(self, updates: Sequence[ConditionalWrite]) -> Sequence[Outcome]:
        return await self.real.commit(updates)

    async def settle(self) -> int:
        return await self.real.settle()

    async def revision(self) -> int:
        return await self.real.revision()

    async def campaign(self, value: bytes, election: str = ELECTION) -> Leadership:
        return await self.real.campaign(value, election)

    async def register(self, name: str, value: bytes) -> Registration:
        return await self.real.register(name, value)

    async def compact(self, revision: int) -> bool:
        return await self.real.compact(revision)

    @property
    def write_failure(self) -> StoreProblem | None:
        return self.real.write_failure

    async def health(self) -> StoreHealth:
        return await self.real.health()

    def on_failure(self, count: Callable[[FailureKind], None]) -> None:
        self.real.on_failure(count)

    def renew(self, reason: str) -> None:
        self.real.renew(reason)

    async def close(self) -> None:
        await self.real.close()


class ForwardingNameserver(LoadedNameserver):
    """A nameserver that does what the real one does, but for its end, which is somebody else's to bring."""

    def __init__(self, real: LoadedNameserver) -> None:
        self.real = real

    @property
    def max_transfers(self) -> int:
        return self.real.max_transfers

    async def update(self, update: Update) -> Rcode:
        return await self.real.update(update)

    async def query(self, zone: str, name: str, type: RecordType) -> RRset | Hidden | None:
        return await self.real.query(zone, name, type)

    async def transfer(self, zone: str) -> AsyncIterator[Sequence[RRset]]:
        async for part in self.real.transfer(zone):
            yield part

    async def open(self, zone: str, contents: Sequence[RRset]) -> None:
        await self.real.open(zone, contents)

    async def leave(self, zone: str) -> None:
        await self.real.leave(zone)

    async def close(self) -> None:
        """The real one belongs to somebody else."""
