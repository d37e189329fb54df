"""The store: a small linearizable key-value map with revisions, watches and conditional commits.

The vocabulary is etcd's (https://etcd.io/docs/v3.5/learning/api/): every commit that changes
something has one new **revision**, the same for all keys it writes; a key carries the revision that
created it and the one that last wrote it. Keys are text relative to the installation's prefix,
values are bytes. The rest of the program knows this file, never a particular store.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple, Protocol

from ddnsd.store.keys import ELECTION

# Compares, and writes, each: 100 documents and bookkeeping; leaves etcd's --max-txn-ops (128) some room.
MAX_KEYS_PER_UPDATE = 104
CLOCK = "clock"  # written by every commit that changes something; no update may name it


class KeyValue(NamedTuple):
    """A key's value at a revision."""

    value: bytes
    revision: int  # that last wrote it
    created: int  # revision that created it


class SnapshotAt(NamedTuple):
    """All keys under a prefix at one revision."""

    revision: int
    items: Mapping[str, KeyValue]


class KeyPage(NamedTuple):
    """Some keys of a range, in their order or against it; `total` is how many the whole range has."""

    items: tuple[tuple[str, KeyValue], ...]
    total: int


Changes = Mapping[str, KeyValue | None]  # by key, what was written; None where the key was deleted


class Revision(NamedTuple):
    """Everything under the prefix that one commit did: delivered whole, in revision order, once."""

    revision: int
    changes: Changes


@dataclass(frozen=True, slots=True)
class ConditionalWrite:
    """A conditional change: if every key in `expects` is at its revision, do the puts and deletes.

    `expects` maps a key to its last-write revision, 0 for "absent". Deletes of absent keys do nothing.
    """

    expects: Mapping[str, int]
    puts: Mapping[str, bytes] = field(default_factory=dict)
    deletes: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        writes = len(self.puts) + len(self.deletes)
        if len(self.expects) > MAX_KEYS_PER_UPDATE or writes > MAX_KEYS_PER_UPDATE:
            raise ValueError(f"an update of more than {MAX_KEYS_PER_UPDATE} compares or writes")
        if CLOCK in self.puts or CLOCK in self.deletes or CLOCK in self.expects:
            raise ValueError(f"the key {CLOCK!r} is the store's own")
        if not self.deletes.isdisjoint(self.puts):
            raise ValueError("an update puts and deletes the same key")

    def writes(self, key: str) -> bool:
        """Say whether the update would write the key."""
        return key in self.puts or key in self.deletes


class Done(NamedTuple):
    """Applied, durable: its writes have this revision."""

    revision: int


class Stale(NamedTuple):
    """Not applied: an expected revision was another. `current` holds all the keys it expected.

    `revision` is the store's when it looked.
    """

    revision: int
    current: Mapping[str, KeyValue | None]


class Unknown(NamedTuple):
    """Perhaps applied, perhaps later: the store's answer was lost. `reason` is for the log.

    `Store.settle` ends the "later", `store.commit.GroupCommit` the "perhaps", where that is possible.
    """

    reason: str


Outcome = Done | Stale | Unknown


class StoreError(Exception):
    """The store could not do what was asked; nothing was changed.

    StoreError
    ├── UnavailableError    not now (no quorum, disk full, closed); may work later
    │   └── RestoredError   the history is another one: all that was read of the old one is void
    └── CompactedError      the watch's first revision is no longer kept: take a new snapshot

    It is raised itself where a store cannot be opened at all: another process owns it, or what is stored is
    damaged, foreign, or of another version. Its message says what to do.
    """


class UnavailableError(StoreError):
    """The store cannot answer now."""


class RestoredError(UnavailableError):
    """The store was restored from a backup, or wiped: revisions known before mean nothing any more."""


class CompactedError(StoreError):
    """History before a revision is gone."""


class FailureKind(StrEnum):
    """Why a call fails."""

    UNREACHABLE = "unreachable"  # no answer from any server
    NO_QUORUM = "no_quorum"  # too few of the servers are there
    CERTIFICATE = "certificate"
    AUTHENTICATION = "authentication"
    PERMISSION = "permission"
    NO_SPACE = "no_space"
    REFUSED = "refused"  # anything else that the server does not do
    DISK = "disk"  # of the embedded store


class StoreProblem(NamedTuple):
    """Something that an operator should know, and what to do about it.

    `is_own`: it is of this node alone, others may be without it.
    """

    text: str
    remedy: str
    is_own: bool = False


class StoreServer(NamedTuple):
    """One server's own view. Sizes in bytes; `error` says why it does not tell, "" if it does."""

    name: str
    version: str = ""
    size: int = 0
    in_use: int = 0
    leads: bool = False
    error: str = ""


class StoreHealth(NamedTuple):
    """How the store is. `members` are the names of all servers of its cluster, known here or not."""

    servers: tuple[StoreServer, ...]
    members: tuple[str, ...]
    problems: tuple[StoreProblem, ...]


class Limits(NamedTuple):
    """What one commit may hold, and how many groups may be in flight.

    `group` is the most updates. `operations` is the most that their number and the size of the largest
    one (its compares or its writes, whichever are more) may be together; None where that is no matter.
    """

    group: int
    in_flight: int
    operations: int | None = None


OnProgress = Callable[[int], None]  # called with a number of keys


def ignore_progress(_keys: int) -> None:
    """Do nothing with it."""


class Watch(Protocol):
    """An iterator over revisions, for one reader; one that is cancelled while it waits can read on later."""

    def __aiter__(self) -> "Watch": ...

    async def __anext__(self) -> Revision:
        """Return the next revision.

        Raises:
            CompactedError: it is no longer kept: the reader fell too far behind, or began too early.
            RestoredError: there is another history now; a new watch, after a new snapshot, reads that.
            UnavailableError: the store does not let it be read, or is closed.
        """
        ...

    async def aclose(self) -> None:
        """Release it, read to its end or not; idempotent."""
        ...


class Leadership(Protocol):
    """A won election."""

    @property
    def epoch(self) -> int:
        """Revision that created my election key: grows with every new leader."""
        ...

    @property
    def guard(self) -> Mapping[str, int]:
        """What a commit expects in addition, so that it fails once I no longer lead."""
        ...

    async def confirm(self) -> bool:
        """Ask the store, linearizably, whether my key still leads.

        Raises:
            UnavailableError: it cannot be known now.
        """
        ...

    async def lost(self) -> None:
        """Wait until leadership is over (by its own monotonic clock before the lease can end)."""
        ...

    async def resign(self) -> None:
        """Give leadership up at once; idempotent."""
        ...


class Registration(Protocol):
    """A key that lives as long as whoever registered it. Lost meanwhile, it is written anew by itself."""

    async def update(self, value: bytes) -> None:
        """Replace the value.

        Raises:
            UnavailableError: not now; perhaps later, by itself.
        """
        ...

    async def close(self) -> None:
        """Remove the key, unless somebody else has registered it since; idempotent."""
        ...


class Store(Protocol):
    """The interface. Any number of callers on one event loop."""

    @property
    def limits(self) -> Limits:
        """What `commit` takes at once."""
        ...

    @property
    def identity(self) -> str:
        """The id of the store's history; another one whenever it was restored.

        What was asked after reading it, in the same turn of the loop, is answered of this history or
        raises `RestoredError`.
        """
        ...

    async def snapshot(self, prefix: str = "", progress: OnProgress = ignore_progress) -> SnapshotAt:
        """Return all keys under the prefix at one, linearizable revision.

        `progress` is called while they are read, with how many there are so far.

        Raises:
            UnavailableError: not now.
        """
        ...

    async def page(self, prefix: str, limit: int, *, before: str = "", first: bool = False) -> KeyPage:
        """Return at most `limit` keys under the prefix: the last ones, backwards; if `first` the first ones.

        With `before` only those that come before that key count. Linearizable.

        Raises:
            UnavailableError: not now.
        """
        ...

    def watch(self, prefix: str, start: int) -> Watch:
        """Return every revision ≥ `start` that wrote under the prefix: whole, in order, once.

        To be closed by the reader; those of a store end with it.
        """
        ...

    async def commit(self, updates: Sequence[ConditionalWrite]) -> Sequence[Outcome]:
        """Apply each update for itself, all at one revision, durably; outcomes in the same order.

        Every compare sees the state before the call. The updates must not conflict
        (`store.group`) and not exceed `limits`.

        Raises:
            UnavailableError: certainly nothing was applied.
            ValueError: conflicting or too many updates.
        """
        ...

    async def settle(self) -> int:
        """See to it that nothing of the commits whose outcome is unknown is applied from now on.

        Return a revision at or below which everything has happened that ever will of them: a watch that
        has shown it has shown all of that.

        Raises:
            UnavailableError: not now.
        """
        ...

    async def revision(self) -> int:
        """Return the revision of the newest commit, linearizably ("what is `clock`'s revision?").

        Raises:
            UnavailableError: not now.
        """
        ...

    async def campaign(self, value: bytes, election: str = ELECTION) -> Leadership:
        """Wait until elected; the lowest create revision leads. `value` says who (for status).

        `election` is what the candidates' keys begin with: each is an election by itself.

        Raises:
            UnavailableError: not now; the caller is in the queue no more.
        """
        ...

    async def register(self, name: str, value: bytes) -> Registration:
        """Write `members/<name>` for as long as the caller lives; the last one to register a name has it.

        Raises:
            UnavailableError: not now.
        """
        ...

    async def compact(self, revision: int) -> bool:
        """Let go of the history before a revision; False where the store does not let us: see `health`.

        Raises:
            UnavailableError: not now.
        """
        ...

    @property
    def write_failure(self) -> StoreProblem | None:
        """Why the last write was not taken; None once one is."""
        ...

    async def health(self) -> StoreHealth:
        """Ask all servers how they are; what cannot be known stands among the problems."""
        ...

    def on_failure(self, count: Callable[[FailureKind], None]) -> None:
        """Call this at each call that fails from now on."""
        ...

    def renew(self, reason: str) -> None:
        """Begin again with whatever connects to the store: a new client, where there is one.

        Watches and leaderships of now end, with `UnavailableError`; registrations are written again.
        """
        ...

    async def close(self) -> None:
        """Release everything; calls after it raise `UnavailableError`; idempotent."""
        ...
