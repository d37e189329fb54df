"""One client and all that lives by it: the store's part that a restored etcd replaces.

**Timeline**: a random text in the store that names its history, next to the clock. etcd gives a restored
snapshot a new cluster id only if the operator asks for one; a data folder that was copied back, or a restore
with the same token, keeps it, and goes on with revisions that have been used before. Some node that was
running notices that answers lie below what it has seen. The first of them replaces the timeline; the others,
whatever revisions they know, see by it that history is another one.

**Session key**: by rewriting it a process makes sure that nothing it has sent before is still applied. A
transaction with a lost answer may lie in a connection, or in a member that hangs, and be applied later. Each
transaction of updates compares the revision of its process's session key; once the key has been written
again, or has gone, that revision never returns, and the copy that comes late does nothing.
"""

import asyncio
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import NamedTuple
from weakref import WeakSet

import structlog

from ddnsd import etcd
from ddnsd.aio import first_of
from ddnsd.etcd import (
    Compare,
    CompareTarget,
    EtcdClient,
    EtcdError,
    Lease,
    PutRequest,
    RangeRequest,
    TxnRequest,
)
from ddnsd.etcd.errors import EtcdCompactedError, LeaseNotFoundError
from ddnsd.etcd.values import RangeResponse
from ddnsd.store.etcd.health import Access, CallFailures
from ddnsd.store.etcd.transaction import (
    SESSIONS,
    EtcdStoreSettings,
    Keyspace,
    encode_session,
    found_clocks,
)
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

    def __init__(
        self, client: etcd.EtcdClient, space: Keyspace, timeline: bytes, failures: CallFailures
    ) -> None:
        self._failures = failures
        self.client = client
        self.space = space
        self.timeline = timeline
        self.clock = 0  # the highest revision of the clock that is known to be committed
        self.restored = asyncio.Event()
        self.over = asyncio.Event()  # for whatever reason
        self._replaced = self._closed = False
        self._watches: set[etcd.WatchStream] = set()
        self._candidacies: WeakSet[etcd.Campaign] = WeakSet()  # each lives until it has resigned

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
        except etcd.EtcdRestoredError as error:
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

    def watch(self, prefix: bytes, start: int) -> etcd.WatchStream:
        """Begin a watch of etcd's, to be released.

        Raises:
            UnavailableError: as `check`.
        """
        self.check()
        watch = self.client.watch(prefix, start)
        self._watches.add(watch)
        return watch

    async def release(self, watch: etcd.WatchStream) -> None:
        """End a watch; idempotent."""
        self._watches.discard(watch)
        await watch.close()

    async def enter(self, election: str, value: bytes, ttl: int) -> etcd.Campaign:
        """Stand in the queue of an election, to resign; at the latest the session's end does that.

        Raises:
            EtcdError: not now.
            UnavailableError: as `check`.
        """
        candidacy = await etcd.enter(self.client, self.space.key(f"{election}/"), value, ttl)
        self._candidacies.add(candidacy)
        try:
            self.check()
        except UnavailableError:
            await candidacy.resign()
            raise
        return candidacy

    async def close(self) -> None:
        """End it because the store is closed; idempotent."""
        self._closed = True
        self.over.set()
        await self.end()

    async def end(self) -> None:
        """Resign, end the watches, close the client; idempotent."""
        leaving = [candidacy.resign() for candidacy in self._candidacies]
        releasing = [self.release(watch) for watch in self._watches]
        await asyncio.gather(*leaving, *releasing)
        await self.client.close()


class Ended(NamedTuple):
    """A history that is over."""

    cluster_id: int | None
    timeline: bytes


async def read_timeline(client: EtcdClient, space: Keyspace) -> bytes:
    """Return the timeline; begin the first one where there is none.

    It is read first: a full etcd refuses every transaction that could write, also one that would not.

    Raises:
        EtcdError: not now.
    """
    found = await client.get(space.timeline)
    if found is not None:
        return found.value
    return await _begin(client, space, Compare(space.timeline, CompareTarget.CREATE, 0))


async def next_timeline(client: EtcdClient, space: Keyspace, ended: Ended) -> bytes:
    """Return the timeline after a restore; begin it, unless somebody has, or the cluster is another one.

    Raises:
        EtcdError: not now.
    """
    timeline = await read_timeline(client, space)
    if Ended(client.cluster_id, timeline) != ended:
        return timeline
    return await _begin(client, space, Compare(space.timeline, CompareTarget.VALUE, ended.timeline))


async def _begin(client: EtcdClient, space: Keyspace, condition: Compare) -> bytes:
    fresh = secrets.token_hex(8).encode()
    begin = (PutRequest(space.timeline, fresh), PutRequest(space.clock, b""))
    # Done twice it finds what it has put the first time.
    answer = await client.txn(
        TxnRequest((condition,), begin, (RangeRequest(space.timeline),)), repeatable=True
    )
    if answer.succeeded:
        return fresh
    (found,) = answer.results
    assert isinstance(found, RangeResponse)
    if not found.items:  # somebody has deleted everything since we looked
        return await read_timeline(client, space)
    return found.items[0].value


_LOOK = 2.0  # seconds between two questions, so that an idle node notices a restore too
_RETRY = 0.5  # seconds
_ENDING = 5.0  # seconds for a session of before to end; what hangs in it may be why there is another one


class SessionSupervisor:
    """Holds the session of now; replaces it when etcd was restored, or when it is of no use any more."""

    def __init__(self, settings: EtcdStoreSettings, session: Session, failures: CallFailures) -> None:
        self.session = session
        self._failures = failures
        self._settings = settings
        self._renewal = asyncio.Event()
        self._endings: set[asyncio.Task[None]] = set()  # of sessions that were replaced
        self._task = asyncio.create_task(self._run(), name="etcd store")
        self._task.add_done_callback(_note_fall)

    def reconfigure(self, settings: EtcdStoreSettings) -> None:
        """Go on with these, in this session and all that follow it."""
        self._settings = settings
        self.session.client.reconfigure(settings.cluster)

    async def close(self) -> None:
        """End all; idempotent."""
        self._task.cancel()
        await asyncio.wait([self._task])
        await self.session.close()
        if self._endings:
            await asyncio.wait(self._endings, timeout=_ENDING)

    def renew(self, reason: str) -> None:
        """Replace the session, though its history goes on; do so once, however often it is asked for."""
        if not self._renewal.is_set():
            _log.warning("store.renewed", reason=reason)
            self._renewal.set()

    async def _run(self) -> None:
        while True:
            await self._end_of_use()
            if self.session.restored.is_set():
                await self._follow_restore()
            else:
                await self._replace()
            _log.warning("store.reopened", identity=self.session.identity)

    async def _follow_restore(self) -> None:
        ended = Ended(self.session.client.cluster_id, self.session.timeline)
        await asyncio.wait([self._end(self.session)], timeout=_ENDING)
        self.session = await self._reopened(ended)
        self._renewal.clear()

    async def _replace(self) -> None:
        """Go on with another session; the one of before ends by itself, if it can."""
        before, session = self.session, await self._reopened(None)
        if session.identity == before.identity:
            # etcd may have been restored while there was none to answer; what is known of before shows it.
            session.note_clock(before.clock)
            await self._look_once(session)
        self.session = session
        self._renewal.clear()
        before.note_replaced()
        self._end(before)

    def _end(self, session: Session) -> asyncio.Task[None]:
        ending = asyncio.create_task(session.end(), name="etcd session of before")
        self._endings.add(ending)
        ending.add_done_callback(self._endings.discard)
        return ending

    async def _end_of_use(self) -> None:
        """Wait until this session's history has ended, or it is to be replaced."""
        looking = asyncio.create_task(self._look(), name="etcd store look")
        try:  # not one after the other: what a useless session is asked may never be answered
            ends = (self.session.restored.wait(), self._renewal.wait())
            await first_of(asyncio.wait([looking]), *ends)
        finally:
            looking.cancel()
        if looking.done():
            looking.result()

    async def _look(self) -> None:
        """Ask this session's etcd now and then. Never returns."""
        while True:
            with suppress(UnavailableError):
                await read_clock(self.session)
            await asyncio.sleep(_LOOK)

    async def _look_once(self, session: Session) -> None:
        """Compare the clock with what is known of it, waiting for etcd as long as it takes."""
        try:
            while not session.restored.is_set():
                try:
                    await read_clock(session)
                except UnavailableError:
                    await asyncio.sleep(_RETRY)
                else:
                    return
        except BaseException:  # cancelled: nobody else knows of it yet
            await session.close()
            raise

    async def _reopened(self, ended: Ended | None) -> Session:
        while True:
            try:
                return await open_session(self._settings, self._failures, ended)
            except EtcdError as error:
                self._failures.failed(Access.READ, error)
                await asyncio.sleep(_RETRY)


def _note_fall(task: asyncio.Task[None]) -> None:
    """Log what ends the task, as nothing should: from then on a restored etcd is not noticed."""
    if not task.cancelled():
        _log.error("task.fell", task=task.get_name(), exc_info=task.exception())


async def open_session(
    settings: EtcdStoreSettings, failures: CallFailures, ended: Ended | None = None
) -> Session:
    """Connect, and learn the timeline; `ended` is the history that was known before.

    Raises:
        EtcdError: not now.
    """
    space = Keyspace(settings.prefix)
    client = etcd.EtcdClient(settings.cluster)
    try:
        if ended is None:
            timeline = await read_timeline(client, space)
        else:
            timeline = await next_timeline(client, space, ended)
    except BaseException:  # cancelled, too
        await client.close()
        raise
    return Session(client, space, timeline, failures)


async def read_clock(session: Session) -> int | None:
    """Return the clock's revision, None where somebody has deleted it; read linearizably.

    Raises:
        RestoredError: of another history.
        UnavailableError: not now.
    """
    known = session.clock
    with session.translated():
        found = await session.client.range(session.space.clocks)
    return check_clocks(session, found, known)


def check_clocks(session: Session, found: RangeResponse, known: int) -> int | None:
    """Return the clock's revision out of a range of it and the timeline; `known` is the one known before.

    Raises:
        RestoredError: of another history.
    """
    items = {item.key: item for item in found.items}
    timeline = items.get(session.space.timeline)
    session.check_timeline(timeline.value if timeline else None)
    clock = items.get(session.space.clock)
    if clock is None:
        return None
    session.check_clock(clock.mod_revision, known)
    return clock.mod_revision


class WrittenKey(NamedTuple):
    """The key as this process wrote it last: what its transactions compare."""

    session: Session
    lease: Lease
    key: bytes
    revision: int

    @property
    def unmoved(self) -> Compare:
        """The condition that nobody has written it since."""
        return Compare(self.key, CompareTarget.MOD, self.revision)

    def stands(self, session: Session) -> bool:
        """Say whether the key may be taken to be there still, in this session's history."""
        return self.session is session and self.lease.alive


class SessionKey:
    """`sessions/<id>`, on a lease of its own, so that it goes with its process."""

    def __init__(self, ttl: int) -> None:
        """`ttl` is the lease's, in seconds."""
        self._name = f"{SESSIONS}{secrets.token_hex(8)}"
        self._ttl = ttl
        self._writing = asyncio.Lock()
        self._written: WrittenKey | None = None
        self._doubtful = True  # whether it has to be written before anything is sent

    async def ready(self, session: Session) -> WrittenKey:
        """Return what a transaction of this session shall compare; write the key first where that is due.

        Raises:
            UnavailableError: not now; nothing was sent.
        """
        written = self._written
        if written is not None and not self._doubtful and written.stands(session):
            return written
        async with self._writing:
            written = self._written
            if written is None or self._doubtful or not written.stands(session):
                # What is doubted from now on, while the key is being written, was sent before that.
                written = self._written = await self._write(session)
                self._doubtful = False
            return written

    def doubt(self, written: WrittenKey) -> None:
        """Note that a transaction that compared this may still be applied, or has found another key."""
        if written is self._written:
            self._doubtful = True

    async def close(self) -> None:
        """Remove the key; idempotent."""
        async with self._writing:
            written, self._written = self._written, None
            if written is not None:
                await written.lease.revoke()

    async def _write(self, session: Session) -> WrittenKey:
        before = self._written
        if before is not None and before.stands(session):
            revision = await self._put(session, before.lease)
            if revision is not None:
                return WrittenKey(session, before.lease, before.key, revision)
        if before is not None:  # its lease has ended, while this process was stopped or etcd away
            self._written = None
            await before.lease.revoke()
        with session.translated(Access.WRITE):
            lease = await session.client.grant(self._ttl)
        revision = None
        try:
            revision = await self._put(session, lease)
        finally:
            if revision is None:  # cancelled, too
                await lease.revoke()
        if revision is None:
            raise UnavailableError("a lease that was granted just now has ended")
        return WrittenKey(session, lease, session.space.key(self._name), revision)

    async def _put(self, session: Session, lease: Lease) -> int | None:
        """Write the key; return the revision, None if the lease has ended.

        Raises:
            UnavailableError: not now; perhaps it is written, which does no harm.
        """
        known = session.clock
        txn = encode_session(session.space, session.timeline, known, self._name, lease.id)
        with session.translated(Access.WRITE):
            try:
                answer = await session.client.txn(txn, repeatable=True)
            except LeaseNotFoundError:
                return None
        if not answer.succeeded:
            check_clocks(session, found_clocks(answer), known)
            raise UnavailableError("the clock has been deleted")  # whoever asks for its revision writes it
        session.note_clock(answer.revision)
        return answer.revision
