"""The way of one call on the answering node: read, decide, commit, wait, answer.

Decisions are made on the state of that moment. A long one is made once for all that ask for the same then.
The commit is valid only while everything that was read is unchanged. A node counts by its own clock for how
long nothing could be published at a placement; one that has just started waits once more.
"""

import asyncio
import os
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import NamedTuple

import structlog

from ddnsd.model.authorization import in_full, token_name
from ddnsd.model.decision import Decision, Join, Move, Plan, RecordChange, Refused, Step, decide
from ddnsd.model.expiry import sighting
from ddnsd.model.publication import Progress
from ddnsd.model.records import Committed, HistoryEntry, Placement, PrefixHead, PrefixUpdate, RecordKey
from ddnsd.model.request import (
    HostResult,
    Limited,
    Moved,
    Refusal,
    Request,
    Skipped,
    Unchanged,
    Updated,
    UpdateRequest,
    UpdateResult,
    read,
)
from ddnsd.model.resources import digest
from ddnsd.model.state import State
from ddnsd.service.limits import ClientLimits, Ticket
from ddnsd.service.waiting import Awaited, Waiting
from ddnsd.store import keys
from ddnsd.store.group_commit import GroupCommit
from ddnsd.store.interface import ConditionalWrite, Done, RestoredError, StoreError, Unknown
from ddnsd.store.tables import Transaction
from ddnsd.store.watch_cache import Touched, WatchCache


def commitment(state: State, plan: Plan, request: Request, now: datetime) -> ConditionalWrite | None:
    """Return what to commit for a plan, None if nothing. `request` is one of those that it is for."""
    changes = [step for step in plan.steps if isinstance(step, RecordChange)]
    moves = [step for step in plan.steps if isinstance(step, Move) and step.due]
    if not (changes or moves or plan.sighted):
        return None
    commit = os.urandom(9).hex()
    transaction = Transaction({entry.key: entry.revision for entry in plan.reads})
    transaction.expects |= {keys.address(record): revision for record, revision in plan.records.items()}
    for change in changes:
        gone = not change.content
        zone = change.zone if gone else ""  # of a tombstone only: where it was published
        content = (change.content, change.previous, commit, now, zone)
        transaction.put(keys.address(change.record), Committed(*content, cleared=gone, again=change.times))
    for move in moves:
        transaction.replace(_prefix_key(plan), move.replaces, _moved(plan, move, request, commit, now))
        transaction.put(keys.prefix_head(plan.token.value.spec.account), PrefixHead(commit))
    for host, families in plan.sighted:
        seen, key = state.seen.get(host), keys.seen(host)
        if len(plan.sighted) == 1:  # two calls may refresh a family each; of many hosts it would not fit
            transaction.expect(key, seen)
        transaction.put(key, sighting(seen.value if seen else None, families, now))
    for host, entries in _entries(plan, changes, request, now).items():
        transaction.append_history(state, host, *entries)
    return transaction.update()


def awaited(plan: Plan, revision: int) -> Mapping[RecordKey, Awaited]:
    """Return what a plan waits for, once its commit was made at `revision`."""
    waits: dict[RecordKey, Awaited] = {}
    for step in plan.steps:
        match step:
            case RecordChange():
                waits[step.record] = Awaited(revision)
            case Join():
                waits[step.record] = Awaited(step.revision, step.published)
            case Move():
                for record, awaited in _awaited_of(step, revision):
                    waits.setdefault(record, awaited)
            case _:
                pass
    return waits


def _awaited_of(move: Move, revision: int) -> Iterator[tuple[RecordKey, Awaited]]:
    """Yield what is waited for of each host that follows, once the move was committed, if it was due.

    Also of those that are there already: a client may have changed one before the commit.
    """
    for join in move.joined:
        yield join.record, Awaited(revision if move.due else join.revision, join.published, may_go=True)
    if move.due:
        for record in (*move.moving, *move.again, *move.served):
            yield record, Awaited(revision, may_go=True)


def _moved(plan: Plan, move: Move, request: Request, commit: str, now: datetime) -> PrefixUpdate:
    token, prefix = plan.token.value.spec, str(move.prefix)
    origin = (token_name(plan.token), request.source, request.api)
    return PrefixUpdate(prefix, token.account, token.hosts, commit, now, *origin)


def _prefix_key(plan: Plan) -> str:
    """Return a key that stands for exactly these hosts: those that the token may change as it is now."""
    return keys.prefix(plan.token.value.spec.account, token_name(plan.token), plan.token.revision)


def _entries(
    plan: Plan, changes: list[RecordChange], request: Request, now: datetime
) -> Mapping[str, list[HistoryEntry]]:
    """Return the history's new entries, by host."""
    entries: defaultdict[str, list[HistoryEntry]] = defaultdict(list)
    for change in changes:
        if not change.again:
            what = (change.record.type, change.previous, change.shown)
            entry = HistoryEntry(now, *what, request.api, token_name(plan.token), request.source)
            entries[change.record.name].append(entry)
    return entries


_KEEP_SECONDS = 0.1


class Decisions:
    """Decides. Thousands of hosts may follow a prefix, and a look at them holds the loop for 40 ms."""

    def __init__(self, cache: WatchCache, keep: float = _KEEP_SECONDS) -> None:
        """A decision is kept for `keep` seconds: what ends by the clock ends so much later at most."""
        self._cache = cache
        self._keep = keep
        self._kept: tuple[tuple[str, int, UpdateRequest], datetime, Decision] | None = None

    def decide(self, attempt: UpdateRequest) -> Decision:
        """Return what the attempt comes to now."""
        now = datetime.now(UTC)
        for target in attempt.targets:
            if target.prefix is not None and target.moves:
                return self._decided_once(attempt, now)
        return decide(self._cache.state, attempt, now)  # as nearly always

    def _decided_once(self, attempt: UpdateRequest, now: datetime) -> Decision:
        question = (self._cache.identity, self._cache.revision, attempt)
        if self._kept is not None:
            asked, at, decision = self._kept
            if asked == question and 0 <= (now - at).total_seconds() < self._keep:
                return decision
        decision = decide(self._cache.state, attempt, now)
        self._kept = (question, now, decision)
        return decision


class Placements:
    """Knows which zones are in trouble where they live."""

    def __init__(self, cache: WatchCache, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` in seconds."""
        self._cache = cache
        self._clock = clock
        self._since: dict[Placement, float] = {}
        for placement in cache.state.placements:
            self._look_at(placement)
        cache.subscribe(self._look, (keys.PLACEMENTS,))

    def in_trouble(self, records: Iterable[RecordKey], seconds: float) -> bool:
        """Say whether the zone of any of these records has been in trouble for longer than that."""
        if not self._since:  # as nearly always
            return False
        state, latest = self._cache.state, self._clock() - seconds
        for name in {state.zone_of(record.name) for record in records}:
            if name and (zone := state.zones.get(name)):
                home = Placement(name, zone.value.spec.nameserver)
                if self._since.get(home, latest) < latest:
                    return True
        return False

    def _look(self, touched: Sequence[Touched]) -> None:
        if not self._cache.identity:  # another history: all that is in it is touched again
            self._since.clear()
        for place in touched:
            if place.shelf == keys.PLACEMENTS and isinstance(place.id, Placement):
                self._look_at(place.id)

    def _look_at(self, placement: Placement) -> None:
        noted = self._cache.state.placements.get(placement)
        if noted is not None and noted.value.error:
            self._since.setdefault(placement, self._clock())
        else:
            self._since.pop(placement, None)


_log = structlog.get_logger(__name__)

MOST_REQUESTS = 20
"""Names in one call: what is done together has to fit one commit, with all that it depends on."""

OnUpdateResult = Callable[[UpdateResult, str], None]
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
        self, cache: WatchCache, commits: GroupCommit, policy: UpdatePolicy, conduct: ClientLimits
    ) -> None:
        self._loop = asyncio.get_running_loop()  # kept: asking for it costs a call of the kernel each time
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
    def conduct(self) -> ClientLimits:
        """How clients are judged."""
        return self._conduct

    @property
    def in_flight(self) -> int:
        """How many updates are being committed or wait for the nameserver."""
        return len(self._tasks)

    def submit(
        self,
        requests: Sequence[Request],
        reply: OnUpdateResult,
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
        accepted = self._loop.time()
        request = requests[0]
        sent = digest(request.token) if request.token else ""
        if wait := self._conduct.wait(request, sent):
            reply(Limited(wait), "")
            return
        attempt = read(requests, sent, private=self._policy.private)
        if isinstance(attempt, Refusal):
            self._conduct.note(request, sent, "", attempt)
            reply(attempt, "")
            return
        call = _Call(attempt, request, accepted, self._policy, reply, ticket, waits)
        self._cache.when_current(partial(self._proceed, call))

    async def drain(self) -> None:
        """Wait until every accepted update is answered."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    def _proceed(self, call: "_Call", error: StoreError | None) -> None:
        """Decide, now that the state is current; answer at once what needs no commit and no wait."""
        if error is not None:
            _log.debug("update.store_unavailable", reason=str(error))
            self._answer(call, Refusal.STORE_FAILED)
            return
        try:
            if call.attempt.short:
                call = call._replace(attempt=in_full(self._cache.state, call.attempt))
            decision = self._decisions.decide(call.attempt)
            if isinstance(decision, Plan):
                self._start(call, decision)
            else:
                self._answer(call, decision, refused=decision is Refusal.NAMESERVER_FAILED)
        except Exception:  # noqa: BLE001 - a bug with this request must not reach all that share its round
            _log.exception("update.crashed")
            self._answer(call, Refusal.STORE_FAILED)

    def _answer(self, call: "_Call", answer: UpdateResult, *, refused: bool = False) -> None:
        """Answer; `refused` says that the nameserver was there, and refused a record."""
        name = call.attempt.name
        self._conduct.note(call.request, call.attempt.digest, name, answer, refused=refused)
        call.reply(answer, name)

    def _start(self, call: "_Call", plan: Plan) -> None:
        ticket = call.ticket or Ticket()
        if wait := self._conduct.enter(plan, ticket):
            self._answer(call, Limited(wait))
            return
        task = asyncio.create_task(self._finish(call, plan, ticket), name="update")
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("update.crashed", exc_info=error)

    async def _finish(self, call: "_Call", plan: Plan, ticket: Ticket) -> None:
        """Do what was planned, and answer."""
        answer: UpdateResult = Refusal.STORE_FAILED  # also if this fails as it never should
        refused = False
        try:
            answer, refused = await self._do(call, plan)
        finally:
            self._conduct.leave(ticket)
            self._answer(call, answer, refused=refused)

    async def _do(self, call: "_Call", plan: Plan) -> tuple[UpdateResult, bool]:
        """Commit until the decision stands, and wait for what is committed.

        Return the answer, and whether the nameserver was there, and refused a record.
        """
        deadline = call.accepted + min(call.policy.timeout, call.policy.store_timeout)
        try:
            async with asyncio.timeout_at(deadline):
                decision, revision = await self._commit(call, plan)
        except (StoreError, TimeoutError) as error:
            _log.debug("update.not_stored", name=call.attempt.name, reason=str(error) or "timeout")
            return Refusal.STORE_FAILED, False
        if isinstance(decision, Plan):
            return await self._await_publication(call, decision, revision)
        return decision, decision is Refusal.NAMESERVER_FAILED

    async def _commit(self, call: "_Call", plan: Plan) -> tuple[Decision, int]:
        """Return the plan that was committed, and its revision; or what there is to answer instead."""
        decision: Decision = plan
        while isinstance(decision, Plan):
            update = commitment(self._cache.state, decision, call.request, datetime.now(UTC))
            if update is None:
                return decision, 0
            outcome = await self._commits.commit(update)
            if isinstance(outcome, Done):
                return decision, outcome.revision
            if isinstance(outcome, Unknown):
                # Decided once more it might be done twice, or refused though done.
                _log.debug("update.outcome_unknown", name=call.attempt.name, reason=outcome.reason)
                return Refusal.STORE_FAILED, 0
            await self._cache.current()
            decision = self._decisions.decide(call.attempt)
        return decision, 0

    async def _await_publication(self, call: "_Call", plan: Plan, revision: int) -> tuple[UpdateResult, bool]:
        waits, timeout = awaited(plan, revision), call.policy.timeout
        if self._placements.in_trouble(waits, timeout):
            return Refusal.NAMESERVER_FAILED, False  # as it would be after a while
        now = Progress.REFUSED if plan.refused else Progress.PUBLISHED
        try:
            if waits and not plan.refused:
                call.waits()
                async with asyncio.timeout_at(call.accepted + timeout):
                    now = await self._waiting.settled(waits)
        except TimeoutError:
            return Refusal.NAMESERVER_FAILED, False  # the change stays, and is published later
        except RestoredError as error:  # perhaps to a state before the change
            _log.warning("update.restored", name=call.attempt.name, reason=str(error))
            return Refusal.STORE_FAILED, False
        if now is Progress.PUBLISHED:
            return tuple(map(_result, plan.steps)), False
        answer = Refusal.NOT_FOUND if now is Progress.GONE else Refusal.NAMESERVER_FAILED
        return answer, now is Progress.REFUSED


class _Call(NamedTuple):
    """What was submitted, as it was read; `accepted` by the loop's clock."""

    attempt: UpdateRequest
    request: Request  # the first of them
    accepted: float
    policy: UpdatePolicy
    reply: OnUpdateResult
    ticket: Ticket | None
    waits: Waits


def _result(step: Step) -> HostResult:
    """Return what a step has come to, once all that it waits for is published."""
    match step:
        case RecordChange():
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
