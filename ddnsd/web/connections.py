"""The open connections of a listener: never more than so many, in all and from one source.

Who connects and then sends nothing, or one octet after the other, costs no more than the place. So nobody is
turned away for want of a place while somebody else only waits in one: `Rank` says in which order they go, and
within a rank those go first that have been in it longest.

An abuser goes on at full speed when it is told to wait, and would cost as much by what it is refused as by
what it was given. The tarpit keeps such answers back for a moment.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterator
from enum import IntEnum
from typing import NamedTuple, Protocol

from ddnsd.model.addresses import network_of

TARPIT_SECONDS = 1.0
"""How long an answer is kept back at least: well below the 5 s after which impatient clients give up."""

_ANSWERS_PER_SECOND = 1000  # of the tarpit, at most: the more are kept, the longer is each


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
    """A connection, to those who give away places."""

    def abandon(self) -> None:
        """Close the connection at once."""
        ...


_Queue = OrderedDict[Occupant, None]  # those of one rank; who has been in it longest comes first


class _Crowd:
    """Connections that compete for places: all, or those of one source."""

    __slots__ = ("queues", "size")

    def __init__(self) -> None:
        self.queues: tuple[_Queue, ...] = tuple(OrderedDict() for _ in range(Rank.AT_WORK))
        self.size = 0

    def first_to_go(self) -> Occupant | None:
        """Return who goes for the next one, None if nobody does."""
        for queue in self.queues:
            if queue:
                return next(iter(queue))
        return None


class _Place:
    """A connection's: there from its acceptance to its end."""

    __slots__ = ("rank", "source", "theirs")

    def __init__(self, source: str, theirs: _Crowd) -> None:
        self.rank = Rank.AT_WORK
        self.source = source
        self.theirs = theirs  # all of the same source


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
        self.tarpit = Tarpit(lambda each: self.rank(each, Rank.KEPT_WAITING))

    def __len__(self) -> int:
        return self._all.size

    def __iter__(self) -> Iterator[Occupant]:
        return iter(tuple(self._places))

    def make_room(self, peer: str) -> bool:
        """Make room for one more connection, if need be; return whether it may come in."""
        source = self._source(peer)
        theirs = self._by_source.get(source) if source else None
        if theirs and theirs.size >= self._limits.per_source:
            return self._displace(theirs, "source_displaced", "source_full")
        if self._all.size >= self._limits.total:
            return self._displace(self._all, "displaced", "full")
        return True

    def enter(self, connection: Occupant, peer: str) -> None:
        """Give a connection its place; nobody takes it until it is given a rank."""
        source = self._source(peer)
        theirs = self._by_source.setdefault(source, _Crowd())
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
        self.rank(connection, Rank.AT_WORK)
        if not (place := self._places.pop(connection, None)):
            return
        self._all.size -= 1
        place.theirs.size -= 1
        if not place.theirs.size:
            del self._by_source[place.source]

    def dismiss(self, connection: Occupant, reason: str) -> None:
        """Close a connection that has had its time."""
        self.leave(connection)
        connection.abandon()
        self._closed(reason)

    def _source(self, peer: str) -> str:
        """Return who is meant by a peer, "" where that is nobody in particular."""
        return "" if self._exempt(peer) else network_of(peer)

    def _displace(self, crowd: _Crowd, displaced: str, full: str) -> bool:
        """Close the first of these that has to go; return whether there is one."""
        first = crowd.first_to_go()
        if first is None:
            self._closed(full)
            return False
        self.dismiss(first, displaced)
        return True


class Tarpit:
    """Keeps answers back: at most one for each connection, so their number needs no other bound."""

    def __init__(self, kept: Callable[[Occupant], None]) -> None:
        """`kept` is told of each connection that has to wait."""
        self._tell = kept
        self._kept: dict[Occupant, tuple[asyncio.TimerHandle, Callable[[], None]]] = {}
        self._is_closed = False

    def __len__(self) -> int:
        return len(self._kept)

    def keep(self, connection: Occupant, answer: Callable[[], None]) -> None:
        """Call `answer` after a moment; at once, when nobody is to wait any more."""
        if self._is_closed:
            answer()
            return
        delay = TARPIT_SECONDS + len(self._kept) / _ANSWERS_PER_SECOND
        timer = asyncio.get_running_loop().call_later(delay, self.release, connection)
        self._kept[connection] = timer, answer
        self._tell(connection)

    def release(self, connection: Occupant) -> None:
        """Give the answer that is kept back on a connection, if there is one."""
        if kept := self._kept.pop(connection, None):
            timer, answer = kept
            timer.cancel()
            answer()

    def drop(self, connection: Occupant) -> None:
        """Forget a connection that is closed; idempotent."""
        if kept := self._kept.pop(connection, None):
            kept[0].cancel()

    def close(self) -> None:
        """Give every answer now, and keep none back from now on."""
        self._is_closed = True
        for connection in tuple(self._kept):
            self.release(connection)
