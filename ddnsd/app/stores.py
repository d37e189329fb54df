"""From settings to the store."""

from ddnsd import etcd
from ddnsd.config import EtcdSettings, EtcdTlsSettings, Settings
from ddnsd.store.embedded import open_embedded
from ddnsd.store.etcd import EtcdStore, EtcdStoreSettings, open_etcd
from ddnsd.store.interface import Store


async def open_store(settings: Settings) -> Store:
    """Open the store that the settings name.

    Raises:
        StoreError: it cannot be opened now; the message says what to do.
    """
    if settings.store.etcd is None:
        return await open_embedded(settings.data / "store")
    return await open_etcd(_etcd(settings.store.etcd, settings.store.timeout))


def reconfigure_store(store: Store, settings: Settings) -> None:
    """Let a store that is open go on with the settings' user, certificates and times."""
    if isinstance(store, EtcdStore) and settings.store.etcd is not None:
        store.reconfigure(_etcd(settings.store.etcd, settings.store.timeout))


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
