"""Where the store is."""

from dataclasses import dataclass

from ddnsd.etcd import Settings


@dataclass(frozen=True, slots=True)
class EtcdStoreSettings:
    """A cluster, and an installation's place in it.

    `lease_ttl`, in seconds, is how long a dead leader leads; `quota`, in bytes, the --quota-backend-bytes
    of members that do not tell it (before etcd 3.6).
    """

    cluster: Settings
    prefix: str = "ddnsd/"
    lease_ttl: int = 5
    quota: int = 2 << 30
