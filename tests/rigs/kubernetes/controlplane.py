"""A whole control plane: the API server with Kubernetes' own controllers and its scheduler."""

import json
from contextlib import ExitStack
from typing import Self

from tests.rigs.kubernetes.kubectl import write_kubeconfig
from tests.rigs.kubernetes.programs import kubernetes_program
from tests.rigs.kubernetes.server import KubernetesRig
from tests.rigs.network import Network
from tests.rigs.place import Place
from tests.rigs.process import ServerProcess

_CONTROLLERS = (  # those that this chart's objects need
    "deployment-controller",
    "replicaset-controller",
    "statefulset-controller",
    "disruption-controller",
    "endpointslice-controller",
    "serviceaccount-controller",
    "root-ca-certificate-publisher-controller",
    "clusterrole-aggregation-controller",
    "persistentvolume-binder-controller",
    "persistentvolumeclaim-protection-controller",
    "node-lifecycle-controller",
    "taint-eviction-controller",
    "garbage-collector-controller",
    "namespace-controller",
    "pod-garbage-collector-controller",
)


class ControlPlane(KubernetesRig):
    """kube-apiserver, kube-controller-manager and kube-scheduler, on a network's gateway."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self._manager = kubernetes_program("kube-controller-manager")  # may skip: before anything is made
        self._scheduler = kubernetes_program("kube-scheduler")
        self._processes = ExitStack()
        options = (f"--service-cluster-ip-range={network.services}", f"--advertise-address={network.gateway}")
        super().__init__(place=Place(network.gateway), options=options)

    def __enter__(self) -> Self:
        super().__enter__()
        config = str(write_kubeconfig(self.folder / "kubeconfig", self.url, self.authority, self.token))
        common = ("--kubeconfig", config, "--leader-elect=false", "--secure-port=0")
        self._run(
            self._manager,
            *common,
            f"--controllers={','.join(_CONTROLLERS)}",
            f"--root-ca-file={self.authority}",
            "--pvclaimbinder-sync-period=1s",
        )
        self._run(self._scheduler, *common, "--config", self._profile(config))
        return self

    def close(self) -> None:
        self._processes.close()
        super().close()

    def _run(self, program: str, *options: str) -> None:
        name = program.rpartition("/")[2]
        process = ServerProcess((program, *options), self.folder / f"{name}.log")
        self._processes.callback(process.kill)

    def _profile(self, kubeconfig: str) -> str:
        """Write the scheduler's configuration; return its path."""
        path = self.folder / "scheduler.yaml"
        profile = {
            "apiVersion": "kubescheduler.config.k8s.io/v1",
            "kind": "KubeSchedulerConfiguration",
            "clientConnection": {"kubeconfig": kubeconfig},
            "leaderElection": {"leaderElect": False},
            "podInitialBackoffSeconds": 1,
            "podMaxBackoffSeconds": 1,
        }
        path.write_text(json.dumps(profile))
        return str(path)
