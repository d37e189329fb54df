"""A watch of the store on one of etcd's."""

from collections import deque

from ddnsd import etcd
from ddnsd.store.etcd.failures import Access
from ddnsd.store.etcd.session import Session
from ddnsd.store.interface import Revision


class EtcdWatch:
    """See `store.interface.Watch`. It belongs to the session of its beginning, and ends with it."""

    def __init__(self, session: Session, prefix: str, start: int) -> None:
        self._session = session
        self._prefix = session.space.key(prefix)
        self._start = start
        self._watch: etcd.Watch | None = None  # until it is read
        self._waiting: deque[Revision] = deque()

    def __aiter__(self) -> "EtcdWatch":
        return self

    async def __anext__(self) -> Revision:
        """Return the next revision that wrote under the prefix, with its events there.

        Raises:
            CompactedError: it is no longer kept.
            RestoredError: there is another history now.
            UnavailableError: etcd refuses the watch, or the store is closed.
        """
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
            if events := self._session.space.events(revision.events):
                self._waiting.append(Revision(revision.revision, events))
