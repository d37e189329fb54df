"""The embedded store: see the package's docstring."""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from sqlite3 import sqlite_version

from ddnsd.store import keys
from ddnsd.store.embedded.disk import Disk, open_disk
from ddnsd.store.embedded.election import Election, EmbeddedLeadership
from ddnsd.store.embedded.health import LOW, DiskHealth
from ddnsd.store.embedded.history import History, Watch
from ddnsd.store.embedded.plan import plan
from ddnsd.store.embedded.pulse import Pulse
from ddnsd.store.embedded.registration import EmbeddedRegistration, remove_left_behind
from ddnsd.store.embedded.sqlite import Contents, InDoubtError
from ddnsd.store.group import check_group
from ddnsd.store.interface import (
    CLOCK,
    Done,
    FailureKind,
    Limits,
    Outcome,
    Page,
    Progress,
    Revision,
    SnapshotAt,
    StoreHealth,
    StoreServer,
    Unknown,
    Update,
    WriteFailure,
    ignore_progress,
)

HISTORY = 40_000  # events kept for watches: some tens of MB at most; 4 s of 3,000 changes/s, three each
_LOOK_SECONDS = 10.0  # between two looks at the space that is left
_LIMITS = Limits(group=500, in_flight=1)  # the next group gathers while the disk works on this one


class EmbeddedStore:
    """The `Store` of a single node. `CLOCK` is a key like any other: a watch or snapshot of "" shows it."""

    def __init__(self, disk: Disk, contents: Contents, history: int, low: float = LOW) -> None:
        self._disk = disk
        self._identity = contents.identity
        self._items = contents.items
        self._pulse = Pulse()
        self._history = History(self._items[CLOCK].revision, history)
        self._elections: dict[str, Election] = {}
        self._writing = asyncio.Lock()
        self._in_doubt: Revision | None = None  # given to the disk, not known to be there
        self._disk_health = DiskHealth(disk.folder.path, low)
        self._look_at = 0.0  # when to see next how much space is left, by the loop's clock

    @property
    def limits(self) -> Limits:
        """What `commit` takes at once."""
        return _LIMITS

    @property
    def identity(self) -> str:
        """A random id, made with the database."""
        return self._identity

    async def snapshot(self, prefix: str = "", progress: Progress = ignore_progress) -> SnapshotAt:  # noqa: ARG002
        """Return all keys under the prefix at the newest revision, from memory: without any `progress`.

        Raises:
            UnavailableError: the store is closed.
        """
        self._pulse.check()
        items = {key: item for key, item in self._items.items() if key.startswith(prefix)}
        return SnapshotAt(self._history.newest, items)

    async def page(self, prefix: str, limit: int, *, before: str = "", first: bool = False) -> Page:
        """Return some keys under the prefix; see `store.interface.Store.page`.

        It is read from the file: a look at all keys in memory would hold the event loop.

        Raises:
            UnavailableError: the store is closed, or its file cannot be read now.
        """
        self._pulse.check()
        return await self._disk.page(prefix, limit, before, first=first)

    def watch(self, prefix: str, start: int) -> Watch:
        """Return an iterator over the revisions ≥ `start` that wrote under the prefix; see `Watch`."""
        return Watch(self._history, self._pulse, prefix, start)

    async def revision(self) -> int:
        """Return the revision of the newest commit.

        Raises:
            UnavailableError: the store is closed.
        """
        self._pulse.check()
        return self._history.newest

    async def campaign(self, value: bytes, election: str = keys.ELECTION) -> EmbeddedLeadership:
        """Queue up and wait until elected.

        Raises:
            UnavailableError: not now; the candidate is in the queue no more.
        """
        if election not in self._elections:
            self._elections[election] = Election(election, self._items, self.commit, self._pulse)
        return await self._elections[election].campaign(value)

    async def register(self, name: str, value: bytes) -> EmbeddedRegistration:
        """Write `members/<name>`; if it is not closed, the next opening of the store removes it.

        Raises:
            UnavailableError: not now.
        """
        return await EmbeddedRegistration.open(self.commit, keys.member(name), value)

    async def commit(self, updates: Sequence[Update]) -> Sequence[Outcome]:
        """Apply each update for itself, all at one revision, durably; outcomes in the same order.

        A caller that is cancelled meanwhile does not stop it.

        Raises:
            UnavailableError: certainly nothing was applied.
            ValueError: conflicting or too many updates.
        """
        check_group(updates, self.limits)
        return await asyncio.shield(asyncio.create_task(self._commit(updates)))

    async def settle(self) -> int:
        """Find out whether the commit in doubt is in the file; return the newest revision.

        Raises:
            UnavailableError: not now.
        """
        async with self._writing:
            self._pulse.check()
            await self._settle()
            return self._history.newest

    async def compact(self, revision: int) -> bool:  # noqa: ARG002  the interface's
        """Do nothing: the history is bounded by itself, and none of it is on the disk."""
        self._pulse.check()
        return True

    async def health(self) -> StoreHealth:
        """Say how large the database is."""
        folder = self._disk.folder
        server = StoreServer(str(folder.database), f"SQLite {sqlite_version}", folder.size, folder.size, True)
        self._disk_health.note_free(await self._disk.free_share())
        return StoreHealth((server,), (), tuple(self._disk_health.problems))

    @property
    def write_failure(self) -> WriteFailure | None:
        """Why the last write was not taken; None once one is."""
        return self._disk_health.failure

    def on_failure(self, count: Callable[[FailureKind], None]) -> None:
        """Call this at each failure of the disk from now on."""
        self._disk_health.on_failure(count)

    def renew(self, reason: str) -> None:
        """Do nothing: between this process and its own file there is nothing to connect."""

    async def close(self) -> None:
        """Finish the commit in flight and release the folder; idempotent."""
        self._pulse.stop()
        async with self._writing:
            await self._disk.close()

    async def _commit(self, updates: Sequence[Update]) -> Sequence[Outcome]:
        async with self._writing:
            self._pulse.check()
            await self._settle()
            outcomes, change = plan(self._items, updates)
            if change is None:
                return outcomes
            self._in_doubt = change
            try:
                with self._disk_health.noted():
                    await self._disk.append(change)
            except InDoubtError as error:
                return [Unknown(str(error)) if isinstance(it, Done) else it for it in outcomes]
            self._apply(change)
            self._in_doubt = None
            await self._look_at_space()
            return outcomes

    async def _look_at_space(self) -> None:
        """See now and then how much space is left: each process writes every few seconds."""
        now = asyncio.get_running_loop().time()
        if now >= self._look_at:
            self._look_at = now + _LOOK_SECONDS
            self._disk_health.note_free(await self._disk.free_share())

    async def _settle(self) -> None:
        """After an error, make memory and file agree before anything is built on either."""
        if self._in_doubt is None:
            return
        with self._disk_health.noted(writes=False):
            newest = await self._disk.settle()
        if newest == self._in_doubt.revision:
            self._apply(self._in_doubt)
        self._in_doubt = None

    def _apply(self, change: Revision) -> None:
        """Show everybody what is durable now."""
        for key, item in change.events:
            if item is None:
                del self._items[key]
            else:
                self._items[key] = item
        self._history.append(change)
        self._pulse.beat()


async def open_embedded(folder: Path, *, history: int = HISTORY, low: float = LOW) -> EmbeddedStore:
    """Open the store in a folder; where there is none, make it (folder 0700, database 0600).

    `history` is how many events (keys written) are kept for watches; older ones are compacted, and
    everything from before the opening is. `low` is the share of free space below which that is told.

    Raises:
        LockedError: another process holds the folder.
        FormatError: the database is damaged, another program's, or of another schema version.
        UnavailableError: the folder or the database cannot be used now.
    """
    disk, contents = await open_disk(folder)
    store = EmbeddedStore(disk, contents, history, low)
    await remove_left_behind(store.commit, contents.items)
    return store
