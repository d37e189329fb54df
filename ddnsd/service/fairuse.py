"""Fair use: how often a token, an account and an unknown source may ask, and how much may wait at once.

In memory, of this process alone, and bounded. Its purpose: docs/operations/fair-use.md.
"""

import time
from collections.abc import Callable
from typing import NamedTuple

from ddnsd.model.addresses import networks_of
from ddnsd.model.ratelimit import Buckets, Rate

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


class Ticket:
    """One call of a client, however many requests it makes of it: they wait in one place."""

    __slots__ = ("waiting",)

    def __init__(self) -> None:
        self.waiting = 0  # requests


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
        places = self._places(token, account)
        if not ticket.waiting:
            most = (self._limits.token_waiting, self._limits.account_waiting)
            full = any(self._waiting.get(at, 0) >= room for at, room in zip(places, most, strict=True))
            if full and self._limits.enabled:
                return _ROOM_SECONDS
            for at in places:
                self._waiting[at] = self._waiting.get(at, 0) + 1
        ticket.waiting += 1
        return 0.0

    def leave(self, token: str, account: str, ticket: Ticket) -> None:
        """Note that a request waits no more."""
        ticket.waiting -= 1
        if ticket.waiting:
            return
        for at in self._places(token, account):
            self._waiting[at] -= 1
            if not self._waiting[at]:
                del self._waiting[at]

    def _places(self, token: str, account: str) -> tuple[tuple[str, str], ...]:
        return ("token", token), ("account", account)

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
