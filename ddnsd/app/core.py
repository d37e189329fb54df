"""From settings to the store.

What every process has, whatever its role: the store, the state, the way to commit, metrics, tasks.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack
from typing import TypeVar

from ddnsd import etcd
from ddnsd.aio import cancel
from ddnsd.app import bootstrap
from ddnsd.app.startup import Startup
from ddnsd.app.watchdog import LastEnd, StandsStillError, Watchdog
from ddnsd.config import EtcdSettings, EtcdTlsSettings, Settings
from ddnsd.store.embedded import open_embedded
from ddnsd.store.etcd import EtcdStore, EtcdStoreSettings, open_etcd
from ddnsd.store.group_commit import GroupCommit
from ddnsd.store.installation import installation_owner
from ddnsd.store.interface import Store, UnavailableError
from ddnsd.store.standstill import PATIENCE, Patience, Stage
from ddnsd.store.watch_cache import WatchCache
from ddnsd.web.health import Readiness

Result = TypeVar("Result")

_RETRY_SECONDS = 1.0
_SOON = 1.0  # seconds after which the probes report that the store has not answered


async def open_store(settings: Settings) -> Store:
    """Open the store that the settings name.

    Raises:
        StoreError: it cannot be opened now; the message says what to do.
    """
    if settings.store.etcd is None:
        return await open_embedded(settings.data / "store")
    return await open_etcd(_etcd(settings.store.etcd, settings.store.timeout))


async def wait_for_store(startup: Startup) -> Store:
    """Open the store that the settings name now, waiting for it as long as it takes.

    Raises:
        StoreError: it cannot be opened; the message says what to do.
    """
    reloader = startup.reloader
    silent = f"{_place(reloader.configuration.settings)} has not answered yet"
    soon = asyncio.get_running_loop().call_later(_SOON, startup.waits, silent)

    async def opened() -> Store:
        try:
            return await open_store(reloader.configuration.settings)
        finally:
            soon.cancel()

    return await _until_available(startup, opened)


async def _until_available(startup: Startup, act: Callable[[], Awaitable[Result]]) -> Result:
    """Act, again and again while the store is unavailable; the probes report why it takes so long."""
    while True:
        try:
            result = await act()
        except UnavailableError as error:
            startup.waits(str(error))
            await asyncio.sleep(_RETRY_SECONDS)
        else:
            startup.waits_no_longer()
            return result


def reconfigure_store(store: Store, settings: Settings) -> None:
    """Let a store that is open go on with the settings' user, certificates and times."""
    if isinstance(store, EtcdStore) and settings.store.etcd is not None:
        store.reconfigure(_etcd(settings.store.etcd, settings.store.timeout))


def patience(settings: Settings) -> Patience:
    """Return how long this node's state may stand still."""
    return Patience.of(settings.store.etcd.lease_ttl) if settings.store.etcd else PATIENCE


def _place(settings: Settings) -> str:
    section = settings.store.etcd
    return f"etcd at {', '.join(section.endpoints)}" if section else f"the store in {settings.data / 'store'}"


def _etcd(section: EtcdSettings, timeout: float) -> EtcdStoreSettings:
    password = section.password_file
    cluster = etcd.EtcdClientSettings(
        section.endpoints,
        tls=_tls(section.tls) if section.tls else None,
        credentials=etcd.EtcdUser(section.user, password.content.decode()) if password else None,
        timeout=timeout,
        try_timeout=section.try_timeout,
        connect_timeout=section.connect_timeout,
    )
    return EtcdStoreSettings(cluster, section.prefix, section.lease_ttl, section.quota)


def _tls(section: EtcdTlsSettings) -> etcd.Tls:
    authority, certificate, key = (
        pem.content if pem else None for pem in (section.ca, section.certificate, section.key)
    )
    return etcd.Tls(authority, certificate, key)


class Core:
    """These parts, running. Make it with `start`."""

    def __init__(self, startup: Startup, store: Store) -> None:
        self.startup = startup
        self.reloader = startup.reloader
        self.registry, self.metrics = startup.registry, startup.metrics
        self.supervisor = startup.supervisor
        self.store = store
        store.on_failure(self.metrics.store_failed)
        settings = startup.reloader.configuration.settings
        self.cache = WatchCache(store, settings.store.timeout, self.metrics, patience(settings))
        self.commits = GroupCommit(store, self.cache, self.metrics)
        self.last_end = LastEnd(settings.data, startup.worker.number if startup.worker else None)
        self._watchdog = Watchdog(self.last_end.write)

    @classmethod
    async def start(cls, startup: Startup, stack: AsyncExitStack) -> "Core":
        """Open the store, waiting for it as long as it takes, and load the state.

        Nothing is written, but for the installation's id where there is none: a store that takes no writes
        can be read, and what is unchanged can be answered.

        Raises:
            StoreError: it cannot be; the message says what to do.
        """
        reloader = startup.reloader
        store = await wait_for_store(startup)
        stack.push_async_callback(store.close)
        reloader.follow(lambda: reconfigure_store(store, reloader.configuration.settings))
        core = cls(startup, store)
        stack.push_async_callback(core.supervisor.stop)
        startup.loading = core._loading
        core.supervisor.start("watch", core.cache.run())
        await core.cache.loaded()
        await _until_available(startup, core._have_installation)
        bootstrap.settle()
        core._watchdog.start()
        stack.callback(core._watchdog.stop)
        core.supervisor.start("state", core.supervise())
        return core

    def start_task(self, name: str, running: Coroutine[None, None, None], stack: AsyncExitStack) -> None:
        """Start a task that runs until the stack is left; if it ends before, the process does so, too."""
        stack.push_async_callback(cancel, self.supervisor.start(name, running))

    def readiness(self, *, drains: bool) -> Readiness:
        """Say whether to send requests to this process, and why not; `drains` says that it wants none."""
        reasons = [*self.reasons_against(), *(["draining"] if drains else [])]
        return Readiness(not reasons, (*reasons, *self.notes()))

    def reasons_against(self) -> list[str]:
        """Say why the state is of no use here."""
        reasons = [] if self.cache.is_loaded else [self._loading()]
        if obstacle := self.cache.preserved.obstacle:
            reasons.append(obstacle)
        if self.cache.standstill >= Stage.SESSION:
            reasons.append(self.cache.standstill_text)
        return reasons

    def notes(self) -> list[str]:
        """Say what is wrong with the store, which is no reason to send requests elsewhere.

        No other node has a store either, and from here clients get the contract's answer.
        """
        notes = [f"the store: {self.cache.trouble}"] if self.cache.trouble else []
        if failure := self.store.write_failure:
            notes.append(f"the store takes no changes: {failure.text}; {failure.remedy}")
        if self.cache.standstill is Stage.WATCH:
            notes.append(self.cache.standstill_text)
        return notes

    def takes_changes(self) -> bool:
        """Say whether requests should come here as far as this process's own store is concerned.

        One that is shared is no better elsewhere, and here what is unchanged is answered.
        """
        failure = self.store.write_failure
        return failure is None or not failure.is_own

    async def supervise(self) -> None:
        """Look after the state; where that does not help, end the process.

        Raises:
            StandsStillError: nothing has helped.
        """
        await self.cache.supervise()
        reason = self.cache.standstill_text
        self._watchdog.give_up(reason)
        raise StandsStillError(reason)

    def _loading(self) -> str:
        cache = self.cache
        if cache.broken and not cache.keys_read:
            return f"the store cannot be read: {cache.broken}"
        return f"loading what is stored: {cache.keys_read} keys read"

    async def _have_installation(self) -> None:
        """Make the installation's id where there is none."""
        while not self.cache.state.installation:
            await installation_owner(self.store)
            await self.cache.current()
