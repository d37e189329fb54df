"""The open connections of the public listener: never more than so many, in all and from one source.

Who connects and then sends nothing, or one octet after the other, costs no more than the place. So nobody
is turned away for want of a place while somebody only waits in one: who has waited longest has to go, and
before all others who is kept waiting because it asked too often.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterator
from itertools import takewhile
from typing import Generic, NamedTuple, Protocol, TypeVar

from ddnsd.model.addresses import network_of


class ConnectionLimits(NamedTuple):
    """How many connections there may be at once, in all and from one source."""

    total: int
    per_source: int


class Occupant(Protocol):
    """The newest request of a connection."""

    peer: str
    """The address that the connection came from, as text."""

    at_work: bool
    """Whether it is complete and owed an answer; else it is the client that is waited for."""

    def abandon(self) -> None:
        """Close the connection."""
        ...


_Occupant = TypeVar("_Occupant", bound=Occupant)


class _Place(Generic[_Occupant]):
    """A connection's: there for all of its requests, as this is done for each one."""

    __slots__ = ("occupant", "source", "theirs")

    def __init__(self, occupant: _Occupant, source: str, theirs: "_Places[_Occupant]") -> None:
        self.occupant = occupant
        self.source = source
        self.theirs = theirs  # all of the same source


_Places = OrderedDict[object, _Place[_Occupant]]  # by connection; who has to go first stands first


class Connections(Generic[_Occupant]):
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
        self._places: _Places[_Occupant] = OrderedDict()
        self._by_source: dict[str, _Places[_Occupant]] = {}

    def __len__(self) -> int:
        return len(self._places)

    def __iter__(self) -> Iterator[_Occupant]:
        return (place.occupant for place in tuple(self._places.values()))

    def make_room(self, peer: str, beside: int = 0) -> bool:
        """Make room for one more connection, if need be; return whether it may come in.

        `beside` are connections that take places and are none of these yet.
        """
        source = self._source(peer)
        theirs = self._by_source.get(source) if source else None
        if theirs and len(theirs) >= self._limits.per_source:
            return self._displace(theirs, "source_displaced", "source_full")
        if len(self._places) + beside >= self._limits.total:
            return self._displace(self._places, "displaced", "full")
        return True

    def occupy(self, connection: object, occupant: _Occupant) -> None:
        """Note a connection's next request; its first one lets the connection in."""
        place = self._places.get(connection)
        if place is None:
            source = self._source(occupant.peer)
            theirs = self._by_source.setdefault(source, OrderedDict())
            self._places[connection] = theirs[connection] = _Place(occupant, source, theirs)
            return
        place.occupant = occupant
        self._places.move_to_end(connection)
        place.theirs.move_to_end(connection)

    def demote(self, connection: object) -> None:
        """Let a connection be the first to go; until its next request."""
        if place := self._places.get(connection):
            for places in (self._places, place.theirs):
                places.move_to_end(connection, last=False)

    def leave(self, connection: object) -> None:
        """Note that a connection is closed; idempotent."""
        place = self._places.pop(connection, None)
        if place is None:
            return
        del place.theirs[connection]
        if not place.theirs:
            del self._by_source[place.source]

    def dismiss(self, occupant: _Occupant, reason: str) -> None:
        """Close a connection that has had its time."""
        occupant.abandon()
        self._closed(reason)

    def _source(self, peer: str) -> str:
        """Return who is meant by a peer, "" where that is nobody in particular."""
        return "" if self._exempt(peer) else network_of(peer)

    def _displace(self, places: _Places[_Occupant], displaced: str, full: str) -> bool:
        """Close who has waited longest of these; return whether anybody waits."""
        busy = [at for at, _ in takewhile(lambda each: each[1].occupant.at_work, places.items())]
        for at in busy:  # so that they are not passed again and again
            places.move_to_end(at)
        if len(busy) == len(places):
            self._closed(full)
            return False
        at, place = next(iter(places.items()))
        self.leave(at)
        self.dismiss(place.occupant, displaced)
        return True
