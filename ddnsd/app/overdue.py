"""What should have happened by now, seen from any node: signs of a process that lives and does nothing."""

import asyncio
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from ddnsd.model.records import Member
from ddnsd.service.status import ZoneProgress
from ddnsd.store import keys
from ddnsd.store.watch_cache import Touched, WatchCache

_UNSEEN_SECONDS = 15.0  # a node registers at once, and looks after that every ten seconds
_IDLE = timedelta(seconds=30)


class LeaderWatch:
    """For how long the leader has had no entry among the members, by this node's monotonic clock.

    A leader that cannot make its state current leaves the members, and should not lead for long. One that
    has just begun may not be registered yet.
    """

    def __init__(self, cache: WatchCache) -> None:
        self._cache = cache
        self._now = asyncio.get_running_loop().time
        self._unseen: tuple[str, float] | None = None  # the leader's id, since when
        cache.subscribe(self._look)

    def warnings(self) -> Iterator[str]:
        """Yield what is wrong with the leader, if anything is."""
        if self._unseen is not None and (seconds := self._now() - self._unseen[1]) >= _UNSEEN_SECONDS:
            yield (
                f"the leader {self._unseen[0]} has not been among the nodes for {seconds:.0f} s, so it may "
                "not publish: see its log, and restart it if that lasts"
            )

    def _look(self, touched: Sequence[Touched]) -> None:
        if all(place.shelf not in (keys.MEMBERS, keys.ELECTION) for place in touched):
            return
        leader = self._cache.state.leader
        if leader is None or leader.value.member in self._cache.state.members:
            self._unseen = None
        elif self._unseen is None or self._unseen[0] != leader.value.member:
            self._unseen = (leader.value.member, self._now())


def queue_warnings(
    zones: Mapping[str, ZoneProgress], leader: str, hindered: Collection[str], now: datetime
) -> Iterator[str]:
    """Yield each zone whose records wait though nothing hinders their publication.

    `leader` is a name; `hindered` are the zones of which it is known why, such as a silent nameserver.
    """
    for zone, progress in sorted(zones.items()):
        moved = max(filter(None, (progress.waiting_since, progress.last_push)), default=now)
        if progress.pending and zone not in hindered and now - moved > _IDLE:
            seconds = (now - moved).total_seconds()
            yield (
                f"{progress.pending} records of {zone} wait, and none was published for {seconds:.0f} s "
                f"though the nameserver answers: see the log of the leader {leader}, and restart it if that "
                "lasts"
            )


def ended_warnings(members: Collection[Member]) -> Iterator[str]:
    """Yield each node whose process before this one ended itself."""
    for member in members:
        if member.ended is not None:
            yield (
                f"{member.name} ended itself at {member.ended.at:%Y-%m-%d %H:%M:%S} UTC and was started "
                f"again: {member.ended.reason}; its log of then has all stacks: please report them"
            )
