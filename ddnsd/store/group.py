"""Which updates may share one commit.

All compares of a commit see the state before it. "A reads X, writes Y" beside "B reads Y, writes X"
would therefore both succeed, though neither order of the two allows it. So no update joins a group in
which another writes a key that it compares or writes, or compares a key that it writes: then the
members, applied in any order, do what they do together.
"""

from collections.abc import Sequence
from typing import Generic, NamedTuple, TypeVar

from ddnsd.store.interface import Limits, Update

MAX_GROUP_BYTES = 1 << 20  # keys and values; etcd refuses requests above 1.5 MiB (--max-request-bytes)

Answer = TypeVar("Answer")


class Waiting(NamedTuple, Generic[Answer]):
    """An update that waits for its group, and whom to tell."""

    update: Update
    answer: Answer


class Group:
    """The keys and the size of the updates that share one commit."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._compared: set[str] = set()
        self._written: set[str] = set()
        self._count = 0
        self._largest = 0
        self._bytes = 0

    @property
    def full(self) -> bool:
        """Say whether no update at all can join any more."""
        return self._count >= self._limits.group or self._bytes >= MAX_GROUP_BYTES

    def conflicts(self, update: Update) -> bool:
        """Say whether a member writes what the update compares or writes, or compares what it writes."""
        return not (
            self._written.isdisjoint(update.expects)
            and self._written.isdisjoint(update.puts)
            and self._written.isdisjoint(update.deletes)
            and self._compared.isdisjoint(update.puts)
            and self._compared.isdisjoint(update.deletes)
        )

    def admits(self, update: Update) -> bool:
        """Say whether the update may join. An empty group admits any, however large."""
        if self._count == 0:
            return True
        fits = self.has_operations_for(update) and self._bytes + size(update) <= MAX_GROUP_BYTES
        return fits and not self.full and not self.conflicts(update)

    def has_operations_for(self, update: Update) -> bool:
        """Say whether the limits' operations allow one more member, this one."""
        most = self._limits.operations
        return most is None or self._count + 1 + max(self._largest, operations(update)) <= most

    def add(self, update: Update) -> None:
        """Count the update as a member."""
        self._compared.update(update.expects)
        self._written.update(update.puts, update.deletes)
        self._count += 1
        self._largest = max(self._largest, operations(update))
        self._bytes += size(update)


def size(update: Update) -> int:
    """Return the bytes of the update's keys and values (keys as characters: ours are nearly all ASCII)."""
    keys = sum(map(len, update.expects)) + sum(map(len, update.puts)) + sum(map(len, update.deletes))
    return keys + sum(map(len, update.puts.values()))


def operations(update: Update) -> int:
    """Return the update's compares or its writes, whichever are more: what counts for `Limits`."""
    return max(len(update.expects), len(update.puts) + len(update.deletes))


def next_group(
    queue: Sequence[Waiting[Answer]], limits: Limits
) -> tuple[list[Waiting[Answer]], list[Waiting[Answer]]]:
    """Split the queue into the next group and the rest, both in the order of arrival.

    Who cannot join is passed over and stays first in line for the group after. At most `limits.group`
    are passed over, which bounds the work when thousands wait for one key.
    """
    group = Group(limits)
    chosen: list[Waiting[Answer]] = []
    passed: list[Waiting[Answer]] = []
    looked = 0
    for waiting in queue:
        if group.full or len(passed) >= limits.group:
            break
        looked += 1
        if group.admits(waiting.update):
            group.add(waiting.update)
            chosen.append(waiting)
        else:
            passed.append(waiting)
    return chosen, [*passed, *queue[looked:]]


def check_group(updates: Sequence[Update], limits: Limits) -> None:
    """Check that the updates may share one commit; every store does so first.

    Raises:
        ValueError: two of them conflict, or they are more than the limits allow.
    """
    if len(updates) > limits.group:
        raise ValueError(f"{len(updates)} updates in one commit; {limits.group} at most")
    group = Group(limits)
    for update in updates:
        if group.conflicts(update):
            raise ValueError(f"an update conflicts with another of its commit: it writes {_written(update)}")
        if not group.has_operations_for(update):
            raise ValueError(f"an update of {operations(update)} operations is too large for its commit")
        group.add(update)


def _written(update: Update) -> str:
    return ", ".join(sorted({*update.puts, *update.deletes})[:3]) or "nothing"
