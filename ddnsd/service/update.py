"""The way of one call on the answering node: read, decide, commit, wait, answer."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

import structlog

from ddnsd.model.authorization import in_full
from ddnsd.model.decision import Change, Join, Move, Plan, Refused, Settled, Step
from ddnsd.model.progress import Progress
from ddnsd.model.request import (
    Answer,
    Attempt,
    Limited,
    Moved,
    Refusal,
    Request,
    Result,
    Skipped,
    Unchanged,
    Updated,
    read,
)
from ddnsd.model.resources import digest
from ddnsd.service.commitment import awaited, commitment
from ddnsd.service.conduct import Conduct
from ddnsd.service.decisions import Decisions
from ddnsd.service.fairuse import Ticket
from ddnsd.service.placements import Placements
from ddnsd.service.waiting import Waiting
from ddnsd.store.commit import GroupCommit
from ddnsd.store.interface import Done, RestoredError, StoreError, Unknown
from ddnsd.store.snapshot import WatchCache

_log = structlog.get_logger(__name__)

MOST_REQUESTS = 20
"""Names in one call: what is done together has to fit one commit, with all that it depends on."""

Reply = Callable[[Answer, str], None]
"""Takes the answer, and the first name that it is for: canonical; "" if that is none, or was not read."""

Waits = Callable[[], None]
"""Takes note that a request waits for a nameserver alone."""


class UpdatePolicy(NamedTuple):
    """What the installation decides about updates."""

    private: bool  # whether an address that the Internet cannot reach is valid
    timeout: float  # seconds from acceptance to the answer, whatever happens
    store_timeout: float  # seconds of these that the store may take


class UpdateService:
    """Takes updates and answers them. A client that goes away does not stop its update."""

    def __init__(
        self, cache: WatchCache, commits: GroupCommit, policy: UpdatePolicy, conduct: Conduct
    ) -> None:
        self._cache = cache
        self._commits = commits
        self._policy = policy
        self._conduct = conduct
        self._decisions = Decisions(cache)
        self._waiting = Waiting(cache)
        self._placements = Placements(cache)
        self._tasks: set[asyncio.Task[None]] = set()

    def reconfigure(self, policy: UpdatePolicy) -> None:
        """Treat what is submitted from now on by this policy."""
        self._policy = policy

    @property
    def conduct(self) -> Conduct:
        """How clients are judged."""
        return self._conduct

    @property
    def in_flight(self) -> int:
        """How many updates are being committed or wait for the nameserver."""
        return len(self._tasks)

    def submit(
        self,
        requests: Sequence[Request],
        reply: Reply,
        ticket: Ticket | None = None,
        waits: Waits = lambda: None,
    ) -> None:
        """Take requests of one client that are done together or not at all, at most `MOST_REQUESTS`.

        `reply` is called exactly once; its results are, for each request that is not the same as an earlier
        one, those of its records in the order of RRTYPES, then that of its prefix. The limits are asked
        before anything but the token is read. What has one `ticket` counts once while it waits. Nearly all
        calls are refused or unchanged: they take no task and no coroutine.

        `waits` is called when there is nothing left to wait for but a nameserver: what was asked for is
        committed, and will be published whether anybody waits or not.
        """
        accepted = asyncio.get_running_loop().time()
        request = requests[0]
        holder = digest(request.token) if request.token else ""
        if wait := self._conduct.wait(request, holder):
            reply(Limited(wait), "")
            return
        attempt = read(requests, holder, private=self._policy.private)
        if isinstance(attempt, Refusal):
            self._conduct.note(request, holder, "", attempt)
            reply(attempt, "")
            return

        def proceed(error: StoreError | None) -> None:
            call = _Call(attempt, request, accepted, reply, ticket, waits)
            if error is not None:
                _log.debug("update.store_unavailable", reason=str(error))
                self._answer(call, Refusal.STORE_FAILED)
                return
            try:
                if attempt.short:
                    call = call._replace(attempt=in_full(self._cache.state, attempt))
                self._decide(call)
            except Exception:  # noqa: BLE001 - a bug with this request must not reach all that share its round
                _log.exception("update.crashed")
                self._answer(call, Refusal.STORE_FAILED)

        self._cache.when_current(proceed)

    async def drain(self) -> None:
        """Wait until every accepted update is answered."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    def _decide(self, call: "_Call") -> None:
        decision = self._decisions.decide(call.attempt)
        if not isinstance(decision, Plan):
            self._answer(call, decision, refused=decision is Refusal.NAMESERVER_FAILED)
            return
        ticket = call.ticket or Ticket()
        if wait := self._conduct.enter(decision, ticket):
            self._answer(call, Limited(wait))
            return
        walk = _Walk(
            *(self._cache, self._commits, self._decisions, self._waiting, self._placements),
            *(self._policy, call),
        )
        task = asyncio.create_task(self._finish(walk, decision, call, ticket), name="update")
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _answer(self, call: "_Call", answer: Answer, *, refused: bool = False) -> None:
        """Answer; `refused` says that the nameserver was there, and refused a record."""
        attempt = call.attempt
        self._conduct.note(call.request, attempt.digest, attempt.name, answer, refused=refused)
        call.reply(answer, call.attempt.name)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("update.crashed", exc_info=error)

    async def _finish(self, walk: "_Walk", plan: Plan, call: "_Call", ticket: Ticket) -> None:
        answer: Answer = Refusal.STORE_FAILED  # also if the walk fails as it never should
        try:
            answer = await walk.answer(plan)
        finally:
            self._conduct.leave(plan.holder, ticket)
            self._answer(call, answer, refused=walk.refused)


class _Call(NamedTuple):
    """What was submitted, as it was read; `accepted` by the loop's clock."""

    attempt: Attempt
    request: Request  # the first of them
    accepted: float
    reply: Reply
    ticket: Ticket | None
    waits: Waits


class _Walk:
    """One call from its first decision that is no plain answer to its last."""

    def __init__(
        self,
        cache: WatchCache,
        commits: GroupCommit,
        decisions: Decisions,
        waiting: Waiting,
        placements: Placements,
        policy: UpdatePolicy,
        call: _Call,
    ) -> None:
        self._cache = cache
        self._commits = commits
        self._decisions = decisions
        self._waiting = waiting
        self._placements = placements
        self._timeout = policy.timeout
        self._attempt = call.attempt
        self._request = call.request
        self._waits = call.waits
        self._deadline = call.accepted + policy.timeout
        self.refused = False  # whether the nameserver was there, and refused a record
        self._store_deadline = min(self._deadline, call.accepted + policy.store_timeout)

    async def answer(self, plan: Plan) -> Answer:
        try:
            async with asyncio.timeout_at(self._store_deadline):
                settled = await self._commit(plan)
        except (StoreError, TimeoutError) as error:
            _log.debug("update.not_stored", name=self._name, reason=str(error) or "timeout")
            return Refusal.STORE_FAILED
        if isinstance(settled, _Committed):
            return await self._await_publication(*settled)
        self.refused = settled is Refusal.NAMESERVER_FAILED
        return settled

    @property
    def _name(self) -> str:
        return self._attempt.name

    async def _commit(self, decision: Settled | Plan) -> "_Committed | Settled":
        """Commit until the decision stands; what then remains is to wait for what is committed."""
        while isinstance(decision, Plan):
            update = commitment(self._cache.state, decision, self._request, datetime.now(UTC))
            if update is None:
                return _Committed(decision, 0)
            outcome = await self._commits.commit(update)
            if isinstance(outcome, Done):
                return _Committed(decision, outcome.revision)
            if isinstance(outcome, Unknown):
                # Decided once more it might be done twice, or refused though done.
                _log.debug("update.outcome_unknown", name=self._name, reason=outcome.reason)
                return Refusal.STORE_FAILED
            await self._cache.current()
            decision = self._decisions.decide(self._attempt)
        return decision

    async def _await_publication(self, plan: Plan, revision: int) -> Answer:
        waits = awaited(plan, revision)
        if self._placements.in_trouble(waits, self._timeout):
            return Refusal.NAMESERVER_FAILED  # as it would be after a while
        now = Progress.REFUSED if plan.refused else Progress.PUBLISHED
        try:
            if waits and not plan.refused:
                self._waits()
                async with asyncio.timeout_at(self._deadline):
                    now = await self._waiting.settled(waits)
        except TimeoutError:
            return Refusal.NAMESERVER_FAILED  # the change stays, and is published later
        except RestoredError as error:  # perhaps to a state before the change
            _log.warning("update.restored", name=self._name, reason=str(error))
            return Refusal.STORE_FAILED
        if now is Progress.PUBLISHED:
            return tuple(map(_result, plan.steps))
        self.refused = now is Progress.REFUSED
        return Refusal.NOT_FOUND if now is Progress.GONE else Refusal.NAMESERVER_FAILED


class _Committed(NamedTuple):
    plan: Plan
    revision: int


def _result(step: Step) -> Result:
    """Return what a step has come to, once all that it waits for is published."""
    match step:
        case Change():
            return Updated(step.record.name, step.shown, step.record.type, step.previous)
        case Join() if step.published:
            return Unchanged(step.record.name, step.shown, step.record.type)
        case Join():
            return Updated(step.record.name, step.shown, step.record.type, step.previous)
        case Move():
            return step.result
        case Unchanged() | Moved() | Skipped():
            return step
        case Refused():
            raise AssertionError("an answer with a refused record is a refusal")
