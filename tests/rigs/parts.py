"""The parts of a node on a store, wired as `app.node` wires them: no test does that by itself.

`tests.service.registry_node` adds the registry, `tests.leader.node` all of it up to the leader.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from prometheus_client import CollectorRegistry

from ddnsd.model.ratelimit import Rate
from ddnsd.service.limits import ClientLimits, FairUse, FairUseLimits, RefusedAttempts
from ddnsd.service.update import UpdatePolicy, UpdateService
from ddnsd.store.group_commit import GroupCommit
from ddnsd.store.interface import Store
from ddnsd.store.standstill import PATIENCE, Patience
from ddnsd.store.watch_cache import WatchCache
from ddnsd.telemetry.metrics import Metrics
from tests.tasks import running

_ANY = Rate(1.0, 1.0)
UNLIMITED = FairUseLimits(False, _ANY, _ANY, _ANY, _ANY, _ANY)


@dataclass
class Parts:
    """What every node has. Nothing runs by itself."""

    store: Store
    counts: CollectorRegistry  # what the metrics count
    metrics: Metrics
    cache: WatchCache
    commits: GroupCommit

    def update_service(
        self, *, timeout: float = 8.0, store_timeout: float = 5.0, fair_use: FairUse | None = None
    ) -> UpdateService:
        """Return an update service; by default everybody may do everything as often as they like."""
        limits = ClientLimits(self.cache.state, fair_use or FairUse(UNLIMITED), RefusedAttempts())
        policy = UpdatePolicy(private=True, timeout=timeout, store_timeout=store_timeout)
        return UpdateService(self.cache, self.commits, policy, limits)


def parts_on(store: Store, timeout: float = 5.0, patience: Patience = PATIENCE) -> Parts:
    """Return the parts; `timeout`, in seconds, and `patience` are the watch cache's."""
    counts = CollectorRegistry()
    metrics = Metrics(counts)
    cache = WatchCache(store, timeout, metrics, patience)
    return Parts(store, counts, metrics, cache, GroupCommit(store, cache, metrics))


def watch_cache(store: Store, timeout: float = 5.0, patience: Patience = PATIENCE) -> WatchCache:
    """Return a watch cache alone."""
    return parts_on(store, timeout, patience).cache


@asynccontextmanager
async def at_work(parts: Parts) -> AsyncIterator[None]:
    """Have the state follow the store, from the time when all of it is loaded; then end the commits."""
    async with running(parts.cache.run()):
        await parts.cache.loaded()
        try:
            yield
        finally:
            await parts.commits.aclose()
