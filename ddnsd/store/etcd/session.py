"""One client, and all that lives by it: the store's part that a restored etcd replaces."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import structlog

from ddnsd import etcd
from ddnsd.etcd.errors import CompactedError as EtcdCompactedError
from ddnsd.store.etcd.failures import Access, Failures
from ddnsd.store.etcd.keyspace import Keyspace
from ddnsd.store.interface import CompactedError, RestoredError, UnavailableError

_log = structlog.get_logger(__name__)

_RESTORED = "etcd was restored: another history has begun"


class LostAnswerError(UnavailableError):
    """Perhaps done, perhaps later."""


class Session:
    """A client on the timeline that it found, its watches and its candidates.

    It ends when the store is closed, when somebody notices that etcd was restored, or when another session
    of the same history replaces it.
    """

    def __init__(self, client: etcd.Client, space: Keyspace, timeline: bytes, failures: Failures) -> None:
        self._failures = failures
        self.client = client
        self.space = space
        self.timeline = timeline
        self.clock = 0  # the highest revision of the clock that is known to be committed
        self.restored = asyncio.Event()
        self.over = asyncio.Event()  # for whatever reason
        self._replaced = self._closed = False
        self._watches: set[etcd.Watch] = set()
        self._candidacies: set[etcd.Candidacy] = set()

    @property
    def identity(self) -> str:
        """The cluster's id and the timeline."""
        return f"{self.client.cluster_id:x}-{self.timeline.decode(errors='replace')}"

    @contextmanager
    def translated(self, access: Access = Access.READ) -> Iterator[None]:
        """Make etcd's errors the store's, and note them.

        Raises:
            RestoredError: etcd was restored; a write may stand in the new history.
            LostAnswerError: of a write, which may be done.
            CompactedError: of a watch.
            UnavailableError: all others, and after the end.
        """
        self.check()
        try:
            yield
            self._failures.succeeded(access)
        except etcd.RestoredError as error:
            # Not `check`: of a session that has ended, too, a write may stand in the new history.
            self.note_restored(str(error))
            raise RestoredError(_RESTORED) from error
        except etcd.UnknownOutcomeError as error:
            self._failures.failed(access, error)
            raise LostAnswerError(str(error)) from error
        except EtcdCompactedError as error:
            raise CompactedError(str(error)) from error
        except etcd.EtcdError as error:
            self.check()  # by then the end may be the better reason
            self._failures.failed(access, error)
            raise UnavailableError(str(error)) from error

    def check(self) -> None:
        """Go on only while the session lasts.

        Raises:
            RestoredError: etcd was restored.
            UnavailableError: the store is closed, or another session has replaced this one.
        """
        if self._closed:
            raise UnavailableError("the store is closed")
        if self._replaced:
            raise UnavailableError("the connection to etcd was made again")
        if self.restored.is_set():
            raise RestoredError(_RESTORED)

    def check_timeline(self, found: bytes | None) -> None:
        """Compare what stands in the timeline's key, None if there is none.

        Raises:
            RestoredError: it is not ours: somebody has noticed that etcd was restored.
        """
        if found != self.timeline:
            self.note_restored("another timeline has begun" if found else "its keys were deleted")
            self.check()

    def note_clock(self, revision: int) -> None:
        """Remember that the clock was written at a revision."""
        self.clock = max(self.clock, revision)

    def check_clock(self, revision: int, known: int) -> None:
        """Compare the clock's revision, read linearizably, with the one known when the call began.

        Raises:
            RestoredError: it lies below, though etcd's own may not: a restore can raise that.
        """
        if revision < known:
            self.note_restored(f"the clock went back from revision {known} to {revision}")
            self.check()
        self.note_clock(revision)

    def note_restored(self, reason: str) -> None:
        """Note that this session's history is over."""
        if not self.restored.is_set():
            _log.error("store.restored", reason=reason, identity=self.identity)
            self.restored.set()
            self.over.set()

    def note_replaced(self) -> None:
        """Note that another session has taken this one's place, in the same history."""
        self._replaced = True
        self.over.set()

    def watch(self, prefix: bytes, start: int) -> etcd.Watch:
        """Begin a watch of etcd's, to be released.

        Raises:
            UnavailableError: as `check`.
        """
        self.check()
        watch = self.client.watch(prefix, start)
        self._watches.add(watch)
        return watch

    async def release(self, watch: etcd.Watch) -> None:
        """End a watch; idempotent."""
        self._watches.discard(watch)
        await watch.close()

    async def enter(self, election: str, value: bytes, ttl: int) -> etcd.Candidacy:
        """Stand in the queue of an election, to leave it.

        Raises:
            EtcdError: not now.
            UnavailableError: as `check`.
        """
        candidacy = await etcd.enter(self.client, self.space.key(f"{election}/"), value, ttl)
        self._candidacies.add(candidacy)
        try:
            self.check()
        except UnavailableError:
            await self.leave(candidacy)
            raise
        return candidacy

    async def leave(self, candidacy: etcd.Candidacy) -> None:
        """Leave the queue, or the lead; idempotent."""
        self._candidacies.discard(candidacy)
        await candidacy.resign()

    async def close(self) -> None:
        """End it because the store is closed; idempotent."""
        self._closed = True
        self.over.set()
        await self.end()

    async def end(self) -> None:
        """Resign, end the watches, close the client; idempotent."""
        leaving = [self.leave(candidacy) for candidacy in self._candidacies]
        releasing = [self.release(watch) for watch in self._watches]
        await asyncio.gather(*leaving, *releasing)
        await self.client.close()
