"""The store of a cluster: the interface on etcd, over the client `ddnsd.etcd`.

Everything lies under one prefix, elections included, so that an etcd role with rights on the prefix is
enough. Two keys are the store's own: `clock`, which every commit writes, and the timeline, a random text
that says to which history the keys belong (`session.py`); no snapshot and no watch shows it.
"""

from ddnsd.store.etcd.settings import EtcdStoreSettings
from ddnsd.store.etcd.store import EtcdStore, open_etcd

__all__ = ["EtcdStore", "EtcdStoreSettings", "open_etcd"]
