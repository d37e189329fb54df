"""The open connections of a listener: never more than so many, in all and from one source.

Who connects and then sends nothing, or one octet after the other, costs no more than the place. So nobody is
turned away for want of a place while somebody else only waits in one: `Rank` says in which order they go, and
within a rank those go first that have been in it longest.

An abuser goes on at full speed when it is told to wait, and would cost as much by what it is refused as by
what it was given. The tarpit keeps such answers back for a moment.

The requests of a crowd that come all at once would take a whole turn of the event loop, and the others would
wait behind all of them. `FairQueue` takes a few in each turn, and from each source in turn.
"""

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import NamedTuple, Protocol

import structlog

from ddnsd.model.addresses import network_of

TARPIT_SECONDS = 1.0
"""How long an answer is kept back at least: well below the 5 s after which impatient clients give up."""

# Of the tarpit, a turn of the event loop and a second apart at least: the more are kept, the longer is each.
_ANSWERS_AT_ONCE, _ANSWER_SECONDS = 4, 0.004
_TURN = 64.0  # inputs of one source that are taken in one turn of the event loop
# As how many each counts where there are several sources: one that has used up its credit has smaller turns.
_SPARSE, _CROWD = 2, 16
_CREDIT = 16  # inputs that a source may have before it goes behind those that wait already
_SHARED_SECONDS = 1.0  # after an input of another source: until then a source is not alone
_INPUT_SECONDS = 0.00006  # that one costs; what takes longer counts as several

_log = structlog.get_logger(__name__)


class ConnectionLimits(NamedTuple):
    """How many connections there may be at once, in all and from one source."""

    total: int
    per_source: int


class Rank(IntEnum):
    """What a connection has its place for; the lower, the sooner it goes. From `AT_WORK` on none does."""

    KEPT_WAITING = 0
    """Its answer is in the tarpit."""
    AWAITED = 1
    """Its client is waited for: for a whole request, or to take its answer."""
    HALF_CLOSED = 2
    """It is owed an answer, but its client has closed its half, and may have gone."""
    PUBLISHING = 3
    """It waits for a nameserver alone: its change is committed, and will be published without it, too."""
    AT_WORK = 4


class Occupant(Protocol):
    """A connection, to those who give away places and turns."""

    def abandon(self) -> None:
        """Close the connection at once."""
        ...

    def take_turn(self) -> None:
        """Work on what has come."""
        ...


_Queue = OrderedDict[Occupant, None]  # those of one rank; who has been in it longest comes first


class _Crowd:
    """Connections that compete for places: all, or those of one source."""

    __slots__ = ("queues", "size")

    def __init__(self) -> None:
        self.queues: tuple[_Queue, ...] = (OrderedDict(), OrderedDict(), OrderedDict(), OrderedDict())
        self.size = 0

    def first_to_go(self, is_late: Callable[[Occupant], bool]) -> Occupant | None:
        """Return who goes for the next one, None if nobody does.

        Among those whose clients are waited for it is one that has sent nothing since, if there is one:
        `is_late` says so.
        """
        for rank, queue in enumerate(self.queues):
            if queue:
                first = next(iter(queue))
                return next(filter(is_late, queue), first) if rank == Rank.AWAITED else first
        return None


@dataclass(slots=True)
class _Place:
    """A connection's: there from its acceptance to its end."""

    source: str
    theirs: _Crowd  # all of the same source
    rank: Rank = Rank.AT_WORK


class Connections:
    """Knows which connections are open, and from where; an IPv6 /64 is one source."""

    def __init__(
        self, limits: ConnectionLimits, exempt: Callable[[str], bool], closed: Callable[[str], None]
    ) -> None:
        """`exempt` says of a peer that it may have any number: it is a proxy, with many clients behind it.

        `closed` counts by reason (`CLOSED_CONNECTIONS`).
        """
        self._limits = limits
        self._exempt = exempt
        self._closed = closed
        self._places: dict[Occupant, _Place] = {}
        self._all = _Crowd()
        self._by_source: dict[str, _Crowd] = {}
        self.queue = FairQueue(self._places)
        self.tarpit = Tarpit(lambda each: self.rank(each, Rank.KEPT_WAITING))

    def __len__(self) -> int:
        return self._all.size

    def __iter__(self) -> Iterator[Occupant]:
        return iter(tuple(self._places))

    def make_room(self, peer: str) -> str | None:
        """Make room for one more connection, if need be; return its source, None if it may not come in.

        The source is "" where a peer is nobody in particular.
        """
        source = "" if self._exempt(peer) else network_of(peer)
        theirs = self._by_source.get(source) if source else None
        if theirs and theirs.size >= self._limits.per_source:
            has_room = self._displace(theirs, "source_displaced", "source_full")
        elif self._all.size >= self._limits.total:
            has_room = self._displace(self._all, "displaced", "full")
        else:
            has_room = True
        return source if has_room else None

    def enter(self, connection: Occupant, source: str) -> None:
        """Give a connection its place, as `make_room` said; nobody takes it until it is given a rank."""
        theirs = self._by_source.get(source)
        if theirs is None:
            theirs = self._by_source[source] = _Crowd()
        self._places[connection] = _Place(source, theirs)
        self._all.size += 1
        theirs.size += 1

    def rank(self, connection: Occupant, rank: Rank) -> None:
        """Note what a connection has its place for from now on; within its rank it goes last."""
        if not (place := self._places.get(connection)):
            return
        for crowd in (self._all, place.theirs):
            if place.rank < Rank.AT_WORK:
                del crowd.queues[place.rank][connection]
            if rank < Rank.AT_WORK:
                crowd.queues[rank][connection] = None
        place.rank = rank

    def rank_of(self, connection: Occupant) -> Rank | None:
        """Return what a connection has its place for, None if it has none any more."""
        place = self._places.get(connection)
        return place.rank if place else None

    def leave(self, connection: Occupant) -> None:
        """Note that a connection is closed; idempotent."""
        self.tarpit.drop(connection)
        self.queue.drop(connection)
        if not (place := self._places.pop(connection, None)):
            return
        for crowd in (self._all, place.theirs):
            if place.rank < Rank.AT_WORK:
                del crowd.queues[place.rank][connection]
            crowd.size -= 1
        if not place.theirs.size:
            del self._by_source[place.source]

    def dismiss(self, connection: Occupant, reason: str) -> None:
        """Close a connection that has had its time."""
        self.leave(connection)
        connection.abandon()
        self._closed(reason)

    def _displace(self, crowd: _Crowd, displaced: str, full: str) -> bool:
        """Close the first of these that has to go; return whether there is one."""
        first = crowd.first_to_go(lambda each: not self.queue.holds(each))
        if first is None:
            self._closed(full)
            return False
        self.dismiss(first, displaced)
        return True


class _Backlog:
    """The connections of one source that wait, and how many inputs it may still have before it goes last."""

    __slots__ = ("connections", "credit")

    def __init__(self) -> None:
        self.connections: OrderedDict[Occupant, None] = OrderedDict()
        self.credit = _CREDIT


class FairQueue:
    """Takes what connections send: so much in one turn of the event loop, the rest source by source.

    What one source sends delays the others by one bounded turn, however many connections it has. Where
    little comes, it is taken at once, and the turns need not be counted: at most a whole turn's inputs are
    taken between two calls of `_next_turn`, and that comes in the turn after half of them.

    Sources go round-robin, but one that has just come goes ahead of those that have waited for longer, until
    it has used up its credit: a client that sends little does not wait behind a crowd. As with the new and
    the old flows of FQ-CoDel (RFC 8290 §4.2), a source that waits for nothing more stays in the round until
    it is reached, so that it cannot be new all the time. And where new ones come all the time, one input of
    the others is taken in each turn.

    A source that is alone has longer turns: what follows from their inputs is then done together, such as the
    question to the store whether they are news.

    Connections of nobody in particular, through proxies, share one place: a place for each would make them
    as many sources, and the order among them the same, since a connection is here once at most.
    """

    def __init__(self, places: Mapping[Occupant, _Place]) -> None:
        """`places` are those of all connections, which say where each comes from."""
        self._places = places
        self._new: OrderedDict[str, _Backlog] = OrderedDict()  # by source; each has credit
        self._old: OrderedDict[str, _Backlog] = OrderedDict()
        self._left = _TURN
        self._heard = ""  # the source of the last input
        self._shared_until = 0.0  # an input of another source came within _SHARED_SECONDS before that
        self._is_timed = False  # whether the next turn's call is on its way

    def take(self, connection: Occupant) -> None:
        """Let a connection work on what has come: at once, if none waits and the turn is not used up."""
        if self._new or self._old or self._left <= 0:
            self.add(connection)
        else:
            self._take(connection)

    def add(self, connection: Occupant) -> None:
        """Let a connection work in a later turn; idempotent."""
        if place := self._places.get(connection):
            backlog = self._backlog(connection)
            if backlog is None:
                backlog = self._new[place.source] = _Backlog()
            backlog.connections[connection] = None
            self._time()

    def drop(self, connection: Occupant) -> None:
        """Forget a connection that leaves its place; idempotent."""
        if not (self._new or self._old):  # as nearly always
            return
        if backlog := self._backlog(connection):
            backlog.connections.pop(connection, None)

    def holds(self, connection: Occupant) -> bool:
        """Say whether a connection waits for its turn."""
        backlog = self._backlog(connection)
        return backlog is not None and connection in backlog.connections

    def take_all(self) -> None:
        """Let all that wait work now."""
        while self._new or self._old:
            self._take_first(self._new or self._old)

    def _backlog(self, connection: Occupant) -> _Backlog | None:
        """Return the backlog of the connection's source, None where it has no place or its source none."""
        place = self._places.get(connection)
        return (self._new.get(place.source) or self._old.get(place.source)) if place else None

    def _next_turn(self) -> None:
        self._is_timed = False
        self._left = _TURN
        passed_over = bool(self._old)
        while (self._new or self._old) and self._left > 0:
            queue = self._new or self._old
            if self._take_first(queue) and queue is self._old:
                passed_over = False
        while passed_over and self._old:
            passed_over = not self._take_first(self._old)
        if self._new or self._old:
            self._time()

    def _take_first(self, queue: OrderedDict[str, _Backlog]) -> bool:
        """Take an input of the first source in the queue; return whether it waited for one."""
        source, backlog = next(iter(queue.items()))
        if not backlog.connections:
            del queue[source]
            if queue is self._new:  # its last one has left: it is not to be new again at once
                self._old[source] = backlog
            return False
        connection, _ = backlog.connections.popitem(last=False)
        backlog.credit -= 1
        if backlog.credit <= 0 or not backlog.connections or queue is self._old:
            del queue[source]
            self._old[source] = backlog
        else:
            queue.move_to_end(source)
        try:
            self._take(connection, _CROWD if queue is self._old else _SPARSE)
        except Exception:  # noqa: BLE001 - the boundary: one connection's bug is no other's
            _log.exception("http.crashed")
            connection.abandon()
        return True

    def _take(self, connection: Occupant, weight: int = _SPARSE) -> None:
        began = time.perf_counter()
        if (place := self._places.get(connection)) and place.source != self._heard:
            self._heard, self._shared_until = place.source, began + _SHARED_SECONDS
        connection.take_turn()
        cost = max(1.0, (time.perf_counter() - began) / _INPUT_SECONDS)
        self._left -= weight * cost if began < self._shared_until else cost
        if self._left <= _TURN / 2:
            self._time()

    def _time(self) -> None:
        if not self._is_timed:
            self._is_timed = True
            asyncio.get_running_loop().call_soon(self._next_turn)


class Tarpit:
    """Keeps answers back: at most one for each connection, so their number needs no other bound.

    They go in the order in which they came, a few in one turn of the event loop, whenever they came.
    """

    def __init__(self, kept: Callable[[Occupant], None]) -> None:
        """`kept` is told of each connection that has to wait."""
        self._tell = kept
        self._kept: OrderedDict[Occupant, tuple[float, Callable[[], None]]] = OrderedDict()
        self._timer: asyncio.TimerHandle | None = None  # there while any is kept
        self._is_closed = False

    def __len__(self) -> int:
        return len(self._kept)

    def keep(self, connection: Occupant, answer: Callable[[], None]) -> None:
        """Call `answer` after a moment; at once, when nobody is to wait any more."""
        if self._is_closed:
            answer()
            return
        loop = asyncio.get_running_loop()
        self._kept[connection] = loop.time() + TARPIT_SECONDS, answer
        if self._timer is None:
            self._timer = loop.call_later(TARPIT_SECONDS, self._release_due)
        self._tell(connection)

    def release(self, connection: Occupant) -> None:
        """Give the answer that is kept back on a connection, if there is one."""
        if kept := self._kept.pop(connection, None):
            kept[1]()

    def drop(self, connection: Occupant) -> None:
        """Forget a connection that is closed; idempotent."""
        self._kept.pop(connection, None)

    def close(self) -> None:
        """Give every answer now, and keep none back from now on."""
        self._is_closed = True
        for connection in tuple(self._kept):
            self.release(connection)

    def _release_due(self) -> None:
        """Give the first answers whose time has come, and look again for the others'."""
        loop = asyncio.get_running_loop()
        self._timer = loop.call_later(_ANSWER_SECONDS, self._release_due)
        for _ in range(_ANSWERS_AT_ONCE):
            if not self._kept or self._first_due() > loop.time():
                break
            self.release(next(iter(self._kept)))
        if not self._kept:
            self._timer.cancel()
            self._timer = None
        elif (due := self._first_due()) > self._timer.when():
            self._timer.cancel()
            self._timer = loop.call_at(due, self._release_due)

    def _first_due(self) -> float:
        return next(iter(self._kept.values()))[0]
