"""The store on etcd: see the package's docstring."""

import asyncio
from collections.abc import Callable, Sequence
from weakref import WeakSet

from ddnsd.etcd import EtcdError, Put, Range, Txn
from ddnsd.etcd.errors import CompactedError as EtcdCompactedError
from ddnsd.etcd.errors import RevisionRegressedError
from ddnsd.etcd.values import Order, TxnResult, prefix_range
from ddnsd.store import keys
from ddnsd.store.etcd import transaction
from ddnsd.store.etcd.compaction import Compaction
from ddnsd.store.etcd.failures import Access, Failures
from ddnsd.store.etcd.health import ask_health
from ddnsd.store.etcd.keeper import Keeper, check_clocks, open_session, read_clock
from ddnsd.store.etcd.leadership import EtcdLeadership
from ddnsd.store.etcd.registration import EtcdRegistration
from ddnsd.store.etcd.session import LostAnswerError, Session
from ddnsd.store.etcd.session_key import SessionKey, Written
from ddnsd.store.etcd.settings import EtcdStoreSettings
from ddnsd.store.etcd.watch import EtcdWatch
from ddnsd.store.group import check_group
from ddnsd.store.interface import (
    FailureKind,
    Limits,
    Outcome,
    Page,
    Progress,
    RestoredError,
    SnapshotAt,
    StoreHealth,
    UnavailableError,
    Unknown,
    Update,
    WriteFailure,
    ignore_progress,
)

_SENDINGS = 3  # of a group; the session key moves when a copy of an earlier writing comes late


class EtcdStore:
    """The `Store` of a cluster; make it with `open_etcd`."""

    def __init__(self, settings: EtcdStoreSettings, session: Session, failures: Failures) -> None:
        self._settings = settings
        self._failures = failures
        self._keeper = Keeper(settings, session, failures)
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

    async def snapshot(self, prefix: str = "", progress: Progress = ignore_progress) -> SnapshotAt:
        """Return all keys under the prefix at one, linearizable revision; `progress` is called at each page.

        Raises:
            UnavailableError: not now.
        """
        session = self._keeper.session
        with session.translated():
            try:
                found = await session.client.read_prefix(session.space.key(prefix), progress=progress)
            except EtcdCompactedError as error:
                raise UnavailableError(f"compacted while it was read: {error}") from error
        return SnapshotAt(found.revision, session.space.items(found.items))

    async def page(self, prefix: str, limit: int, *, before: str = "", first: bool = False) -> Page:
        """Return some keys under the prefix; see `store.interface.Store.page`.

        Raises:
            UnavailableError: not now.
        """
        session = self._keeper.session
        key, end = prefix_range(session.space.key(prefix))
        if before:
            end = session.space.key(before)
        order = Order.NONE if first else Order.LAST
        with session.translated():
            found = await session.client.range(Range(key, end, limit=limit, order=order))
        return Page(tuple(session.space.items(found.items).items()), found.total)

    def watch(self, prefix: str, start: int) -> EtcdWatch:
        """Return every revision ≥ `start` that wrote under the prefix; to be closed."""
        return EtcdWatch(self._keeper.session, prefix, start)

    async def commit(self, updates: Sequence[Update]) -> Sequence[Outcome]:
        """Apply each update for itself, all at one revision, durably; outcomes in the same order.

        Raises:
            UnavailableError: certainly nothing was applied.
            ValueError: conflicting or too many updates.
        """
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
        self, session: Session, written: Written, updates: Sequence[Update]
    ) -> Sequence[Outcome] | None:
        """Send a group once; None if the session key has moved, so that certainly nothing was applied."""
        known = session.clock
        txn = transaction.encode(session.space, session.timeline, known, written.at, updates)
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

        Raises:
            UnavailableError: not now.
        """
        return (await self._key.ready(self._keeper.session)).at.revision

    async def revision(self) -> int:
        """Return the revision of the newest commit, linearizably.

        Raises:
            UnavailableError: not now.
        """
        session = self._keeper.session
        revision = await read_clock(session)
        if revision is not None:
            return revision
        with session.translated(Access.WRITE):
            # Whoever has deleted it may have deleted more: what is written now comes after that.
            revision = (await session.client.put(Put(session.space.clock, b""))).revision
        session.note_clock(revision)
        return revision

    async def campaign(self, value: bytes, election: str = keys.ELECTION) -> EtcdLeadership:
        """Wait until elected; the lowest create revision leads.

        Raises:
            UnavailableError: not now; the caller is in the queue no more.
        """
        session = self._keeper.session
        with session.translated(Access.WRITE):
            candidacy = await session.enter(election, value, self._settings.lease_ttl)
        with session.translated():
            try:
                await candidacy.elected()
            except BaseException:  # cancelled, too
                await session.leave(candidacy)
                raise
        return EtcdLeadership(session, candidacy)

    async def register(self, name: str, value: bytes) -> EtcdRegistration:
        """Write `members/<name>` for as long as the caller lives.

        Raises:
            UnavailableError: not now.
        """
        key, ttl = keys.member(name), self._settings.lease_ttl
        registration = await EtcdRegistration.open(self._keeper, key, value, ttl)
        self._registrations.add(registration)
        return registration

    async def compact(self, revision: int) -> bool:
        """Let etcd forget the history before a revision; False where it does not let us.

        Raises:
            UnavailableError: not now.
        """
        return await self._compaction.compact(self._keeper.session, revision)

    @property
    def write_failure(self) -> WriteFailure | None:
        """Why the last write was not taken; None once one is."""
        problem = self._failures.of_writes
        return WriteFailure(problem, is_own=False) if problem else None

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


async def _send(session: Session, txn: Txn) -> TxnResult:
    """Do a transaction that writes, if it does anything.

    Raises:
        EtcdError: as `Client.txn`, which notices revisions below those known; a write makes one above.
    """
    known = session.client.revision
    answer = await session.client.txn(txn)
    if answer.succeeded and answer.revision <= known:
        raise RevisionRegressedError(f"a write has revision {answer.revision}, {known} had been seen")
    return answer


async def open_etcd(settings: EtcdStoreSettings) -> EtcdStore:
    """Open the store; where there is none under the prefix, make it.

    Raises:
        UnavailableError: etcd does not answer, or does not let us in.
    """
    failures = Failures(settings.prefix)
    try:
        session = await open_session(settings, failures)
    except EtcdError as error:
        problem = failures.problem_of(error)  # whoever opens it tells it
        raise UnavailableError(f"{problem.text}; {problem.remedy}") from error
    return EtcdStore(settings, session, failures)
