"""Which updates may share one commit.

All compares of a commit see the state before it. "A reads X, writes Y" beside "B reads Y, writes X"
would therefore both succeed, though neither order of the two allows it. So no update joins a group in
which another writes a key that it compares or writes, or compares a key that it writes: then the
members, applied in any order, do what they do together.

Group commit: callers that arrive while a commit is in flight share the next one.

One commit costs a round trip and a disk flush whatever it holds, so its cost is shared by all that
wait for it. Updates that must not share one (`store.group`) go in different groups. Groups in flight
side by side need no such care: the store does one after the other, and each compare sees the state
that it finds.

A group whose answer was lost is resolved here, for all callers: the store sees to it that nothing of it
can still be applied (`Store.settle`), the watch shows whether each update was (`store.trace`). What was
done is done, whatever others have written since; what was not is sent again. See docs/decisions/0024.
"""

import asyncio
from collections.abc import Sequence
from typing import TypeAlias, TypeVar

import structlog

from ddnsd.store.interface import (
    ConditionalWrite,
    Done,
    Limits,
    Outcome,
    RestoredError,
    Store,
    UnavailableError,
    Unknown,
)
from ddnsd.store.watch_cache import Trace, WatchCache
from ddnsd.telemetry.metrics import Metrics

MAX_GROUP_BYTES = 1 << 20  # keys and values; etcd refuses requests above 1.5 MiB (--max-request-bytes)

Answer = TypeVar("Answer")


Queued: TypeAlias = tuple[ConditionalWrite, Answer]  # an update that waits for its group, and whom to tell


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

    def conflicts(self, update: ConditionalWrite) -> bool:
        """Say whether a member writes what the update compares or writes, or compares what it writes."""
        return not (
            self._written.isdisjoint(update.expects)
            and self._written.isdisjoint(update.puts)
            and self._written.isdisjoint(update.deletes)
            and self._compared.isdisjoint(update.puts)
            and self._compared.isdisjoint(update.deletes)
        )

    def admits(self, update: ConditionalWrite) -> bool:
        """Say whether the update may join. An empty group admits any, however large."""
        if self._count == 0:
            return True
        fits = self.has_operations_for(update) and self._bytes + size(update) <= MAX_GROUP_BYTES
        return fits and not self.full and not self.conflicts(update)

    def has_operations_for(self, update: ConditionalWrite) -> bool:
        """Say whether the limits' operations allow one more member, this one."""
        most = self._limits.operations
        return most is None or self._count + 1 + max(self._largest, operations(update)) <= most

    def add(self, update: ConditionalWrite) -> None:
        """Count the update as a member."""
        self._compared.update(update.expects)
        self._written.update(update.puts, update.deletes)
        self._count += 1
        self._largest = max(self._largest, operations(update))
        self._bytes += size(update)


def size(update: ConditionalWrite) -> int:
    """Return the bytes of the update's keys and values (keys as characters: ours are nearly all ASCII)."""
    keys = sum(map(len, update.expects)) + sum(map(len, update.puts)) + sum(map(len, update.deletes))
    return keys + sum(map(len, update.puts.values()))


def operations(update: ConditionalWrite) -> int:
    """Return the update's compares or its writes, whichever are more: what counts for `Limits`."""
    return max(len(update.expects), len(update.puts) + len(update.deletes))


def next_group(
    queue: Sequence[Queued[Answer]], limits: Limits
) -> tuple[list[Queued[Answer]], list[Queued[Answer]]]:
    """Split the queue into the next group and the rest, both in the order of arrival.

    Who cannot join is passed over and stays first in line for the group after. At most `limits.group`
    are passed over, which bounds the work when thousands wait for one key.
    """
    if len(queue) < 2:
        return [*queue], []
    group = Group(limits)
    chosen: list[Queued[Answer]] = []
    passed: list[Queued[Answer]] = []
    looked = 0
    for waiting in queue:
        if group.full or len(passed) >= limits.group:
            break
        looked += 1
        update, _ = waiting
        if group.admits(update):
            group.add(update)
            chosen.append(waiting)
        else:
            passed.append(waiting)
    return chosen, [*passed, *queue[looked:]]


def check_group(updates: Sequence[ConditionalWrite], limits: Limits) -> None:
    """Check that the updates may share one commit; every store does so first.

    Raises:
        ValueError: two of them conflict, or they are more than the limits allow.
    """
    if len(updates) == 1:  # conflicts with nothing, and none is too large for a commit
        return
    if len(updates) > limits.group:
        raise ValueError(f"{len(updates)} updates in one commit; {limits.group} at most")
    group = Group(limits)
    for update in updates:
        if group.conflicts(update):
            raise ValueError(f"an update conflicts with another of its commit: it writes {_written(update)}")
        if not group.has_operations_for(update):
            raise ValueError(f"an update of {operations(update)} operations is too large for its commit")
        group.add(update)


def _written(update: ConditionalWrite) -> str:
    return ", ".join(sorted({*update.puts, *update.deletes})[:3]) or "nothing"


_log = structlog.get_logger(__name__)

_RETRY_SECONDS = 0.2

Caller: TypeAlias = Queued[asyncio.Future[Outcome]]


class GroupCommit:
    """Commits single updates in groups. Any number of callers on one event loop."""

    def __init__(self, store: Store, cache: WatchCache, metrics: Metrics) -> None:
        """`cache` is the store's: it shows what became of a group whose answer was lost.

        Its timeout bounds how long that may take, and it knows what this version cannot read.
        """
        self._store = store
        self._cache = cache
        self._metrics = metrics
        self._queue: list[Caller] = []
        self._senders: set[asyncio.Task[None]] = set()
        self._resolvers: set[asyncio.Task[None]] = set()
        self._newest = 0  # revision that an answer has told; what is sent after it comes above
        self._closed = False

    async def commit(self, update: ConditionalWrite) -> Outcome:
        """Apply the update together with those of other callers; return its own outcome.

        `Unknown` only if it cannot be found out: the state was loaded anew meanwhile, the store was
        restored, or it did not answer in time. Then it may be applied, or become so.

        A caller cancelled while it waits for its group takes its update back; cancelled later, the
        update may be applied all the same. The others are not disturbed.

        Raises:
            UnavailableError: certainly not applied; also from a node that is outdated.
        """
        if self._closed:
            raise UnavailableError("the group commit is closed")
        preserved = self._cache.preserved
        if obstacle := preserved.obstacle:
            raise UnavailableError(obstacle)
        answer: asyncio.Future[Outcome] = asyncio.get_running_loop().create_future()
        self._queue.append((preserved.restore(update), answer))
        self._start_sender()
        return await answer

    async def aclose(self) -> None:
        """Take no more updates, and wait until all that were taken are answered; idempotent."""
        self._closed = True
        while running := self._senders | self._resolvers:
            await asyncio.wait(running)

    def _start_sender(self) -> None:
        """Send what waits, unless as many do so as the store takes."""
        if len(self._senders) < self._store.limits.in_flight:
            # It starts in the loop's next turn, so callers of this turn share its first group.
            self._senders.add(asyncio.create_task(self._send_groups(), name="group commit"))

    async def _send_groups(self) -> None:
        try:
            while True:
                waiting = [caller for caller in self._queue if not caller[1].cancelled()]
                group, self._queue = next_group(waiting, self._store.limits)
                if not group:
                    return
                await self._send(group)
        finally:
            # Here, not in a done callback: a caller that comes in between would find no sender.
            self._senders = {sender for sender in self._senders if sender is not asyncio.current_task()}

    async def _send(self, group: Sequence[Caller]) -> None:
        updates = [update for update, _ in group]
        newest, trace = self._newest, self._cache.trace(_marks(updates))
        lost: list[Caller] = []
        try:
            outcomes = await self._store.commit(updates)
        except UnavailableError as error:
            self._metrics.committed(["unavailable"] * len(group))
            _refuse(group, UnavailableError, error)
        except Exception as error:  # noqa: BLE001  a bug: those who wait are told it, and nobody waits for ever
            _refuse(group, RuntimeError, error)
        else:
            lost = self._note(group, outcomes)
        if not lost:
            trace.close()
            return
        reason = next(outcome.reason for outcome in outcomes if isinstance(outcome, Unknown))
        resolving = self._resolve(lost, trace, newest, reason)
        resolver = asyncio.create_task(resolving, name="group commit, answer lost")
        self._resolvers.add(resolver)
        resolver.add_done_callback(self._resolvers.discard)

    def _note(self, group: Sequence[Caller], outcomes: Sequence[Outcome]) -> list[Caller]:
        """Tell those whose outcome is known; return the others."""
        lost: list[Caller] = []
        known: list[str] = []
        for caller, outcome in zip(group, outcomes, strict=True):
            if isinstance(outcome, Unknown):
                lost.append(caller)
                continue
            known.append(type(outcome).__name__.lower())
            self._newest = max(self._newest, outcome.revision)
            _tell(caller, outcome)
        self._metrics.committed(known)
        return lost

    async def _resolve(self, lost: Sequence[Caller], trace: Trace, newest: int, reason: str) -> None:
        """Find out what became of updates whose answer was lost; send again those that were not done.

        `newest` is the revision that was known when they were sent, `reason` why the answer was lost.
        """
        _log.info("commit.answer_lost", updates=len(lost), reason=reason)
        try:
            known = await self._is_settled(trace)
        finally:
            trace.close()
        if not known:
            _log.warning("commit.outcome_unknown", updates=len(lost), reason=reason)
            self._metrics.resolved("unknown", len(lost))
            for caller in lost:
                _tell(caller, Unknown(reason))
            return
        undone: list[Caller] = []
        for caller in lost:
            update, _ = caller
            revision = trace.revision_of(update, max(newest, *update.expects.values(), 0))
            if revision is None:
                undone.append(caller)
            else:
                _tell(caller, Done(revision))
        self._metrics.resolved("done", len(lost) - len(undone))
        self._queue[:0] = undone
        if undone:
            self._start_sender()

    async def _is_settled(self, trace: Trace) -> bool:
        """Wait until what was lost can no longer be applied, and the trace shows all of it that was.

        Return False if that cannot be known, or not in time.
        """
        try:
            async with asyncio.timeout(self._cache.timeout):
                while not trace.broken:
                    try:
                        settled = await self._store.settle()
                        if self._store.identity != self._cache.identity:
                            return False  # revisions of two histories: the cache will notice, too
                        return await trace.passed(settled)
                    except RestoredError:
                        return False
                    except UnavailableError:
                        await asyncio.sleep(_RETRY_SECONDS)
        except TimeoutError:
            pass
        return False


def _marks(updates: Sequence[ConditionalWrite]) -> set[str]:
    """Return keys of which each update that is done writes one."""
    marks: set[str] = set()
    for update in updates:
        if update.puts:
            marks.add(next(iter(update.puts)))
        else:
            marks |= update.deletes
    return marks


def _tell(caller: Caller, outcome: Outcome) -> None:
    _, answer = caller
    if not answer.cancelled():
        answer.set_result(outcome)


def _refuse(group: Sequence[Caller], kind: type[Exception], cause: BaseException) -> None:
    """Give each caller an exception of its own: one that many raise gathers the tracebacks of all."""
    for _, answer in group:
        if not answer.cancelled():
            error = kind(str(cause))
            error.__cause__ = cause
            answer.set_exception(error)
