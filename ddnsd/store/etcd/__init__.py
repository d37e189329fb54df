"""The store of a cluster: the interface on etcd, over the client `ddnsd.etcd`.

Everything lies under one prefix, elections included, so that an etcd role with rights on the prefix is
enough. Some keys are the store's own: `clock`, which every commit writes; the timeline, a random text that
says to which history the keys belong (`session.py`); for each process its session key, by which it knows
that nothing it has sent before can still be applied (`session_key.py`). No snapshot and no watch shows the
last two.
"""

from ddnsd.store.etcd.store import EtcdStore, open_etcd
from ddnsd.store.etcd.transaction import EtcdStoreSettings

__all__ = ["EtcdStore", "EtcdStoreSettings", "open_etcd"]
