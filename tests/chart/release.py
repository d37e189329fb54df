"""A release on a real API server. No kubelet runs, so that its pods do not."""

import secrets
from pathlib import Path

from tests.chart.helm import CHART, Values, run
from tests.rigs.kubernetes import KubernetesRig

KINDS = ("zones", "accounts", "hosts", "tokens")


class Release:
    """The release `ddnsd` in a namespace of its own, which enforces Pod Security "restricted".

    Its objects for the whole Kubernetes cluster have the namespace in their names: tests may share one.
    """

    def __init__(self, rig: KubernetesRig) -> None:
        self._rig = rig
        self.namespace = f"test-{secrets.token_hex(4)}"
        self.kubectl = rig.kubectl()
        labels = {"pod-security.kubernetes.io/enforce": "restricted"}
        metadata = {"name": self.namespace, "labels": labels}
        self.kubectl.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
        rig.service_account(self.namespace, "default")  # which kube-controller-manager would make

    def install(self, values: Values, major: str = "4", chart: Path = CHART) -> None:
        """Raise `RefusedError` where helm, the chart or the API server does not want it."""
        self._helm("install", str(chart), values=values, major=major)

    def upgrade(self, values: Values, major: str = "4", *options: str) -> None:
        """Raise `RefusedError` where helm, the chart or the API server does not want it."""
        self._helm("upgrade", str(CHART), *options, values=values, major=major)

    def uninstall(self) -> None:
        self._helm("uninstall")

    def may(self, account: str, verb: str, resource: str, namespace: str = "", name: str = "") -> bool:
        """Say whether RBAC lets a ServiceAccount of this namespace do something; no namespace: anywhere.

        `resource` is one of ddnsd's or of Kubernetes' core, or names its group as kubectl does: hosts,
        hosts/status, secrets, events.events.k8s.io.
        """
        resource, _, subresource = resource.partition("/")
        resource, _, group = resource.partition(".")
        attributes = {"verb": verb, "resource": resource, "subresource": subresource}
        group = "ddnsd.dev" if resource in KINDS else group
        where = {"group": group, "namespace": namespace, "name": name}
        user = f"system:serviceaccount:{self.namespace}:{account}"
        body = {"spec": {"user": user, "resourceAttributes": attributes | where}}
        answer = self._rig.call("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", body)
        return bool(answer["status"]["allowed"])

    def _helm(self, verb: str, *arguments: str, values: Values | None = None, major: str = "4") -> None:
        where = ("--namespace", self.namespace, "--kubeconfig", str(self.kubectl.kubeconfig))
        run(verb, "ddnsd", *arguments, *where, values=values, major=major)
