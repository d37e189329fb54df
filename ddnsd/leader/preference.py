"""Who should lead: near the nameserver, with every nameserver, or by what the operator prefers.

The election itself knows no preference: its queue is in the order of arrival. So whoever is not the
best of the running nodes stays out of the queue, and leaves it, or leadership, when a better one comes.
Should two nodes disagree for a moment, none or the wrong one leads for that moment, never both.
"""

import asyncio
from collections.abc import Sequence

import structlog

from ddnsd.model.records import Member
from ddnsd.model.resources import Kind
from ddnsd.model.state import needed_nameservers, preferred_to
from ddnsd.store import keys
from ddnsd.store.standstill import Stage
from ddnsd.store.watch_cache import Touched, WatchCache

_log = structlog.get_logger(__name__)

_SHELVES = (keys.MEMBERS, Kind.ZONE.plural)  # on which what is preferred depends


class Preference:
    """Whether this node should stand for election. Lives as long as the node."""

    def __init__(self, cache: WatchCache, me: str, member: Member) -> None:
        """`me` is this node's id among the members, `member` what it says of itself."""
        self.me = me
        self._cache = cache
        self._member = member
        self._changed = asyncio.Event()
        self._lacking: frozenset[str] = frozenset()
        self._unfit = False
        cache.subscribe(self._look)

    @property
    def stands_back(self) -> bool:
        """Say whether this node should not lead now."""
        return not self._member.eligible or self._is_unfit or self._better() is not None

    @property
    def _is_unfit(self) -> bool:
        """Say whether this node cannot lead: it is too old for what is stored, so that it can acknowledge
        nothing, or its state has stood still and is not current again, so that it would publish nothing."""
        return self._cache.preserved.obstacle is not None or self._cache.standstill is not Stage.NONE

    def reconfigure(self, member: Member) -> None:
        """Judge by what this node says of itself from now on."""
        self._member = member
        self._note_lacking()
        self._changed.set()

    async def stands(self) -> None:
        """Wait until this node should lead if it is elected."""
        await self._until(stands_back=False)

    async def better(self) -> None:
        """Wait until this node should not lead."""
        await self._until(stands_back=True)
        _log.info("leader.stands_back", **{"for": self._better()})

    async def _until(self, *, stands_back: bool) -> None:
        while self.stands_back is not stands_back:
            self._changed.clear()
            await self._changed.wait()

    def _better(self) -> str | None:
        return preferred_to(self._cache.state, self.me, self._member)

    def _look(self, touched: Sequence[Touched]) -> None:
        unfit, self._unfit = self._unfit, self._is_unfit
        if unfit is not self._unfit or any(place.shelf in _SHELVES for place in touched):
            self._note_lacking()
            self._changed.set()

    def _note_lacking(self) -> None:
        """Log once which nameservers the zones name and this node does not have."""
        lacking = needed_nameservers(self._cache.state) - self._member.nameservers
        if lacking - self._lacking:
            _log.warning(
                "leader.lacks_nameservers",
                nameservers=sorted(lacking),
                remedy="add them to this node's config.yaml, or it leads only if no other node can",
            )
        self._lacking = lacking
