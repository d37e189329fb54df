"""The session key: by rewriting it a process makes sure that nothing it has sent before is still applied.

A transaction whose answer was lost may lie in a connection, or in a member that hangs, and be applied
later. Each transaction of updates compares the revision of its process's session key; once the key has
been written again, or has gone, that revision never returns, and the copy that comes late does nothing.
"""

import asyncio
import secrets
from typing import NamedTuple

from ddnsd.etcd import Lease
from ddnsd.etcd.errors import LeaseNotFoundError
from ddnsd.store.etcd.failures import Access
from ddnsd.store.etcd.keeper import check_clocks
from ddnsd.store.etcd.keyspace import SESSIONS
from ddnsd.store.etcd.session import Session
from ddnsd.store.etcd.transaction import SessionAt, encode_session, found_clocks
from ddnsd.store.interface import UnavailableError


class Written(NamedTuple):
    """The key as this process wrote it last: what its transactions compare."""

    session: Session
    lease: Lease
    at: SessionAt

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
        self._written: Written | None = None
        self._doubtful = True  # whether it has to be written before anything is sent

    async def ready(self, session: Session) -> Written:
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

    def doubt(self, written: Written) -> None:
        """Note that a transaction that compared this may still be applied, or has found another key."""
        if written is self._written:
            self._doubtful = True

    async def close(self) -> None:
        """Remove the key; idempotent."""
        async with self._writing:
            written, self._written = self._written, None
            if written is not None:
                await written.lease.revoke()

    async def _write(self, session: Session) -> Written:
        before = self._written
        if before is not None and before.stands(session):
            revision = await self._put(session, before.lease)
            if revision is not None:
                return Written(session, before.lease, SessionAt(self._name, revision))
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
        return Written(session, lease, SessionAt(self._name, revision))

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
