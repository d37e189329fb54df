"""A small asyncio client of etcd (v3 API, 3.4 and later) on grpc.aio. It knows nothing of DNS.

Why not one from PyPI: docs/decisions/0001-own-etcd-client.md.
"""

import os

# Before gRPC is imported: else it writes each failed try to connect to standard error by itself.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")

from ddnsd.etcd.client import Client
from ddnsd.etcd.election import Candidacy, campaign, enter
from ddnsd.etcd.errors import EtcdError, NotAppliedError, RestoredError, UnknownOutcomeError
from ddnsd.etcd.lease import Lease
from ddnsd.etcd.settings import Credentials, Settings, Tls
from ddnsd.etcd.values import (
    Compare,
    Delete,
    Event,
    KeyValue,
    Order,
    Put,
    Range,
    Relation,
    Revision,
    Snapshot,
    Target,
    Txn,
)
from ddnsd.etcd.watch import Watch

__all__ = [
    "Candidacy",
    "Client",
    "Compare",
    "Credentials",
    "Delete",
    "EtcdError",
    "Event",
    "KeyValue",
    "Lease",
    "NotAppliedError",
    "Order",
    "Put",
    "Range",
    "Relation",
    "RestoredError",
    "Revision",
    "Settings",
    "Snapshot",
    "Target",
    "Tls",
    "Txn",
    "UnknownOutcomeError",
    "Watch",
    "campaign",
    "enter",
]
