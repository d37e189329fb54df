"""Group commit: callers that arrive while a commit is in flight share the next one.

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
from typing import TypeAlias

import structlog

from ddnsd.store.group import Waiting, next_group
from ddnsd.store.interface import Done, Outcome, RestoredError, Store, UnavailableError, Unknown, Update
from ddnsd.store.snapshot import WatchCache
from ddnsd.store.trace import Trace
from ddnsd.telemetry.metrics import Metrics

_log = structlog.get_logger(__name__)

_RETRY_SECONDS = 0.2

Caller: TypeAlias = Waiting[asyncio.Future[Outcome]]


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

    async def commit(self, update: Update) -> Outcome:
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
            raise obstacle
        caller: Caller = Waiting(preserved.restore(update), asyncio.get_running_loop().create_future())
        self._queue.append(caller)
        self._start_sender()
        return await caller.answer

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
            while group := self._take_group():
                await self._send(group)
        finally:
            # Here, not in a done callback: a caller that comes in between would find no sender.
            self._senders = {sender for sender in self._senders if sender is not asyncio.current_task()}

    def _take_group(self) -> list[Caller]:
        queue = [caller for caller in self._queue if not caller.answer.cancelled()]
        group, self._queue = next_group(queue, self._store.limits)
        return group

    async def _send(self, group: Sequence[Caller]) -> None:
        updates = [caller.update for caller in group]
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
            after = max(newest, *caller.update.expects.values(), 0)
            revision = trace.revision_of(caller.update, after)
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


def _marks(updates: Sequence[Update]) -> set[str]:
    """Return keys of which each update that is done writes one."""
    marks: set[str] = set()
    for update in updates:
        if update.puts:
            marks.add(next(iter(update.puts)))
        else:
            marks |= update.deletes
    return marks


def _tell(caller: Caller, outcome: Outcome) -> None:
    if not caller.answer.cancelled():
        caller.answer.set_result(outcome)


def _refuse(group: Sequence[Caller], kind: type[Exception], cause: BaseException) -> None:
    """Give each caller an exception of its own: one that many raise gathers the tracebacks of all."""
    for caller in group:
        if not caller.answer.cancelled():
            error = kind(str(cause))
            error.__cause__ = cause
            caller.answer.set_exception(error)
