"""Fair use (docs/operations/fair-use.md): how often clients may ask, and how much may wait at once.

A token, an account and an unknown source are charged for what they do, told how long to wait, and remembered
with what they were refused. All of that is in memory, of this process alone, and bounded: nobody can fill the
store with it.
"""

import itertools
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

import msgspec

from ddnsd.model.addresses import networks_of
from ddnsd.model.authorization import token_name
from ddnsd.model.decision import Plan
from ddnsd.model.names import label_count
from ddnsd.model.ratelimit import Buckets, Rate
from ddnsd.model.records import Entry, Resource
from ddnsd.model.request import (
    Api,
    Limited,
    Moved,
    Refusal,
    Request,
    Skipped,
    Unchanged,
    UpdateResult,
    result_of,
)
from ddnsd.model.resources import TokenSpec
from ddnsd.model.state import State
from ddnsd.service.status import host_name, whose

_MOST = 16_384  # names in a table: it takes as many that are not full at the same moment, 5 MB, to fill one

Tables = tuple[Buckets, ...]


class FairUseLimits(NamedTuple):
    """How often each may do what, before it has to wait."""

    enabled: bool
    token_attempts: Rate
    token_changes: Rate
    account_attempts: Rate
    account_changes: Rate
    source_failures: Rate  # of IPv4 an address, of IPv6 a /64
    process_failures: Rate = Rate(100, 2000)  # of all sources together
    token_waiting: int = 32  # requests at the same time
    account_waiting: int = 128


_WIDER = (4, 16)
"""How much more a /56 and a /48 may fail than a /64: one customer may have either, or many in it one each."""
_ALL = "all"  # sources together
_ROOM_SECONDS = 1.0  # until a request that would wait beside too many others may come again


@dataclass(slots=True)
class Ticket:
    """One call of a client, however many requests it makes of it: they wait in one place."""

    waiting: int = 0  # requests
    places: tuple[tuple[str, str], ...] = ()  # where they are counted, while there are any


class FairUse:
    """Keeps the count. It judges by who asks: a token and its account, or, where no token is valid, a source.

    An attempt is a request with a valid token, a change one that is to be committed, a failure one that
    named no valid token, or was malformed.
    """

    def __init__(
        self, limits: FairUseLimits, clock: Callable[[], float] = time.monotonic, most: int = _MOST
    ) -> None:
        """`clock` in seconds; `most` bounds each table."""
        self._clock = clock
        self._most = most
        self._waiting: dict[tuple[str, str], int] = {}  # calls, by what they are of and its name
        self._set_up(limits)

    def reconfigure(self, limits: FairUseLimits) -> None:
        """Go by these limits from now on. Where they are others, everybody begins anew."""
        if limits != self._limits:
            self._set_up(limits)

    def source_wait(self, source: str) -> float:
        """Return the seconds until this source may fail again, 0.0 if it may now.

        All of an IPv6 /64 are one source; a /56, a /48 and all sources together have limits of their own.
        """
        return self._wait(self._failures, (*networks_of(source), _ALL))

    def failed(self, source: str) -> None:
        """Note that the source sent a request that named no valid token, or was malformed."""
        self._take(self._failures, (*networks_of(source), _ALL))

    def fails_too_often(self, source: str) -> bool:
        """Note a failure; return whether it was one too many, which is not noted."""
        too_often = self.source_wait(source) > 0
        if not too_often:
            self.failed(source)
        return too_often

    def attempt_wait(self, token: str, account: str) -> float:
        """Return the seconds until another attempt is allowed, 0.0 if it is now; it takes nothing."""
        return self._wait(self._attempts, (token, account))

    def attempted(self, token: str, account: str, count: int = 1) -> None:
        """Note an attempt, once answered: none is what changed nothing, or what others failed to do.

        One that costs as much as several counts for so many.
        """
        self._take(self._attempts, (token, account), count)

    def take_changes(self, token: str, account: str, count: int) -> float:
        """Take that many changes and return 0.0, or take none and return the seconds to wait for them.

        More than the burst can be had at once, by whoever has not changed anything for long.
        """
        wait = self._wait(self._changes, (token, account), count)
        if not wait:
            self._take(self._changes, (token, account), count)
        return wait

    def enter(self, token: str, account: str, ticket: Ticket) -> float:
        """Let a request wait for the store and the nameserver and return 0.0, or return the seconds to wait.

        A request that has entered has to `leave`.
        """
        if not ticket.waiting:
            of_token, of_account = places = ("token", token), ("account", account)
            full = (
                self._waiting.get(of_token, 0) >= self._limits.token_waiting
                or self._waiting.get(of_account, 0) >= self._limits.account_waiting
            )
            if full and self._limits.enabled:
                return _ROOM_SECONDS
            for at in places:
                self._waiting[at] = self._waiting.get(at, 0) + 1
            ticket.places = places
        ticket.waiting += 1
        return 0.0

    def leave(self, ticket: Ticket) -> None:
        """Note that a request waits no more."""
        ticket.waiting -= 1
        if ticket.waiting:
            return
        for at in ticket.places:
            self._waiting[at] -= 1
            if not self._waiting[at]:
                del self._waiting[at]

    def _set_up(self, limits: FairUseLimits) -> None:
        def tables(*rates: Rate) -> Tables:
            return tuple(Buckets(rate, self._most) for rate in rates)

        self._limits = limits
        self._attempts = tables(limits.token_attempts, limits.account_attempts)
        self._changes = tables(limits.token_changes, limits.account_changes)
        failures = limits.source_failures
        wider = (Rate(failures.per_second * times, failures.burst * times) for times in _WIDER)
        self._failures = tables(failures, *wider, limits.process_failures)

    def _wait(self, tables: Tables, names: tuple[str, ...], count: int = 1) -> float:
        if not self._limits.enabled:
            return 0.0
        now, longest = self._clock(), 0.0
        for table, name in zip(tables, names, strict=True):
            longest = max(longest, table.wait(name, now, count))
        return longest

    def _take(self, tables: Tables, names: tuple[str, ...], count: int = 1) -> None:
        if not self._limits.enabled:
            return
        now = self._clock()
        for table, name in zip(tables, names, strict=True):
            if name:
                table.take(name, now, count)


MOST_REFUSED = 1000


class RefusedAttempt(msgspec.Struct, frozen=True):
    """One attempt. `name` is "" where what was sent is no name: it may be a secret.

    `result` is the refusal, as in the metrics; `token` the token's name, "" where there is none; `source` the
    client's address. Of an attempt that was done but for an address or a prefix that its host cannot take,
    `left_out` is that part, and `count` how often that was so: each host has one entry for each reason.
    """

    at: datetime
    api: Api
    name: str
    result: str
    source: str
    token: str
    left_out: str = ""
    count: int = 1


class RefusedAttempts:
    """The newest attempts of this process, so many and no more."""

    def __init__(self) -> None:
        self._attempts: OrderedDict[object, RefusedAttempt] = OrderedDict()
        self._numbers = itertools.count()

    def note(self, attempt: RefusedAttempt) -> None:
        """Note an attempt. One that is like an earlier one, but for what was left out, is counted there."""
        key: object = (attempt.name, attempt.result) if attempt.left_out else next(self._numbers)
        if (before := self._attempts.pop(key, None)) is not None:
            attempt = msgspec.structs.replace(attempt, count=before.count + 1)
        self._attempts[key] = attempt
        if len(self._attempts) > MOST_REFUSED:
            self._attempts.popitem(last=False)

    def all(self) -> tuple[RefusedAttempt, ...]:
        """Return them all, the oldest first."""
        return tuple(self._attempts.values())


def newest(attempts: Iterable[RefusedAttempt], limit: int) -> Sequence[RefusedAttempt]:
    """Return at most `limit` attempts, the newest first."""
    return sorted(attempts, key=lambda attempt: attempt.at, reverse=True)[:limit]


def concerning(state: State, who: str, attempts: Iterable[RefusedAttempt]) -> Iterable[RefusedAttempt]:
    """Return the attempts on a host, or on an account's hosts or with its tokens; all of them for ""."""
    if not who:
        return attempts
    hosts = frozenset(whose(state, who) or (host_name(who) or who,))
    return [attempt for attempt in attempts if attempt.name in hosts or _account(state, attempt) == who]


def _account(state: State, attempt: RefusedAttempt) -> str:
    token = state.tokens.get(attempt.token)
    return token.value.spec.account if token else ""


_HOSTS_PER_ATTEMPT = 100
"""Hosts that follow a prefix, looked at in the time of one other attempt."""
_NOT_THEIR_FAULT = (Refusal.NAMESERVER_FAILED, Refusal.STORE_FAILED)


class ClientLimits:
    """Judges by the state in memory: who has a token that is known here is never taken for a stranger."""

    def __init__(self, state: State, fair: FairUse, refused: RefusedAttempts) -> None:
        self._state = state
        self._fair = fair
        self._refused = refused

    def wait(self, request: Request, digest: str) -> float:
        """Return the seconds that the client has to wait before it is listened to, 0.0 if it is now.

        `digest` is of its token, "" where it sent none. Nothing else of the request is looked at: to be told
        to wait costs the same whatever is asked for. Who shares an address with others that try wrong tokens
        is told by having a right one.
        """
        token = self._state.tokens.by_digest(digest)
        if token is None:
            return self._fair.source_wait(_charged(request))
        return self._fair.attempt_wait(token.key, token.value.spec.account)

    def enter(self, plan: Plan, ticket: Ticket) -> float:
        """Take what a plan changes, and a place to wait in; return 0.0, or the seconds until both can be had.

        A request that has entered has to `leave`.
        """
        token, account = plan.token.key, plan.token.value.spec.account
        if wait := self._fair.enter(token, account, ticket):
            return wait
        changes = plan.changes
        wait = self._fair.take_changes(token, account, changes) if changes else 0.0
        if wait:
            self._fair.leave(ticket)
        return wait

    def leave(self, ticket: Ticket) -> None:
        """Note that what was entered waits no more."""
        self._fair.leave(ticket)

    def note(
        self, request: Request, digest: str, name: str, answer: UpdateResult, *, refused: bool = False
    ) -> None:
        """Charge the client for an answer. What is unchanged is free, and so is what others failed to do.

        But not what the nameserver was there for and `refused`, nor the look at thousands of hosts that
        follow a prefix, though they all follow it already.
        `name` is the first that was asked for, "" if there can be no such name.
        """
        if isinstance(answer, Limited):
            return
        if type(answer) is tuple and len(answer) == 1 and type(answer[0]) is Unchanged:  # as nearly always
            return
        token = self._state.tokens.by_digest(digest)
        count = 1  # as how many attempts it is charged
        if isinstance(answer, Refusal):
            shown = name if label_count(name) > 1 else ""  # a token in the wrong parameter may be one label
            self._remember(request, token, shown, answer)
        else:
            count = int(result_of(answer) != "unchanged")
            for result in answer:
                if isinstance(result, Skipped):
                    self._remember(request, token, result.name, result.reason, result.ip)
                elif isinstance(result, Moved):
                    count += result.hosts // _HOSTS_PER_ATTEMPT
        if not count or (answer in _NOT_THEIR_FAULT and not refused):
            return
        if token is None:
            self._fair.failed(_charged(request))
        else:
            self._fair.attempted(token.key, token.value.spec.account, count)

    def malformed(self, source: str) -> bool:
        """Charge a source for what could not even be read; return whether it sends that too often."""
        return self._fair.fails_too_often(source)

    def _remember(
        self,
        request: Request,
        token: Entry[Resource[TokenSpec]] | None,
        name: str,
        reason: Refusal,
        left_out: str = "",
    ) -> None:
        """Note what was refused, or left out of what was done."""
        holder = token_name(token) if token else ""
        self._refused.note(
            RefusedAttempt(
                datetime.now(UTC), request.api, name, result_of(reason), request.source, holder, left_out
            )
        )


def _charged(request: Request) -> str:
    """Return the address that failures are charged to: the connection's, where the client's is not known."""
    return request.source or request.peer
