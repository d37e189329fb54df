"""Which part breaks when, and for how long: made from a seed, so that each schedule can be run again."""

import random
from collections.abc import Iterator, Sequence
from enum import StrEnum
from typing import NamedTuple

SIZE = 3  # nodes, and members


class Kind(StrEnum):
    """What happens to a part."""

    KILLED = "killed"
    STOPPED = "stopped"  # SIGSTOP, and SIGCONT at the end
    ISOLATED = "isolated"  # a member from the others, or a node from all that it calls
    DEAF = "deaf"  # no answer arrives at a node
    MUTE = "mute"  # nothing that a node sends arrives
    SLOW = "slow"  # what a node sends and gets arrives later
    RESET = "reset"  # all connections of a node end, again and again


class Part(StrEnum):
    """Where it happens. A link is that of one node: to one member, or to the nameserver."""

    NODE = "node"
    MEMBER = "member"
    NAMESERVER = "nameserver"
    MEMBER_LINK = "link to member"
    NAMESERVER_LINK = "link to nameserver"


class Fault(NamedTuple):
    """A part breaks at a time from the beginning, in seconds, and is whole again so much later."""

    at: float
    seconds: float
    part: Part
    kind: Kind
    number: int = 0  # of the node, or of the member
    peer: int = 0  # of a member's link: the member

    def __str__(self) -> str:
        place = f"{self.part} {self.number}" + (f"-{self.peer}" if self.part is Part.MEMBER_LINK else "")
        return f"{self.at:5.2f} s for {self.seconds:4.2f} s: {place} {self.kind}"


Schedule = Sequence[Fault]

_PROCESS = (Kind.KILLED, Kind.STOPPED)
_LINK = (Kind.ISOLATED, Kind.DEAF, Kind.MUTE, Kind.SLOW, Kind.RESET)
_KINDS = {
    Part.NODE: (*_PROCESS, *_LINK),
    Part.MEMBER: (*_PROCESS, Kind.ISOLATED),
    Part.NAMESERVER: _PROCESS,
    Part.MEMBER_LINK: _LINK,
    Part.NAMESERVER_LINK: _LINK,
}
_WEIGHTS = {
    Part.NODE: 4,
    Part.MEMBER: 3,
    Part.NAMESERVER: 2,
    Part.MEMBER_LINK: 4,
    Part.NAMESERVER_LINK: 2,
}


def schedule(seed: int, seconds: float, faults: int) -> Schedule:
    """Return so many faults within so many seconds. One part has one fault at a time."""
    chance = random.Random(seed)
    drawn = sorted(_draw(chance, seconds) for _ in range(faults))
    return tuple(_apart(drawn))


def _draw(chance: random.Random, seconds: float) -> Fault:
    (part,) = chance.choices(tuple(_WEIGHTS), tuple(_WEIGHTS.values()))
    kind = chance.choice(_KINDS[part])
    at = round(chance.uniform(0, seconds * 0.8), 2)
    lasts = min(chance.choice((0.2, 0.7, 1.5, 3.0, 6.0)) * chance.uniform(0.5, 1.5), seconds - at)
    number = 0 if part is Part.NAMESERVER else chance.randrange(SIZE)
    peer = chance.randrange(SIZE) if part is Part.MEMBER_LINK else 0
    return Fault(at, round(lasts, 2), part, kind, number, peer)


def _apart(faults: Sequence[Fault]) -> Iterator[Fault]:
    """Leave out what would break a part that is broken already."""
    until: dict[object, float] = {}
    for fault in faults:
        place = (fault.part, fault.number, fault.peer)
        if fault.at >= until.get(place, 0.0):
            until[place] = fault.at + fault.seconds + 0.1
            yield fault
