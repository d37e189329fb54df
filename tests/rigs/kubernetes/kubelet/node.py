"""The node: it says that it is ready, and starts the pods that the scheduler gives it."""

import itertools
import threading
import time
from collections.abc import Mapping
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Any, Self

from tests.rigs.kubernetes.collection import Collection, Key
from tests.rigs.kubernetes.controlplane import ControlPlane
from tests.rigs.kubernetes.kubelet.layout import Node
from tests.rigs.kubernetes.kubelet.pod import Pod
from tests.rigs.kubernetes.kubelet.volumes import Sources
from tests.rigs.network import Network
from tests.rigs.place import Place
from tests.rigs.subnet import run

NAME = "node"
_BEAT = 5.0  # seconds between two renewals of the lease, which is good for 40
_CAPACITY = {"cpu": "64", "memory": "256Gi", "pods": "250", "ephemeral-storage": "1Ti"}


class Kubelet:
    """`with Kubelet(plane) as kubelet:` registers the node and runs its pods until the end."""

    def __init__(self, plane: ControlPlane) -> None:
        self._plane = plane
        self._network: Network = plane.network
        self._numbers = itertools.count(1)
        self._stack = ExitStack()
        self._closed = threading.Event()
        self._pods: dict[str, Pod] = {}
        self._thread = threading.Thread(target=self._run, name="kubelet", daemon=True)

    def __enter__(self) -> Self:
        self._pods_seen = self._follow("/api/v1/pods")
        names = ("configmaps", "secrets", "persistentvolumeclaims", "persistentvolumes")
        sources = Sources(self._plane, *(self._follow(f"/api/v1/{name}") for name in names))
        host, _, port = self._plane.address.rpartition(":")
        environment = {"KUBERNETES_SERVICE_HOST": host, "KUBERNETES_SERVICE_PORT": port}
        folder = self._plane.folder / "pods"
        folder.mkdir()
        self._node = Node(sources, self._pods_seen, folder, self._network.gateway, environment)
        self._register()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closed.set()
        if self._thread.is_alive():
            self._thread.join()
        for pod in self._pods.values():
            pod.close()
        self._stack.close()

    def pods(self, namespace: str, component: str) -> list[Pod]:
        """Return the pods of a component that are not on their way out, the oldest first."""
        return [
            self._pods[found["metadata"]["uid"]]
            for key, found in sorted(
                self._pods_seen.objects.items(), key=lambda each: each[1]["metadata"]["creationTimestamp"]
            )
            if key.namespace == namespace
            and found["metadata"].get("labels", {}).get("app.kubernetes.io/component") == component
            and "deletionTimestamp" not in found["metadata"]
            and found["metadata"]["uid"] in self._pods
        ]

    def ready(self, namespace: str, name: str) -> bool:
        """Say whether a pod of this name is there, and ready."""
        found = self._pods_seen.objects.get(Key(namespace, name))
        conditions = found.get("status", {}).get("conditions", ()) if found else ()
        return any((each["type"], each["status"]) == ("Ready", "True") for each in conditions)

    def all_pods(self) -> list[Pod]:
        """Return all pods that ever were."""
        return list(self._pods.values())

    def _follow(self, path: str) -> Collection:
        return self._stack.enter_context(Collection(self._plane, path))

    def _register(self) -> None:
        node = {
            "metadata": {
                "name": NAME,
                "labels": {"kubernetes.io/hostname": NAME, "kubernetes.io/os": "linux"},
            },
        }
        self._plane.call("POST", "/api/v1/nodes", node)
        status = {
            "capacity": _CAPACITY,
            "allocatable": _CAPACITY,
            "addresses": [{"type": "InternalIP", "address": self._network.gateway}],
            "conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady", "message": ""}],
        }
        self._apply("/api/v1/nodes/node/status", {"apiVersion": "v1", "kind": "Node", "status": status})

    def _beat(self) -> None:
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        spec = {"holderIdentity": NAME, "leaseDurationSeconds": 40, "renewTime": now}
        lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "spec": spec}
        self._apply(f"/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/{NAME}", lease)

    def _apply(self, path: str, body: Mapping[str, Any]) -> None:
        named = {**body, "metadata": {"name": NAME}}
        self._plane.call("PATCH", f"{path}?fieldManager=kubelet&force=true", named)

    def _run(self) -> None:
        beat = 0.0
        while not self._closed.is_set():
            if time.monotonic() > beat:
                self._beat()
                beat = time.monotonic() + _BEAT
            self._pods_seen.changed.wait(0.2)
            self._pods_seen.changed.clear()
            for found in list(self._pods_seen.objects.values()):
                self._take(found)

    def _take(self, found: Mapping[str, Any]) -> None:
        uid = found["metadata"]["uid"]
        if found["spec"].get("nodeName") == NAME and uid not in self._pods:
            self._pods[uid] = Pod(found, self._node, self._place())

    def _place(self) -> Place:
        place = self._network.place(f"pod-{next(self._numbers)}")
        run("ip", "-n", place.namespace, "route", "add", "default", "via", self._network.gateway)
        return place
