"""From settings to the store."""

from ddnsd import etcd
from ddnsd.config import EtcdSettings, EtcdTlsSettings, Settings
from ddnsd.store.embedded import open_embedded
from ddnsd.store.etcd import EtcdStoreSettings, open_etcd
from ddnsd.store.interface import Store


async def open_store(settings: Settings) -> Store:
    """Open the store that the settings name.

    Raises:
        StoreError: it cannot be opened now; the message says what to do.
        OSError: a TLS file cannot be read any more.
    """
    if settings.store.etcd is None:
        return await open_embedded(settings.data / "store")
    return await open_etcd(_etcd(settings.store.etcd, settings.store.timeout))


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
        path.read_bytes() if path else None for path in (section.ca, section.certificate, section.key)
    )
    return etcd.Tls(authority, certificate, key)
