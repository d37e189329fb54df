"""A small asyncio client of etcd (v3 API, 3.4 and later) on grpc.aio. It knows nothing of DNS.

Why not one from PyPI: docs/decisions/0001-own-etcd-client.md.
"""

import os

# Before gRPC is imported: else it writes each failed try to connect to standard error by itself.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")

from ddnsd.etcd.client import EtcdClient
from ddnsd.etcd.election import Campaign, enter
from ddnsd.etcd.errors import EtcdError, EtcdRestoredError, UnknownOutcomeError
from ddnsd.etcd.lease import Lease
from ddnsd.etcd.settings import EtcdClientSettings, EtcdUser, Tls
from ddnsd.etcd.values import (
    Compare,
    CompareTarget,
    DeleteRangeRequest,
    EtcdKeyValue,
    KeyEvent,
    Order,
    PutRequest,
    RangeRequest,
    Relation,
    TxnRequest,
    WatchRevision,
)
from ddnsd.etcd.watch import WatchStream

__all__ = [
    "Campaign",
    "Compare",
    "CompareTarget",
    "DeleteRangeRequest",
    "EtcdClient",
    "EtcdClientSettings",
    "EtcdError",
    "EtcdKeyValue",
    "EtcdRestoredError",
    "EtcdUser",
    "KeyEvent",
    "Lease",
    "Order",
    "PutRequest",
    "RangeRequest",
    "Relation",
    "Tls",
    "TxnRequest",
    "UnknownOutcomeError",
    "WatchRevision",
    "WatchStream",
    "enter",
]
