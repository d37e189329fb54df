"""Where the store is."""

from dataclasses import dataclass

from ddnsd.etcd import Settings


@dataclass(frozen=True, slots=True)
class EtcdStoreSettings:
    """A cluster, and an installation's place in it. `lease_ttl` in seconds: how long a dead leader leads."""

    cluster: Settings
    prefix: str = "ddnsd/"
    lease_ttl: int = 5
