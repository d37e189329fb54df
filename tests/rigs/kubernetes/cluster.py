"""A Kubernetes cluster of one node, for this project's chart."""

from contextlib import ExitStack
from typing import Self

from tests.rigs.kubernetes.controlplane import ControlPlane
from tests.rigs.kubernetes.helm import Helm
from tests.rigs.kubernetes.kubelet import Kubelet
from tests.rigs.kubernetes.services import Services
from tests.rigs.network import Network

_RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}


class Cluster:
    """`with Cluster() as cluster:` starts everything; nothing is left behind."""

    def __init__(self) -> None:
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        try:
            self.network = self._stack.enter_context(Network())
            self.plane = self._stack.enter_context(ControlPlane(self.network))
            self.kubelet = self._stack.enter_context(Kubelet(self.plane))
            self.services = self._stack.enter_context(Services(self.plane))
        except BaseException:
            self._stack.close()
            raise
        self.kubectl = self.plane.kubectl()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def namespace(self, name: str) -> str:
        """Make a namespace in which Pod Security "restricted" is enforced."""
        self.plane.call("POST", "/api/v1/namespaces", {"metadata": {"name": name, "labels": _RESTRICTED}})
        return name

    def helm(self, namespace: str) -> Helm:
        return Helm(self.kubectl.kubeconfig, namespace)

    def volume(self, size: str = "8Gi") -> None:
        """Provide a volume, for whichever claim comes first."""
        number = len(self.kubectl.get("persistentvolumes")["items"])
        folder = self.plane.folder / f"volume-{number}"
        self.kubectl.apply(
            {
                "apiVersion": "v1",
                "kind": "PersistentVolume",
                "metadata": {"name": folder.name},
                "spec": {
                    "capacity": {"storage": size},
                    "accessModes": ["ReadWriteOnce"],
                    "hostPath": {"path": str(folder)},
                },
            }
        )
