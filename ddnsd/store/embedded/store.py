"""The embedded store (see the package): commits, watches, elections and registrations in one process.

An election is a queue of keys, the oldest one leads. Every candidate lives in this process. A key without a
candidate (of a process that died, or given up while the disk was full) is **dead**, and is deleted before
anybody behind it is elected: its guard must hold no more when the next one leads. Registrations are plain
keys: a node lives as long as its store.
"""

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from itertools import islice
from pathlib import Path
from sqlite3 import sqlite_version

from ddnsd.store import keys
from ddnsd.store.embedded.sqlite import LOW, Contents, Disk, DiskHealth, InDoubtError, open_disk
from ddnsd.store.group_commit import check_group
from ddnsd.store.interface import (
    CLOCK,
    MAX_KEYS_PER_UPDATE,
    CompactedError,
    ConditionalWrite,
    Done,
    FailureKind,
    KeyPage,
    KeyValue,
    Limits,
    OnProgress,
    Outcome,
    Revision,
    SnapshotAt,
    Stale,
    StoreHealth,
    StoreProblem,
    StoreServer,
    UnavailableError,
    Unknown,
    ignore_progress,
)


class Notifier:
    """Beats at every change; all who wait wake and look for themselves whether it was theirs."""

    def __init__(self) -> None:
        self._next = asyncio.Event()
        self.stopped = False

    def beat(self) -> None:
        """Wake everybody who waits now."""
        self._next.set()
        self._next = asyncio.Event()

    def stop(self) -> None:
        """Beat for the last time: the store is closed."""
        self.stopped = True
        self.beat()

    def check(self) -> None:
        """Go on only while the store is open.

        Raises:
            UnavailableError: it is closed.
        """
        if self.stopped:
            raise UnavailableError("the store is closed")

    async def wait(self) -> None:
        """Wait for the next beat.

        Raises:
            UnavailableError: the store is closed, or was meanwhile.
        """
        self.check()
        await self._next.wait()
        self.check()


class RevisionLog:
    """The newest revisions, whole: as many as hold `size` changes together, the newest one always.

    Revisions are consecutive. Those up to `newest`, the store's when it was opened, are not kept.
    """

    def __init__(self, newest: int, size: int) -> None:
        self.newest = newest
        self.oldest = newest + 1  # that is kept; beyond `newest` where there is none
        self._size = size
        self._changes = 0
        self._kept: dict[int, Revision] = {}

    def append(self, revision: Revision) -> None:
        """Keep the next revision; forget the oldest ones for it."""
        self._kept[revision.revision] = revision
        self.newest = revision.revision
        self._changes += len(revision.changes)
        while self._changes > self._size and self.oldest < self.newest:
            self._changes -= len(self._kept.pop(self.oldest).changes)
            self.oldest += 1

    def get(self, number: int) -> Revision | None:
        """Return a revision, or None if it is still to come.

        Raises:
            CompactedError: it is no longer kept.
        """
        if number < self.oldest:
            raise CompactedError(f"revision {number} is no longer kept; the first one is {self.oldest}")
        return self._kept.get(number)


class EmbeddedWatch:
    """An iterator over the revisions that wrote under a prefix.

    Not a generator: a reader that is cancelled while it waits can go on later and has lost nothing.
    """

    def __init__(self, history: RevisionLog, pulse: Notifier, prefix: str, start: int) -> None:
        self._history = history
        self._pulse = pulse
        self._prefix = prefix
        self._next = start

    def __aiter__(self) -> "EmbeddedWatch":
        return self

    async def __anext__(self) -> Revision:
        """Return the next revision that wrote under the prefix, with what it wrote there."""
        self._pulse.check()
        while True:
            revision = self._history.get(self._next)
            if revision is None:
                await self._pulse.wait()
                continue
            self._next += 1
            changes = {key: item for key, item in revision.changes.items() if key.startswith(self._prefix)}
            if changes:
                return Revision(revision.revision, changes)

    async def aclose(self) -> None:
        """Do nothing: there is nothing to release."""


Items = Mapping[str, KeyValue]


def plan(items: Items, updates: Sequence[ConditionalWrite]) -> tuple[Sequence[Outcome], Revision | None]:
    """Decide each update against the same items and gather what those that hold would write.

    Return the outcomes in the order of the updates, and the revision to make. Updates that change nothing
    (stale, without writes, or deleting what is absent) make none: if there are only such, they are answered
    at the present one.
    """
    now = items[CLOCK].revision
    outcomes: list[Outcome | None] = []  # None: done, at a revision that is known once all are decided
    changes: dict[str, KeyValue | None] = {}
    for update in updates:
        if not _holds(items, update):
            outcomes.append(Stale(now, {key: items.get(key) for key in update.expects}))
            continue
        outcomes.append(None)
        for key, value in update.puts.items():
            before = items.get(key)
            changes[key] = KeyValue(value, now + 1, now + 1 if before is None else before.created)
        changes |= {key: None for key in update.deletes if key in items}
    if changes:
        changes[CLOCK] = KeyValue(b"", now + 1, items[CLOCK].created)
    done = Done(now + 1 if changes else now)
    return [outcome or done for outcome in outcomes], Revision(now + 1, changes) if changes else None


def _holds(items: Items, update: ConditionalWrite) -> bool:
    for key, revision in update.expects.items():
        item = items.get(key)
        if (0 if item is None else item.revision) != revision:
            return False
    return True


Commit = Callable[[Sequence[ConditionalWrite]], Awaitable[Sequence[Outcome]]]


class Election:
    """The candidates of one store in one election."""

    def __init__(self, name: str, items: Items, commit: Commit, pulse: Notifier) -> None:
        """`items` is the store's live map; its keys of this election are, by now, a dead process's."""
        self._prefix = f"{name}/"
        self._items = items
        self._commit = commit
        self.pulse = pulse
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
            await self._write(ConditionalWrite({key: 0}, {key: value}))
            await self._wait_for_turn(key)
        except BaseException:  # cancelled, too
            await self.withdraw(key)
            raise
        return EmbeddedLeadership(self, key, self._items[key].created)

    def leads(self, key: str) -> bool:
        """Say whether the key is a candidate's and the oldest one, those of the dead included."""
        if key not in self._candidates or key not in self._items:
            return False
        rivals = [self._items[key].created for key in self._candidates | self._dead if key in self._items]
        return self._items[key].created == min(rivals)

    def is_intact(self, key: str) -> bool:
        """Say whether the key leads, and nobody has written to it."""
        return self.leads(key) and self._items[key].revision == self._items[key].created

    async def withdraw(self, key: str) -> None:
        """Take the candidate out of the queue at once. A key that cannot be deleted now is dead."""
        if key not in self._candidates:
            return
        self._candidates.remove(key)
        self._dead.add(key)
        self.pulse.beat()
        with suppress(UnavailableError):
            await self._bury()

    async def _wait_for_turn(self, key: str) -> None:
        while not self.leads(key):
            if self._dead:
                await self._bury()
            elif key in self._items:
                await self.pulse.wait()
            else:
                raise UnavailableError("the candidate's election key was deleted")

    async def _bury(self) -> None:
        while self._dead:
            keys = frozenset(islice(self._dead, MAX_KEYS_PER_UPDATE))
            await self._write(ConditionalWrite({}, deletes=keys))
            self._dead -= keys

    async def _write(self, update: ConditionalWrite) -> None:
        (outcome,) = await self._commit([update])
        if not isinstance(outcome, Done):
            raise UnavailableError(f"an election key could not be written: {outcome}")


class EmbeddedLeadership:
    """See `store.interface.Leadership`."""

    def __init__(self, election: Election, key: str, epoch: int) -> None:
        self.epoch = epoch
        self.guard: Mapping[str, int] = {key: epoch}
        self._election = election
        self._key = key

    async def confirm(self) -> bool:
        """Say whether I still lead."""
        self._election.pulse.check()
        return self._election.is_intact(self._key)

    async def lost(self) -> None:
        """Wait until leadership is over: resigned, its key touched by somebody, or the store closed."""
        with suppress(UnavailableError):
            while self._election.is_intact(self._key):
                await self._election.pulse.wait()

    async def resign(self) -> None:
        """Give leadership up at once; idempotent."""
        await self._election.withdraw(self._key)


class EmbeddedRegistration:
    """See `store.interface.Registration`; make it with `open`."""

    def __init__(self, commit: Commit, key: str) -> None:
        self._commit = commit
        self._key = key
        self._revision = 0  # of the last write

    @classmethod
    async def open(cls, commit: Commit, key: str, value: bytes) -> "EmbeddedRegistration":
        """Register a key.

        Raises:
            UnavailableError: not now.
        """
        registration = cls(commit, key)
        try:
            await registration.update(value)
        except asyncio.CancelledError:  # it may be written all the same, and nobody has it to close it
            await registration.close()
            raise
        return registration

    async def update(self, value: bytes) -> None:
        """Replace the value."""
        (outcome,) = await self._commit([ConditionalWrite({}, {self._key: value})])
        if not isinstance(outcome, Done):
            raise UnavailableError(f"{self._key} could not be written: {outcome}")
        self._revision = outcome.revision

    async def close(self) -> None:
        """Remove the key, unless somebody else has registered it since; idempotent."""
        expects = {self._key: self._revision} if self._revision else {}
        with suppress(UnavailableError):  # then the next opening does it
            await self._commit([ConditionalWrite(expects, deletes=frozenset({self._key}))])


async def remove_left_behind(commit: Commit, items: Items) -> None:
    """Remove what a process that died, or could not, has left: its registrations, its controllers' keys.

    Not now: later. The leader's key is removed by the next leader.
    """
    prefixes = (keys.member(""), keys.controllers(""))
    left = sorted(key for key in items if key.startswith(prefixes))
    with suppress(UnavailableError):
        for start in range(0, len(left), MAX_KEYS_PER_UPDATE):
            await commit([ConditionalWrite({}, deletes=frozenset(left[start : start + MAX_KEYS_PER_UPDATE]))])


HISTORY = 40_000  # changes kept for watches: some tens of MB at most; 4 s of 3,000 changes/s, three each
_LOOK_SECONDS = 10.0  # between two looks at the space that is left
_LIMITS = Limits(group=500, in_flight=1)  # the next group gathers while the disk works on this one


class EmbeddedStore:
    """The `Store` of a single node. `CLOCK` is a key like any other: a watch or snapshot of "" shows it.

    What its methods raise, the interface says: `UnavailableError` where it is closed, or its file cannot be
    used now.
    """

    def __init__(self, disk: Disk, contents: Contents, history: int, low: float = LOW) -> None:
        self.limits = _LIMITS
        self.identity = contents.identity  # a random id, made with the database
        self._disk = disk
        self._items = contents.items
        self._pulse = Notifier()
        self._history = RevisionLog(self._items[CLOCK].revision, history)
        self._elections: dict[str, Election] = {}
        self._writing = asyncio.Lock()
        self._in_doubt: Revision | None = None  # given to the disk, not known to be there
        self._disk_health = DiskHealth(disk.folder.path, low)
        self._look_at = 0.0  # when to see next how much space is left, by the loop's clock

    async def snapshot(self, prefix: str = "", progress: OnProgress = ignore_progress) -> SnapshotAt:  # noqa: ARG002
        """Return all keys under the prefix at the newest revision, from memory: without any `progress`."""
        self._pulse.check()
        items = {key: item for key, item in self._items.items() if key.startswith(prefix)}
        return SnapshotAt(self._history.newest, items)

    async def page(self, prefix: str, limit: int, *, before: str = "", first: bool = False) -> KeyPage:
        """Return some keys under the prefix; see `store.interface.Store.page`.

        It is read from the file: a look at all keys in memory would hold the event loop.
        """
        self._pulse.check()
        return await self._disk.run(self._disk.database.page, prefix, limit, before, first)

    def watch(self, prefix: str, start: int) -> EmbeddedWatch:
        """Return an iterator over the revisions ≥ `start` that wrote under the prefix."""
        return EmbeddedWatch(self._history, self._pulse, prefix, start)

    async def revision(self) -> int:
        """Return the revision of the newest commit."""
        self._pulse.check()
        return self._history.newest

    async def campaign(self, value: bytes, election: str = keys.ELECTION) -> EmbeddedLeadership:
        """Queue up and wait until elected."""
        if election not in self._elections:
            self._elections[election] = Election(election, self._items, self.commit, self._pulse)
        return await self._elections[election].campaign(value)

    async def register(self, name: str, value: bytes) -> EmbeddedRegistration:
        """Write `members/<name>`; if it is not closed, the next opening of the store removes it."""
        return await EmbeddedRegistration.open(self.commit, keys.member(name), value)

    async def commit(self, updates: Sequence[ConditionalWrite]) -> Sequence[Outcome]:
        """Apply each update for itself, all at one revision, durably; outcomes in the same order.

        A caller that is cancelled meanwhile does not stop it.
        """
        check_group(updates, self.limits)
        return await asyncio.shield(asyncio.create_task(self._commit(updates)))

    async def settle(self) -> int:
        """Find out whether the commit in doubt is in the file; return the newest revision."""
        async with self._writing:
            self._pulse.check()
            if self._in_doubt is not None:
                await self._settle(self._in_doubt)
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
    def write_failure(self) -> StoreProblem | None:
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

    async def _commit(self, updates: Sequence[ConditionalWrite]) -> Sequence[Outcome]:
        async with self._writing:
            self._pulse.check()
            if self._in_doubt is not None:
                await self._settle(self._in_doubt)
            outcomes, change = plan(self._items, updates)
            if change is None:
                return outcomes
            self._in_doubt = change
            try:
                with self._disk_health.noted():
                    await self._disk.run(self._disk.database.append, change)
            except InDoubtError as error:
                return [Unknown(str(error)) if isinstance(it, Done) else it for it in outcomes]
            self._apply(change)
            self._in_doubt = None
            now = asyncio.get_running_loop().time()
            if now >= self._look_at:  # here, as each process writes every few seconds
                self._look_at = now + _LOOK_SECONDS
                self._disk_health.note_free(await self._disk.free_share())
            return outcomes

    async def _settle(self, in_doubt: Revision) -> None:
        """After an error, make memory and file agree before anything is built on either."""
        with self._disk_health.noted(writes=False):
            newest = await self._disk.run(self._disk.database.settle)
        if newest == in_doubt.revision:
            self._apply(in_doubt)
        self._in_doubt = None

    def _apply(self, change: Revision) -> None:
        """Show everybody what is durable now."""
        for key, item in change.changes.items():
            if item is None:
                del self._items[key]
            else:
                self._items[key] = item
        self._history.append(change)
        self._pulse.beat()


async def open_embedded(folder: Path, *, history: int = HISTORY, low: float = LOW) -> EmbeddedStore:
    """Open the store in a folder; where there is none, make it (folder 0700, database 0600).

    `history` is how many changes (keys written) are kept for watches; older ones are compacted, and
    everything from before the opening is. `low` is the share of free space below which that is told.

    Raises:
        UnavailableError: the folder or the database cannot be used now.
        StoreError: another process holds the folder; the database is damaged, another program's, or of
            another schema version.
    """
    disk, contents = await open_disk(folder)
    store = EmbeddedStore(disk, contents, history, low)
    await remove_left_behind(store.commit, contents.items)
    return store
