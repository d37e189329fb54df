"""What a watch has shown since a group of updates was sent: whether one of them is among it.

A trace answers for a group whose answer was lost. It is begun before the group is sent, since the
group's events may go by before the loss is known, and costs one look at each revision's keys meanwhile.
"""

import asyncio
from collections.abc import Callable, Collection, Sequence

from ddnsd.store.interface import Event, Revision, Update


class Trace:
    """The revisions that wrote some of these keys since it began; to be closed.

    It is `broken` once the watch may have left out a revision: then it proves nothing.
    """

    def __init__(self, keys: Collection[str], revision: int, close: Callable[["Trace"], None]) -> None:
        """`revision` is the newest that went by before; `close` is called when nobody needs the trace."""
        self.broken = False
        self._keys = frozenset(keys)
        self._revision = revision
        self._close = close
        self._hits: list[Revision] = []
        self._moved: asyncio.Event | None = None  # only while somebody waits

    def note(self, revision: int, events: Sequence[Event]) -> None:
        """Look at one whole revision."""
        self._revision = revision
        if not self._keys.isdisjoint(event.key for event in events):
            self._hits.append(Revision(revision, tuple(events)))
        if self._moved is not None:
            self._moved.set()

    def end(self) -> None:
        """Note that the revisions that follow are not those after the last one, or of another history."""
        self.broken = True
        if self._moved is not None:
            self._moved.set()

    async def passed(self, revision: int) -> bool:
        """Wait until a revision has gone by; return False if that can no longer be seen."""
        self._moved = asyncio.Event()
        while not self.broken and self._revision < revision:
            self._moved.clear()
            await self._moved.wait()
        return not self.broken

    def revision_of(self, update: Update, after: int) -> int | None:
        """Return the revision that did an update, above `after`; None where there was none.

        An update is known by its bytes: all its puts in one revision, and the deletions of the keys that
        it expects to be there. Where another process has done the very same, the two cannot be told apart,
        and need not be: the store holds what the update asked for.
        """
        found = (hit.revision for hit in self._hits if hit.revision > after and _did(hit, update))
        return next(found, None)

    def close(self) -> None:
        """Stop looking; idempotent."""
        self._close(self)


def _did(revision: Revision, update: Update) -> bool:
    items = {event.key: event.item for event in revision.events}
    for key, value in update.puts.items():
        item = items.get(key)
        if item is None or item.value != value:
            return False
    gone = {key for key in update.deletes if key in items and items[key] is None}
    known_there = {key for key in update.deletes if update.expects.get(key)}
    return known_there <= gone and bool(update.puts or gone)
