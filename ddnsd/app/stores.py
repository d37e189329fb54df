"""From settings to the store."""

import asyncio

from ddnsd import etcd
from ddnsd.app.startup import Startup
from ddnsd.config import EtcdSettings, EtcdTlsSettings, Settings
from ddnsd.store.embedded import open_embedded
from ddnsd.store.etcd import EtcdStore, EtcdStoreSettings, open_etcd
from ddnsd.store.interface import Store, UnavailableError
from ddnsd.store.standstill import PATIENCE, Patience

_RETRY_SECONDS = 1.0
_SOON = 1.0  # seconds after which people who look on are told that the store has not answered


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
    try:
        while True:
            try:
                store = await open_store(reloader.configuration.settings)
            except UnavailableError as error:
                soon.cancel()
                startup.waits(str(error))
            else:
                startup.waits_no_longer()
                return store
            await asyncio.sleep(_RETRY_SECONDS)
    finally:
        soon.cancel()


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
    cluster = etcd.Settings(
        section.endpoints,
        tls=_tls(section.tls) if section.tls else None,
        credentials=etcd.Credentials(section.user, password.password) if password else None,
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
