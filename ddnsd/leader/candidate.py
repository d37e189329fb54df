"""Who should lead: near the nameserver, with every nameserver, or by what the operator prefers.

The election itself knows no preference: its queue is in the order of arrival. So whoever is not the
best of the running nodes stays out of the queue, and leaves it, or leadership, when a better one comes.
Should two nodes disagree for a moment, none or the wrong one leads for that moment, never both.
"""

import asyncio
from collections.abc import Mapping, Sequence

import structlog

from ddnsd.leader.context import DeposedError, LeaderContext, LeaderPolicy
from ddnsd.leader.housekeeping import AuditRetention, Compactor
from ddnsd.leader.publisher import Publisher
from ddnsd.model.records import Member
from ddnsd.model.resources import Kind
from ddnsd.model.state import needed_nameservers, preferred_to
from ddnsd.nameserver.interface import Nameserver
from ddnsd.store import keys
from ddnsd.store.elector import Elector, first_failure
from ddnsd.store.group_commit import GroupCommit
from ddnsd.store.installation import installation_owner
from ddnsd.store.interface import Leadership, Store, UnavailableError
from ddnsd.store.standstill import Stage
from ddnsd.store.watch_cache import Touched, WatchCache
from ddnsd.telemetry.metrics import Metrics

_log = structlog.get_logger(__name__)


class Preference:
    """Whether this node should stand for election. Lives as long as the node."""

    def __init__(self, cache: WatchCache, me: str, member: Member) -> None:
        """`me` is this node's id among the members, `member` what it says of itself."""
        self.me = me
        self._cache = cache
        self._member = member
        self._changed = asyncio.Event()
        self._lacking: frozenset[str] = frozenset()
        cache.subscribe(self._look, (keys.MEMBERS, Kind.ZONE.plural))

    @property
    def stands_back(self) -> bool:
        """Say whether this node should not lead now."""
        return (
            not self._member.eligible
            # Too old for what is stored, it could acknowledge nothing; while its state has stood still and is
            # not current again, it would publish nothing.
            or self._cache.preserved.obstacle != ""
            or self._cache.standstill is not Stage.NONE
            or self._better() is not None
        )

    def reconfigure(self, member: Member) -> None:
        """Judge by what this node says of itself from now on."""
        self._member = member
        self._look()

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

    def _look(self, _: Sequence[Touched] = ()) -> None:
        """Have the question asked again; log once which nameservers the zones name and this node lacks."""
        self._changed.set()
        lacking = needed_nameservers(self._cache.state) - self._member.nameservers
        if lacking - self._lacking:
            _log.warning(
                "leader.lacks_nameservers",
                nameservers=sorted(lacking),
                remedy="add them to this node's config.yaml, or it leads only if no other node can",
            )
        self._lacking = lacking


_RETRY_SECONDS = 1.0


class Candidate:
    """This node's part in the election. Run `run()` as a task of its own."""

    def __init__(
        self,
        store: Store,
        cache: WatchCache,
        commits: GroupCommit,
        nameservers: Mapping[str, Nameserver],
        preference: Preference,
        policy: LeaderPolicy,
        metrics: Metrics,
    ) -> None:
        self._store = store
        self._cache = cache
        self._commits = commits
        self._nameservers = nameservers
        self._preference = preference
        self._policy = policy
        self._metrics = metrics
        self.publisher: Publisher | None = None

    def reconfigure(self, nameservers: Mapping[str, Nameserver], policy: LeaderPolicy) -> None:
        """Lead with these from now on; if it leads already, without a pause."""
        self._nameservers = nameservers
        self._policy = policy
        if self.publisher is not None:
            self.publisher.reconfigure(nameservers, policy)

    async def run(self) -> None:
        """Lead whenever elected, unless another node is preferred. Never returns."""
        elector = Elector(
            self._store, keys.ELECTION, self._preference.me, self._lead, resigned=self._note_resigned
        )
        await elector.run(
            fit=self._fit,
            unfit=self._preference.better,
            retry_on=UnavailableError,
            failed=self._note_unavailable,
        )

    async def _fit(self) -> None:
        await self._cache.loaded()
        await self._preference.stands()

    async def _lead(self, leadership: Leadership) -> None:
        _log.info("leader.elected", epoch=leadership.epoch)
        self._metrics.leading(True)
        try:
            await self._publish(leadership)
        except* DeposedError as errors:  # in a group where work that was requested has learned of it
            _log.warning("leader.deposed", reason=str(first_failure(errors)))
        finally:
            self._metrics.leading(False)

    async def _publish(self, leadership: Leadership) -> None:
        owner = await installation_owner(self._store)
        context = LeaderContext(self._cache, self._commits, leadership, owner, self._policy, self._metrics)
        compactor = Compactor(self._store, self._cache, self._policy.compact_after)
        retention = AuditRetention(self._store, context)
        self.publisher = Publisher(self._nameservers, context, compactor, retention)
        try:
            await self._cache.current()
            await self.publisher.run()
        finally:
            self.publisher = None

    def _note_resigned(self, epoch: int) -> None:
        _log.info("leader.resigned", epoch=epoch)

    def _note_unavailable(self, error: Exception) -> float:
        """Log it; return in how many seconds to stand again."""
        _log.warning("leader.store_unavailable", reason=str(error))
        return _RETRY_SECONDS
