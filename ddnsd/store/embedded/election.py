"""Elections on the embedded store: a queue of keys, the oldest one leads.

Only one process has the store, so every candidate lives in it. A key that nobody stands behind (of a
process that died, or given up while the disk was full) is **dead**, and is deleted before anybody
behind it is elected: its guard must hold no more when the next one leads.
"""

import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from itertools import islice

from ddnsd.store.embedded.plan import Items
from ddnsd.store.embedded.pulse import Pulse
from ddnsd.store.interface import (
    MAX_KEYS_PER_UPDATE,
    Done,
    Outcome,
    UnavailableError,
    Update,
)

Commit = Callable[[Sequence[Update]], Awaitable[Sequence[Outcome]]]


class Election:
    """The candidates of one store in one election."""

    def __init__(self, name: str, items: Items, commit: Commit, pulse: Pulse) -> None:
        """`items` is the store's live map; its keys of this election are, by now, a dead process's."""
        self._prefix = f"{name}/"
        self._items = items
        self._commit = commit
        self._pulse = pulse
        self._candidates: set[str] = set()
        self._dead = {key for key in items if key.startswith(self._prefix)}

    async def campaign(self, value: bytes) -> "EmbeddedLeadership":
        """Queue up and wait until elected.

        Raises:
            UnavailableError: not now; the candidate is in the queue no more.
        """
        key = f"{self._prefix}{uuid.uuid4().hex}"
        self._candidates.add(key)
        try:
            await self._write(Update({key: 0}, {key: value}))
            await self._wait_for_turn(key)
        except BaseException:  # cancelled, too
            await self.withdraw(key)
            raise
        return EmbeddedLeadership(self, key, self._items[key].created)

    def leads(self, key: str) -> bool:
        """Say whether the key is a candidate's and the oldest one, those of the dead included."""
        if key not in self._candidates or key not in self._items:
            return False
        rivals = (self._items[key].created for key in self._candidates | self._dead if key in self._items)
        return self._items[key].created == min(rivals)

    async def withdraw(self, key: str) -> None:
        """Take the candidate out of the queue at once. A key that cannot be deleted now is dead."""
        if key not in self._candidates:
            return
        self._candidates.remove(key)
        self._dead.add(key)
        self._pulse.beat()
        with suppress(UnavailableError):
            await self._bury()

    async def confirm(self, key: str) -> bool:
        """Say whether the key leads, and nobody has written to it."""
        self._pulse.check()
        return self._intact(key)

    async def lost(self, key: str) -> None:
        """Wait until the key leads no more, or the store is closed."""
        with suppress(UnavailableError):
            while self._intact(key):
                await self._pulse.wait()

    def _intact(self, key: str) -> bool:
        return self.leads(key) and self._items[key].revision == self._items[key].created

    async def _wait_for_turn(self, key: str) -> None:
        while not self.leads(key):
            if self._dead:
                await self._bury()
            elif key in self._items:
                await self._pulse.wait()
            else:
                raise UnavailableError("the candidate's election key was deleted")

    async def _bury(self) -> None:
        while self._dead:
            keys = frozenset(islice(self._dead, MAX_KEYS_PER_UPDATE))
            await self._write(Update({}, deletes=keys))
            self._dead -= keys

    async def _write(self, update: Update) -> None:
        (outcome,) = await self._commit([update])
        if not isinstance(outcome, Done):
            raise UnavailableError(f"an election key could not be written: {outcome}")


class EmbeddedLeadership:
    """A won election; see `Leadership`."""

    def __init__(self, election: Election, key: str, epoch: int) -> None:
        self._election = election
        self._key = key
        self._epoch = epoch

    @property
    def epoch(self) -> int:
        """Revision that created my election key."""
        return self._epoch

    @property
    def guard(self) -> Mapping[str, int]:
        """What a commit expects in addition, so that it fails once I no longer lead."""
        return {self._key: self._epoch}

    async def confirm(self) -> bool:
        """Say whether I still lead.

        Raises:
            UnavailableError: the store is closed.
        """
        return await self._election.confirm(self._key)

    async def lost(self) -> None:
        """Wait until leadership is over: resigned, its key touched by somebody, or the store closed."""
        await self._election.lost(self._key)

    async def resign(self) -> None:
        """Give leadership up at once; idempotent."""
        await self._election.withdraw(self._key)
