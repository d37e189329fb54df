"""The way of one update on the answering node: read, decide, commit, wait, answer."""

import asyncio
import os
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import NamedTuple, assert_never

import structlog

from ..model.answers import Answer, Refusal, Unchanged, Updated
from ..model.decision import Attempt, Change, Join, Progress, decide, read
from ..model.records import Committed
from ..model.request import Request
from ..store import codec, keys
from ..store.commit import GroupCommit
from ..store.interface import Done, Outcome, RestoredError, Stale, StoreError, Unknown, Update
from ..store.snapshot import WatchCache
from .waiting import Waiting

_log = structlog.get_logger(__name__)

Reply = Callable[[Answer], None]


class UpdatePolicy(NamedTuple):
    """What the installation decides about updates."""

    private: bool  # whether an address that the Internet cannot reach is valid
    timeout: float  # seconds from acceptance to the answer, whatever happens
    store_timeout: float  # seconds of these that the store may take


class UpdateService:
    """Takes updates and answers them. A client that goes away does not stop its update."""

    def __init__(self, cache: WatchCache, commits: GroupCommit, policy: UpdatePolicy) -> None:
        self._cache = cache
        self._commits = commits
        self._policy = policy
        self._waiting = Waiting(cache)
        self._tasks: set[asyncio.Task[None]] = set()

    def reconfigure(self, policy: UpdatePolicy) -> None:
        """Treat what is submitted from now on by this policy."""
        self._policy = policy

    @property
    def in_flight(self) -> int:
        """How many updates are being committed or wait for the nameserver."""
        return len(self._tasks)

    def submit(self, requests: Sequence[Request], reply: Reply) -> None:
        """Take requests of one client that are done together or not at all, at most 20.

        `reply` is called exactly once, with the answer.

        Nearly all requests are refused or unchanged: they take no task and no coroutine.
        """
        accepted = asyncio.get_running_loop().time()
        attempt = read(requests[0], private=self._policy.private)
        if isinstance(attempt, Refusal):
            reply(attempt)
            return

        def proceed(error: StoreError | None) -> None:
            if error is not None:
                _log.debug("update.store_unavailable", reason=str(error))
                reply(Refusal.STORE_FAILED)
                return
            try:
                self._decide(attempt, accepted, reply)
            except Exception:  # noqa: BLE001 - a bug with this request must not reach all that share its round
                _log.exception("update.crashed")
                reply(Refusal.STORE_FAILED)

        self._cache.when_current(proceed)

    async def drain(self) -> None:
        """Wait until every accepted update is answered."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    def _decide(self, attempt: Attempt, accepted: float, reply: Reply) -> None:
        decision = decide(self._cache.state, attempt, datetime.now(UTC))
        if isinstance(decision, Refusal):
            reply(decision)
        elif isinstance(decision, Unchanged):
            reply((decision,))
        else:
            self._start(attempt, decision, accepted, reply)

    def _start(self, attempt: Attempt, decision: Change | Join, accepted: float, reply: Reply) -> None:
        walk = _Walk(self._cache, self._commits, self._waiting, self._policy, attempt, accepted)
        task = asyncio.create_task(self._finish(walk, decision, reply), name="update")
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("update.crashed", exc_info=error)

    async def _finish(self, walk: "_Walk", decision: Change | Join, reply: Reply) -> None:
        answer: Answer = Refusal.STORE_FAILED  # also if the walk fails as it never should
        try:
            answer = await walk.answer(decision)
        finally:
            reply(answer)


class _Walk:
    """One update from its first decision that is no plain answer to its last."""

    def __init__(
        self,
        cache: WatchCache,
        commits: GroupCommit,
        waiting: Waiting,
        policy: UpdatePolicy,
        attempt: Attempt,
        accepted: float,
    ) -> None:
        self._cache = cache
        self._commits = commits
        self._waiting = waiting
        self._attempt = attempt
        self._deadline = accepted + policy.timeout
        self._store_deadline = min(self._deadline, accepted + policy.store_timeout)

    async def answer(self, decision: Change | Join) -> Answer:
        try:
            async with asyncio.timeout_at(self._store_deadline):
                settled = await self._commit(decision)
        except (StoreError, TimeoutError) as error:
            _log.debug("update.not_stored", name=self._attempt.name, reason=str(error) or "timeout")
            return Refusal.STORE_FAILED
        if isinstance(settled, Join):
            return await self._await_publication(settled)
        return (settled,) if isinstance(settled, Unchanged) else settled

    async def _commit(self, decision: Change | Join | Refusal | Unchanged) -> Join | Refusal | Unchanged:
        """Commit until the decision stands; what then remains to wait for is a Join."""
        while isinstance(decision, Change):
            committed = _commitment(decision)
            update = _conditional(decision, committed)
            outcome = await self._commits.commit(update)
            revision = self._applied(decision, committed, outcome)
            while revision is None and isinstance(outcome, Unknown):
                # It may be applied later still. Sent again with the same compares, on a key that it
                # writes itself, only one of the two can be.
                _log.debug("update.outcome_unknown", name=decision.record.name, reason=outcome.reason)
                outcome = await self._commits.commit(update)
                revision = self._applied(decision, committed, outcome)
            if revision is not None:
                return Join(decision.record, revision, decision.ip, decision.previous, published=False)
            await self._cache.current()
            decision = decide(self._cache.state, self._attempt, datetime.now(UTC))
        return decision

    def _applied(self, change: Change, committed: Committed, outcome: Outcome) -> int | None:
        """Return the revision at which the change was made, or None if it was not."""
        if isinstance(outcome, Done):
            return outcome.revision
        current = outcome.current.get(keys.address(change.record)) if isinstance(outcome, Stale) else None
        return current.revision if current and codec.is_of_commit(current.value, committed.commit) else None

    async def _await_publication(self, join: Join) -> Answer:
        try:
            async with asyncio.timeout_at(self._deadline):
                now = await self._waiting.settled(join.record, join.revision, verify=join.published)
        except TimeoutError:
            return Refusal.NAMESERVER_FAILED  # the change stays, and is published later
        except RestoredError as error:  # perhaps to a state before the change
            _log.warning("update.restored", name=self._attempt.name, reason=str(error))
            return Refusal.STORE_FAILED
        match now:
            case Progress.PUBLISHED if join.published:
                return (Unchanged(join.record.name, join.ip, join.record.type),)
            case Progress.PUBLISHED:
                return (Updated(join.record.name, join.ip, join.record.type, join.previous),)
            case Progress.GONE:
                return Refusal.NOT_FOUND
            case Progress.REFUSED | Progress.WAITING:
                return Refusal.NAMESERVER_FAILED
            case _:
                assert_never(now)


def _commitment(change: Change) -> Committed:
    return Committed(change.ip, change.previous, os.urandom(9).hex(), datetime.now(UTC))


def _conditional(change: Change, committed: Committed) -> Update:
    """Return the commit of a change: valid only while everything that was read is still so."""
    key = keys.address(change.record)
    expects = {entry.key: entry.revision for entry in change.reads}
    expects[key] = change.replaces.revision if change.replaces else 0
    return Update(expects, {key: codec.encode(committed)})
