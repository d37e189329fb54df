"""Campaign, lead, stop leading, campaign again."""

import asyncio
from collections.abc import Coroutine, Mapping
from typing import TypeVar

import structlog

from ddnsd.leader.audit_retention import AuditRetention
from ddnsd.leader.compaction import Compactor
from ddnsd.leader.mandate import DeposedError, LeaderPolicy, Mandate
from ddnsd.leader.preference import Preference
from ddnsd.leader.publisher import Publisher
from ddnsd.leader.tasks import cancel
from ddnsd.model.records import Candidacy
from ddnsd.nameserver.interface import Nameserver
from ddnsd.store import codec
from ddnsd.store.group_commit import GroupCommit
from ddnsd.store.installation import installation_owner
from ddnsd.store.interface import Leadership, Store, UnavailableError
from ddnsd.store.watch_cache import WatchCache
from ddnsd.telemetry.metrics import Metrics

_log = structlog.get_logger(__name__)

_RETRY_SECONDS = 1.0

Result = TypeVar("Result")


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
        who = codec.encode(Candidacy(self._preference.me))
        while True:
            await self._cache.loaded()
            await self._preference.stands()
            try:
                leadership = await self._unless_better(self._store.campaign(who))
                if leadership is not None:
                    await self._lead(leadership)
            except UnavailableError as error:
                _log.warning("leader.store_unavailable", reason=str(error))
                await asyncio.sleep(_RETRY_SECONDS)

    async def _unless_better(self, running: Coroutine[None, None, Result]) -> Result | None:
        """Return what the coroutine does, or None if it was cancelled for a node that is preferred."""
        task = asyncio.create_task(running, name="candidate")
        better = asyncio.create_task(self._preference.better(), name="preference")
        try:
            await asyncio.wait([task, better], return_when=asyncio.FIRST_COMPLETED)
            return task.result() if task.done() else None
        finally:
            await cancel(better, task)

    async def _lead(self, leadership: Leadership) -> None:
        _log.info("leader.elected", epoch=leadership.epoch)
        self._metrics.leading(True)
        try:
            await self._unless_better(self._publish(leadership))
        except DeposedError as error:
            _log.warning("leader.deposed", reason=str(error))
        finally:
            self._metrics.leading(False)
            await leadership.resign()
            _log.info("leader.resigned", epoch=leadership.epoch)

    async def _publish(self, leadership: Leadership) -> None:
        owner = await installation_owner(self._store)
        mandate = Mandate(self._cache, self._commits, leadership, owner, self._policy, self._metrics)
        compactor = Compactor(self._store, self._cache, self._policy.compact_after)
        retention = AuditRetention(self._store, mandate)
        self.publisher = Publisher(self._nameservers, mandate, compactor, retention)
        try:
            await self._cache.current()
            await self.publisher.run()
        finally:
            self.publisher = None
