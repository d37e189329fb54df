"""The store on etcd (see the package): its watches, won elections, registrations and compaction.

A registration is a key on a lease of its own, which goes when its node dies. Compaction has etcd forget the
history of all its keys, not only ours: any client of an etcd without the patches of CVE-2026-33413 (3.4.42,
3.5.28, 3.6.9) may do it; with them it takes the role root where there are users, and a role on our prefix is
not enough.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import NamedTuple
from weakref import WeakSet

import structlog

from ddnsd import etcd
from ddnsd.aio import first_of
from ddnsd.etcd import EtcdError, Lease, PutRequest, RangeRequest, TxnRequest
from ddnsd.etcd.errors import EtcdCompactedError, EtcdRestoredError, PermissionDeniedError
from ddnsd.etcd.values import Order, TxnResponse, prefix_range
from ddnsd.store import keys
from ddnsd.store.etcd import transaction
from ddnsd.store.etcd.health import Access, CallFailures, ask_health
from ddnsd.store.etcd.session import (
    LostAnswerError,
    Session,
    SessionKey,
    SessionSupervisor,
    WrittenKey,
    check_clocks,
    open_session,
    read_clock,
)
from ddnsd.store.etcd.transaction import EtcdStoreSettings
from ddnsd.store.group_commit import check_group
from ddnsd.store.interface import (
    ConditionalWrite,
    FailureKind,
    KeyPage,
    Limits,
    OnProgress,
    Outcome,
    RestoredError,
    Revision,
    SnapshotAt,
    StoreHealth,
    StoreProblem,
    UnavailableError,
    Unknown,
    ignore_progress,
)

_log = structlog.get_logger(__name__)

_DENIED = StoreProblem(
    "ddnsd may not compact etcd, which takes the role root",
    "start etcd with --auto-compaction-retention=1h, so that it compacts itself",
)


class Compaction:
    """Compacts where that is allowed, and remembers where it is not."""

    def __init__(self) -> None:
        self._denied = False

    @property
    def problems(self) -> Iterator[StoreProblem]:
        """What an operator should know."""
        if self._denied:
            yield _DENIED

    async def compact(self, session: Session, revision: int) -> bool:
        """Forget the history before a revision; False where that is not allowed.

        Raises:
            UnavailableError: not now.
        """
        with session.translated():
            try:
                await session.client.compact(revision)
            except EtcdCompactedError:
                return True  # by somebody else
            except PermissionDeniedError as error:
                self._note_denied(str(error))
                return False
        self._denied = False
        return True

    def _note_denied(self, reason: str) -> None:
        if not self._denied:
            self._denied = True
            _log.warning("store.compaction_denied", reason=reason, remedy=_DENIED.remedy)


class EtcdWatch:
    """See `store.interface.Watch`. It belongs to the session of its beginning, and ends with it."""

    def __init__(self, session: Session, prefix: str, start: int) -> None:
        self._session = session
        self._prefix = session.space.key(prefix)
        self._start = start
        self._watch: etcd.WatchStream | None = None  # until it is read
        self._waiting: deque[Revision] = deque()

    def __aiter__(self) -> "EtcdWatch":
        return self

    async def __anext__(self) -> Revision:
        """Return the next revision that wrote under the prefix, with what it wrote there."""
        while not self._waiting:
            await self._read()
        return self._waiting.popleft()

    async def aclose(self) -> None:
        """End it; idempotent."""
        if self._watch is not None:
            await self._session.release(self._watch)

    async def _read(self) -> None:
        if self._watch is None:
            self._watch = self._session.watch(self._prefix, self._start)
        with self._session.translated(Access.WATCH):
            found = await self._watch.read()
        for revision in found:
            for event in revision.events:
                if event.item.key == self._session.space.timeline:
                    self._session.check_timeline(None if event.deleted else event.item.value)
                elif event.item.key == self._session.space.clock and not event.deleted:
                    self._session.note_clock(revision.revision)
            if changes := self._session.space.changes(revision.events):
                self._waiting.append(Revision(revision.revision, changes))


class EtcdLeadership:
    """See `store.interface.Leadership`. It is over at the latest with the session that won it."""

    def __init__(self, session: Session, candidacy: etcd.Campaign) -> None:
        self.epoch = candidacy.epoch
        self.guard: Mapping[str, int] = {session.space.name(candidacy.key): candidacy.epoch}
        self._session = session
        self._candidacy = candidacy

    async def confirm(self) -> bool:
        """Ask etcd, linearizably, whether I still lead and nobody has written to my key."""
        with self._session.translated():
            return await self._candidacy.confirm()

    async def lost(self) -> None:
        """Wait until leadership is over, by the monotonic clock before the lease can end."""
        await self._candidacy.lost()

    async def resign(self) -> None:
        """Give leadership up at once; idempotent."""
        await self._candidacy.resign()


_RETRY = 0.5  # seconds


class _Hold(NamedTuple):
    """What keeps the key."""

    session: Session
    lease: Lease


class EtcdRegistration:
    """See `store.interface.Registration`; make it with `open`."""

    def __init__(self, keeper: SessionSupervisor, key: str, value: bytes, ttl: int) -> None:
        self._keeper = keeper
        self._key = key
        self._value = value
        self._ttl = ttl
        self._writing = asyncio.Lock()
        self._hold: _Hold
        self._task: asyncio.Task[None]

    @classmethod
    async def open(cls, keeper: SessionSupervisor, key: str, value: bytes, ttl: int) -> "EtcdRegistration":
        """Register a key, with a lease of `ttl` seconds.

        Raises:
            UnavailableError: not now.
        """
        registration = cls(keeper, key, value, ttl)
        registration._hold = await registration._begin()
        registration._task = asyncio.create_task(registration._run(), name="etcd registration")
        return registration

    async def update(self, value: bytes) -> None:
        """Replace the value."""
        self._value = value
        await self._write(self._hold)

    async def close(self) -> None:
        """Remove the key, unless somebody else has registered it since; idempotent."""
        self._task.cancel()
        await asyncio.wait([self._task])
        await self._hold.lease.revoke()

    async def _begin(self) -> _Hold:
        session = self._keeper.session
        with session.translated(Access.WRITE):
            lease = await session.client.grant(self._ttl)
        hold = _Hold(session, lease)
        try:
            await self._write(hold)
        except BaseException:  # cancelled, too
            await lease.revoke()
            raise
        return hold

    async def _write(self, hold: _Hold) -> None:
        async with self._writing:
            put = PutRequest(hold.session.space.key(self._key), self._value, hold.lease.id)
            with hold.session.translated(Access.WRITE):
                await hold.session.client.txn(TxnRequest(success=(put,)), repeatable=True)

    async def _run(self) -> None:
        while True:
            try:
                await self._look_after(self._hold)
                await self._hold.lease.revoke()
                self._hold = await self._begin()
            except UnavailableError:
                await asyncio.sleep(_RETRY)

    async def _look_after(self, hold: _Hold) -> None:
        """Return when the lease has gone, or the session; write the key anew when it alone has."""
        while hold.lease.alive and not hold.session.over.is_set():
            await first_of(hold.lease.ended(), hold.session.over.wait(), timeout=self._ttl)
            if hold.lease.alive and not await self._stands(hold):
                await self._write(hold)

    async def _stands(self, hold: _Hold) -> bool:
        with hold.session.translated():
            found = await hold.session.client.get(hold.session.space.key(self._key))
        return found is not None and (found.lease != hold.lease.id or found.value == self._value)


_SENDINGS = 3  # of a group; the session key moves when a copy of an earlier writing comes late


class EtcdStore:
    """The `Store` of a cluster; make it with `open_etcd`. What its methods raise, the interface says."""

    def __init__(self, settings: EtcdStoreSettings, session: Session, failures: CallFailures) -> None:
        self._settings = settings
        self._failures = failures
        self._keeper = SessionSupervisor(settings, session, failures)
        self._registrations: WeakSet[EtcdRegistration] = WeakSet()
        self._compaction = Compaction()
        self._key = SessionKey(settings.lease_ttl)

    def reconfigure(self, settings: EtcdStoreSettings) -> None:
        """Go on with other credentials, certificates and times; endpoints and prefix are those of before."""
        self._settings = settings
        self._keeper.reconfigure(settings)

    @property
    def limits(self) -> Limits:
        """What `commit` takes at once."""
        return transaction.LIMITS

    @property
    def identity(self) -> str:
        """The cluster's id and the timeline. It changes once the store is open on the new history."""
        return self._keeper.session.identity

    async def snapshot(self, prefix: str = "", progress: OnProgress = ignore_progress) -> SnapshotAt:
        """Return all keys under the prefix at one, linearizable revision; call `progress` at each page."""
        session = self._keeper.session
        with session.translated():
            try:
                found = await session.client.read_prefix(session.space.key(prefix), progress=progress)
            except EtcdCompactedError as error:
                raise UnavailableError(f"compacted while it was read: {error}") from error
        return SnapshotAt(found.revision, session.space.items(found.items))

    async def page(self, prefix: str, limit: int, *, before: str = "", first: bool = False) -> KeyPage:
        """Return some keys under the prefix; see `store.interface.Store.page`."""
        session = self._keeper.session
        key, end = prefix_range(session.space.key(prefix))
        if before:
            end = session.space.key(before)
        order = Order.NONE if first else Order.LAST
        with session.translated():
            found = await session.client.range(RangeRequest(key, end, limit=limit, order=order))
        return KeyPage(tuple(session.space.items(found.items).items()), found.total)

    def watch(self, prefix: str, start: int) -> EtcdWatch:
        """Return every revision ≥ `start` that wrote under the prefix; to be closed."""
        return EtcdWatch(self._keeper.session, prefix, start)

    async def commit(self, updates: Sequence[ConditionalWrite]) -> Sequence[Outcome]:
        """Apply each update for itself, all at one revision, durably; outcomes in the same order."""
        check_group(updates, self.limits)
        if not updates:
            return []
        session = self._keeper.session
        for _ in range(_SENDINGS):
            outcomes = await self._commit(session, await self._key.ready(session), updates)
            if outcomes is not None:
                return outcomes
        raise UnavailableError("this process's session key is written by somebody else, too")

    async def _commit(
        self, session: Session, written: WrittenKey, updates: Sequence[ConditionalWrite]
    ) -> Sequence[Outcome] | None:
        """Send a group once; None if the session key has moved, so that certainly nothing was applied."""
        known = session.clock
        txn = transaction.encode(session.space, session.timeline, known, written.unmoved, updates)
        session.check()
        try:
            with session.translated(Access.WRITE):
                answer = await _send(session, txn)
        except (LostAnswerError, RestoredError) as error:
            self._key.doubt(written)
            return [Unknown(str(error))] * len(updates)
        if answer.succeeded:
            session.note_clock(answer.revision)
            return transaction.decode(updates, answer)
        if check_clocks(session, transaction.found_clocks(answer), known) is None:
            raise UnavailableError("the clock has been deleted")  # whoever asks for its revision writes it
        self._key.doubt(written)
        return None

    async def settle(self) -> int:
        """See to it that nothing of the commits whose outcome is unknown is applied from now on.

        Return the revision at or below which everything has happened that ever will of them.
        """
        return (await self._key.ready(self._keeper.session)).revision

    async def revision(self) -> int:
        """Return the revision of the newest commit, linearizably."""
        session = self._keeper.session
        revision = await read_clock(session)
        if revision is not None:
            return revision
        with session.translated(Access.WRITE):
            # Whoever has deleted it may have deleted more: what is written now comes after that.
            revision = (await session.client.put(PutRequest(session.space.clock, b""))).revision
        session.note_clock(revision)
        return revision

    async def campaign(self, value: bytes, election: str = keys.ELECTION) -> EtcdLeadership:
        """Wait until elected; the lowest create revision leads."""
        session = self._keeper.session
        with session.translated(Access.WRITE):
            candidacy = await session.enter(election, value, self._settings.lease_ttl)
        with session.translated():
            await candidacy.elected()
        return EtcdLeadership(session, candidacy)

    async def register(self, name: str, value: bytes) -> EtcdRegistration:
        """Write `members/<name>` for as long as the caller lives."""
        key, ttl = keys.member(name), self._settings.lease_ttl
        registration = await EtcdRegistration.open(self._keeper, key, value, ttl)
        self._registrations.add(registration)
        return registration

    async def compact(self, revision: int) -> bool:
        """Let etcd forget the history before a revision; False where it does not let us."""
        return await self._compaction.compact(self._keeper.session, revision)

    @property
    def write_failure(self) -> StoreProblem | None:
        """Why the last write was not taken; None once one is."""
        return self._failures.of_writes

    async def health(self) -> StoreHealth:
        """Ask all endpoints how they are."""
        known = (*self._failures.problems, *self._compaction.problems)
        return await ask_health(self._keeper.session.client, self._settings, known)

    def on_failure(self, count: Callable[[FailureKind], None]) -> None:
        """Call this at each call that fails from now on."""
        self._failures.on_failure(count)

    def renew(self, reason: str) -> None:
        """Go on with another client, and all that lives by it: watches, candidates."""
        self._keeper.renew(reason)

    async def close(self) -> None:
        """Resign, and release everything; idempotent."""
        await asyncio.gather(*(registration.close() for registration in self._registrations))
        await self._key.close()
        await self._keeper.close()


async def _send(session: Session, txn: TxnRequest) -> TxnResponse:
    """Do a transaction that writes, if it does anything.

    Raises:
        EtcdError: as `Client.txn`, which notices revisions below those known; a write makes one above.
    """
    known = session.client.revision
    answer = await session.client.txn(txn)
    if answer.succeeded and answer.revision <= known:
        raise EtcdRestoredError(f"a write has revision {answer.revision}, {known} had been seen")
    return answer


async def open_etcd(settings: EtcdStoreSettings) -> EtcdStore:
    """Open the store; where there is none under the prefix, make it.

    Raises:
        UnavailableError: etcd does not answer, or does not let us in.
    """
    failures = CallFailures(settings.prefix)
    try:
        session = await open_session(settings, failures)
    except EtcdError as error:
        problem = failures.problem_of(error)  # whoever opens it tells it
        raise UnavailableError(f"{problem.text}; {problem.remedy}") from error
    return EtcdStore(settings, session, failures)
