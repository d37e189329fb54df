"""What the API is told of a pod."""

from collections.abc import Mapping, Sequence
from typing import Any

from tests.rigs.kubernetes.kubelet.container import Container


def pod_status(
    pod: Mapping[str, Any], containers: Sequence[Container], address: str, node_address: str
) -> dict[str, Any]:
    """Return a pod's `status`, all that kubelet owns of it."""
    statuses = [container.status() for container in containers]
    ready = bool(statuses) and all(status["ready"] for status in statuses)
    conditions = {
        "PodReadyToStartContainers": True,
        "Initialized": True,
        "ContainersReady": ready,
        "Ready": ready,
    }
    return {
        "phase": _phase(containers),
        "hostIP": node_address,
        "podIP": address,
        "podIPs": [{"ip": address}],
        "startTime": pod["metadata"]["creationTimestamp"],
        "conditions": [{"type": name, "status": str(value)} for name, value in conditions.items()],
        "containerStatuses": statuses,
    }


def _phase(containers: Sequence[Container]) -> str:
    if not containers:
        return "Pending"
    if not all(container.ended for container in containers):
        return "Running"
    return "Failed" if any(container.process.code for container in containers) else "Succeeded"
