"""Group commit: callers that arrive while a commit is in flight share the next one.

One commit costs a round trip and a disk flush whatever it holds, so its cost is shared by all that
wait for it. Updates that must not share one (`store.group`) go in different groups. Groups in flight
side by side need no such care: the store does one after the other, and each compare sees the state
that it finds.
"""

import asyncio
from collections.abc import Sequence
from typing import TypeAlias

import structlog

from ..telemetry.metrics import Metrics
from .group import Waiting, next_group
from .interface import Outcome, Store, UnavailableError, Unknown, Update
from .preserved import Preserved

_log = structlog.get_logger(__name__)

Caller: TypeAlias = Waiting[asyncio.Future[Outcome]]


class GroupCommit:
    """Commits single updates in groups. Any number of callers on one event loop."""

    def __init__(self, store: Store, metrics: Metrics, preserved: Preserved) -> None:
        """`preserved` is what the values now stored hold and this version does not know."""
        self._store = store
        self._preserved = preserved
        self._metrics = metrics
        self._queue: list[Caller] = []
        self._senders: set[asyncio.Task[None]] = set()
        self._closed = False

    async def commit(self, update: Update) -> Outcome:
        """Apply the update together with those of other callers; return its own outcome.

        A caller cancelled while it waits for its group takes its update back; cancelled later, the
        update may be applied all the same. The others are not disturbed.

        Raises:
            UnavailableError: certainly not applied; also from a node that is outdated.
        """
        if self._closed:
            raise UnavailableError("the group commit is closed")
        if obstacle := self._preserved.obstacle:
            raise obstacle
        caller: Caller = Waiting(self._preserved.restore(update), asyncio.get_running_loop().create_future())
        self._queue.append(caller)
        if len(self._senders) < self._store.limits.in_flight:
            # It starts in the loop's next turn, so callers of this turn share its first group.
            sender = asyncio.create_task(self._send_groups(), name="group commit")
            self._senders.add(sender)
        return await caller.answer

    async def aclose(self) -> None:
        """Take no more updates, and wait until all that were taken are answered; idempotent."""
        self._closed = True
        while self._senders:
            await asyncio.wait(self._senders)

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
        try:
            outcomes = await self._store.commit([caller.update for caller in group])
        except UnavailableError as error:
            self._metrics.committed(["unavailable"] * len(group))
            _refuse(group, UnavailableError, error)
        except Exception as error:  # noqa: BLE001  a bug: those who wait are told it, and nobody waits for ever
            _refuse(group, RuntimeError, error)
        else:
            self._metrics.committed(type(outcome).__name__.lower() for outcome in outcomes)
            if lost := [outcome for outcome in outcomes if isinstance(outcome, Unknown)]:
                _log.warning("commit.outcome_unknown", updates=len(lost), reason=lost[0].reason)
            for caller, outcome in zip(group, outcomes, strict=True):
                if not caller.answer.cancelled():
                    caller.answer.set_result(outcome)


def _refuse(group: Sequence[Caller], kind: type[Exception], cause: BaseException) -> None:
    """Give each caller an exception of its own: one that many raise gathers the tracebacks of all."""
    for caller in group:
        if not caller.answer.cancelled():
            error = kind(str(cause))
            error.__cause__ = cause
            caller.answer.set_exception(error)
