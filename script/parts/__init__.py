"""The parts of the local cluster of `make cluster`: etcd members, nodes of ddnsd, a BIND.

Each has a folder with its configuration, its data and its log. All listen on the loopback, in a block
of ports from CLUSTER_PORT on, here from 9000; N is the number of the node or member:

    90N0 update API   90N1 admin API   90N2 health and metrics   90N3 etcd clients   90N4 etcd peers
    9053 DNS
"""

from parts.cluster import Cluster, Ended, NotStartedError
from parts.layout import Layout, LayoutError
from parts.node import LEASE_TTL, Node

__all__ = ["LEASE_TTL", "Cluster", "Ended", "Layout", "LayoutError", "Node", "NotStartedError"]
