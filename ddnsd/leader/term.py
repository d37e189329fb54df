"""Campaign, lead, stop leading, campaign again."""

import asyncio
from collections.abc import Mapping

import structlog

from ddnsd.leader.mandate import DeposedError, Mandate, PublishPolicy
from ddnsd.leader.publisher import Publisher
from ddnsd.model.fence import Owner
from ddnsd.nameserver.interface import Nameserver
from ddnsd.store.commit import GroupCommit
from ddnsd.store.interface import Store, UnavailableError
from ddnsd.store.snapshot import WatchCache
from ddnsd.telemetry.metrics import Metrics

_log = structlog.get_logger(__name__)

_RETRY_SECONDS = 1.0


class Candidate:
    """This node's part in the election. Run `run()` as a task of its own."""

    def __init__(
        self,
        store: Store,
        cache: WatchCache,
        commits: GroupCommit,
        nameservers: Mapping[str, Nameserver],
        owner: Owner,
        policy: PublishPolicy,
        metrics: Metrics,
    ) -> None:
        self._store = store
        self._cache = cache
        self._commits = commits
        self._nameservers = nameservers
        self._owner = owner
        self._policy = policy
        self._metrics = metrics
        self.publisher: Publisher | None = None

    async def run(self, who: bytes) -> None:
        """Lead whenever elected; `who` names this node to the others. Never returns."""
        while True:
            await self._cache.loaded()
            try:
                await self._lead(who)
            except UnavailableError as error:
                _log.warning("leader.store_unavailable", reason=str(error))
                await asyncio.sleep(_RETRY_SECONDS)

    async def _lead(self, who: bytes) -> None:
        leadership = await self._store.campaign(who)
        _log.info("leader.elected", epoch=leadership.epoch)
        self._metrics.leading(True)
        mandate = Mandate(self._cache, self._commits, leadership, self._owner, self._policy, self._metrics)
        self.publisher = Publisher(self._nameservers, mandate)
        try:
            await self._cache.current()
            await self.publisher.run()
        except DeposedError as error:
            _log.warning("leader.deposed", reason=str(error))
        finally:
            self.publisher = None
            self._metrics.leading(False)
            await leadership.resign()
            _log.info("leader.resigned", epoch=leadership.epoch)
