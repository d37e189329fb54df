"""A real Kubernetes API server on an etcd of its own (no kubelet and no controllers: pods do not run).

go.mod and go.sum say which one; script/install-kubernetes builds it.
"""

from .administrator import ApiError, ServiceAccount
from .kubectl import Kubectl
from .projected import ProjectedFolder
from .server import KubernetesRig, User

__all__ = ["ApiError", "Kubectl", "KubernetesRig", "ProjectedFolder", "ServiceAccount", "User"]
