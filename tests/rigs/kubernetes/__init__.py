"""A real Kubernetes API server on an etcd of its own (no kubelet and no controllers: pods do not run).

go.mod and go.sum say which one; script/install-kubernetes builds it.
"""

from tests.rigs.kubernetes.administrator import ApiError, ServiceAccount
from tests.rigs.kubernetes.kubectl import Kubectl
from tests.rigs.kubernetes.projected import ProjectedFolder
from tests.rigs.kubernetes.server import KubernetesRig, User

__all__ = ["ApiError", "Kubectl", "KubernetesRig", "ProjectedFolder", "ServiceAccount", "User"]
