"""A stand-in for kubelet: pods of this project's chart as real processes on this machine, and nothing else.

What it does as kubelet does: volumes, variables, users, probes, hooks, signals and grace periods, restarts,
statuses. What it does not: images (they are folders of this machine, see `images`), process namespaces,
resources, init containers, exec and logs through the API server. It acts as an administrator, not as a node.
"""

from tests.rigs.kubernetes.kubelet.node import Kubelet

__all__ = ["Kubelet"]
