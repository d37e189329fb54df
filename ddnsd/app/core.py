"""What every process has, whatever its role: the store, the state, the way to commit, metrics, tasks."""

import asyncio
from contextlib import AsyncExitStack

import structlog
from prometheus_client import CollectorRegistry

from ddnsd.app import collector
from ddnsd.app.reloader import Reloader
from ddnsd.app.stores import open_store, reconfigure_store
from ddnsd.app.tasks import Supervisor
from ddnsd.store.commit import GroupCommit
from ddnsd.store.installation import installation_owner
from ddnsd.store.interface import Store, UnavailableError
from ddnsd.store.snapshot import WatchCache
from ddnsd.telemetry.metrics import Metrics

_log = structlog.get_logger(__name__)

_STORE_RETRY_SECONDS = 1.0


class Core:
    """These parts, running. Make it with `start`."""

    def __init__(self, reloader: Reloader, store: Store) -> None:
        self.reloader = reloader
        self.store = store
        settings = reloader.configuration.settings
        self.registry = CollectorRegistry()
        self.metrics = Metrics(self.registry, settings.nameservers)
        self.metrics.count_tasks(asyncio.get_running_loop())
        store.on_failure(self.metrics.store_failed)
        reloader.on_outcome(self.metrics.reloaded)
        self.cache = WatchCache(store, settings.store.timeout, self.metrics)
        self.commits = GroupCommit(store, self.metrics, self.cache.preserved)
        self.supervisor = Supervisor()

    @classmethod
    async def start(cls, reloader: Reloader, stack: AsyncExitStack) -> "Core":
        """Open the store, waiting for it as long as it takes, and load the state.

        Raises:
            StoreError: it cannot be; the message says what to do.
        """
        store = await _store(reloader)
        stack.push_async_callback(store.close)
        reloader.follow(lambda: reconfigure_store(store, reloader.configuration.settings))
        core = cls(reloader, store)
        stack.push_async_callback(core.supervisor.stop)
        await installation_owner(store)  # so that there is one
        core.supervisor.start("watch", core.cache.run())
        await core.cache.loaded()
        collector.settle()
        return core

    def reasons_against(self) -> list[str]:
        """Say why the state is of no use here."""
        reasons = [] if self.cache.is_loaded else ["no snapshot of the store has been loaded yet"]
        if obstacle := self.cache.preserved.obstacle:
            reasons.append(str(obstacle))
        return reasons

    def notes(self) -> list[str]:
        """Say what is wrong with the store, which is no reason to send requests elsewhere.

        No other node has a store either, and from here clients get the contract's answer.
        """
        return [f"the store: {self.cache.trouble}"] if self.cache.trouble else []


async def _store(reloader: Reloader) -> Store:
    said = ""
    while True:
        try:
            return await open_store(reloader.configuration.settings)
        except UnavailableError as error:
            if str(error) != said:
                said = str(error)
                _log.warning("start.waiting_for_store", reason=said)
        await asyncio.sleep(_STORE_RETRY_SECONDS)
