"""The store on etcd: see the package's docstring."""

from collections.abc import Sequence

from ddnsd.etcd import EtcdError, NotAppliedError, Put, Range
from ddnsd.etcd.errors import CompactedError as EtcdCompactedError
from ddnsd.etcd.values import prefix_range
from ddnsd.store.etcd import transaction
from ddnsd.store.etcd.leadership import EtcdLeadership
from ddnsd.store.etcd.session import Session, open_session
from ddnsd.store.etcd.settings import EtcdStoreSettings
from ddnsd.store.etcd.watch import EtcdWatch
from ddnsd.store.group import check_group
from ddnsd.store.interface import Limits, Outcome, SnapshotAt, UnavailableError, Unknown, Update


class EtcdStore:
    """The `Store` of a cluster; make it with `open_etcd`."""

    def __init__(self, settings: EtcdStoreSettings, session: Session) -> None:
        self._settings = settings
        self._session = session

    @property
    def limits(self) -> Limits:
        """What `commit` takes at once."""
        return transaction.LIMITS

    @property
    def identity(self) -> str:
        """The cluster's id and the timeline."""
        return self._session.identity

    async def snapshot(self, prefix: str = "") -> SnapshotAt:
        """Return all keys under the prefix at one, linearizable revision.

        Raises:
            UnavailableError: not now.
        """
        session = self._session
        with session.translated():
            try:
                found = await session.client.read_prefix(session.space.key(prefix))
            except EtcdCompactedError as error:
                raise UnavailableError(f"compacted while it was read: {error}") from error
        return SnapshotAt(found.revision, session.space.items(found.items))

    def watch(self, prefix: str, start: int) -> EtcdWatch:
        """Return every revision ≥ `start` that wrote under the prefix; to be closed."""
        return EtcdWatch(self._session, prefix, start)

    async def commit(self, updates: Sequence[Update]) -> Sequence[Outcome]:
        """Apply each update for itself, all at one revision, durably; outcomes in the same order.

        Raises:
            UnavailableError: certainly nothing was applied.
            ValueError: conflicting or too many updates.
        """
        check_group(updates, self.limits)
        if not updates:
            return []
        session = self._session
        txn = transaction.encode(session.space, session.timeline, updates)
        with session.translated():
            try:
                answer = await session.client.txn(txn)
            except NotAppliedError:
                raise
            except EtcdError as error:
                return [Unknown(str(error))] * len(updates)
        if not answer.succeeded:
            raise UnavailableError("etcd was restored: this is another timeline")
        return transaction.decode(updates, answer)

    async def revision(self) -> int:
        """Return the revision of the newest commit, linearizably.

        Raises:
            UnavailableError: not now.
        """
        session = self._session
        with session.translated():
            found = await session.client.range(Range(*prefix_range(session.space.clock)))
            for item in found.items:
                if item.key == session.space.clock:
                    return item.mod_revision
            # Deleted by somebody, so that it cannot tell of other deletions: what comes now, does.
            return (await session.client.put(Put(session.space.clock, b""))).revision

    async def campaign(self, value: bytes) -> EtcdLeadership:
        """Wait until elected; the lowest create revision leads.

        Raises:
            UnavailableError: not now; the caller is in the queue no more.
        """
        session = self._session
        with session.translated():
            candidacy = await session.enter(value, self._settings.lease_ttl)
            try:
                await candidacy.elected()
            except BaseException:  # cancelled, too
                await session.leave(candidacy)
                raise
        return EtcdLeadership(session, candidacy)

    async def close(self) -> None:
        """Resign, and release everything; idempotent."""
        await self._session.end()


async def open_etcd(settings: EtcdStoreSettings) -> EtcdStore:
    """Open the store; where there is none under the prefix, make it.

    Raises:
        UnavailableError: etcd does not answer, or does not let us in.
    """
    try:
        return EtcdStore(settings, await open_session(settings))
    except EtcdError as error:
        raise UnavailableError(str(error)) from error
