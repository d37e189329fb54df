"""The recent revisions, and the watches that read them."""

from ddnsd.store.embedded.pulse import Pulse
from ddnsd.store.interface import CompactedError, Revision


class History:
    """The newest revisions, whole: as many as hold `size` events together, the newest one always.

    Revisions are consecutive. Those up to `newest`, the store's when it was opened, are not kept.
    """

    def __init__(self, newest: int, size: int) -> None:
        self.newest = newest
        self._size = size
        self._events = 0
        self._kept: dict[int, Revision] = {}

    @property
    def oldest(self) -> int:
        """The first revision that is kept; beyond `newest` where there is none."""
        return self.newest - len(self._kept) + 1

    def append(self, revision: Revision) -> None:
        """Keep the next revision; forget the oldest ones for it."""
        self._kept[revision.revision] = revision
        self.newest = revision.revision
        self._events += len(revision.events)
        while self._events > self._size and len(self._kept) > 1:
            self._events -= len(self._kept.pop(self.oldest).events)

    def get(self, number: int) -> Revision | None:
        """Return a revision, or None if it is still to come.

        Raises:
            CompactedError: it is no longer kept.
        """
        if number < self.oldest:
            raise CompactedError(f"revision {number} is no longer kept; the first one is {self.oldest}")
        return self._kept.get(number)


class Watch:
    """An iterator over the revisions that wrote under a prefix.

    Not a generator: a reader that is cancelled while it waits can go on later and has lost nothing.
    """

    def __init__(self, history: History, pulse: Pulse, prefix: str, start: int) -> None:
        self._history = history
        self._pulse = pulse
        self._prefix = prefix
        self._next = start

    def __aiter__(self) -> "Watch":
        return self

    async def __anext__(self) -> Revision:
        """Return the next revision that wrote under the prefix, with its events there.

        Raises:
            CompactedError: it is no longer kept.
            UnavailableError: the store is closed.
        """
        self._pulse.check()
        while True:
            revision = self._history.get(self._next)
            if revision is None:
                await self._pulse.wait()
                continue
            self._next += 1
            if events := tuple(event for event in revision.events if event.key.startswith(self._prefix)):
                return Revision(revision.revision, events)

    async def aclose(self) -> None:
        """Do nothing: there is nothing to release."""
