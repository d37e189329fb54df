"""The settings of the controller of custom resources: which Kubernetes cluster it serves, and how."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from ddnsd.config.annotation import RESTART, Bounds, FromText, Section
from ddnsd.config.parse import parse_api_server, parse_kubernetes_name, parse_role


@dataclass(frozen=True, slots=True, kw_only=True)
class KubeSettings(Section):
    """The Kubernetes cluster whose custom resources the controller puts into the store."""

    source: Annotated[str, FromText(parse_kubernetes_name), RESTART] = "kubernetes"
    """What the cluster is called on this store; each cluster that shares the store needs its own."""

    watch_namespaces: Annotated[tuple[Annotated[str, FromText(parse_kubernetes_name)], ...], RESTART] = ()
    """The namespaces whose accounts, hosts and tokens count; none: all, and the zones, too."""

    secrets_role: Annotated[str, FromText(parse_role), RESTART] = ""
    """ClusterRole that a namespace can bind to let the controller use its Secrets; conditions name it."""

    status_rate: Annotated[int, Bounds(1, 1000), RESTART] = 20
    """How many statuses the controller writes in a second, at most."""

    server: Annotated[str, FromText(parse_api_server), RESTART] = ""
    """URL of the API server; absent: the one of the cluster that the pod runs in."""

    credentials: Annotated[Path, RESTART] = Path("/var/run/secrets/kubernetes.io/serviceaccount")
    """Folder with the files `token`, `ca.crt` and `namespace`, which are read again when they change."""
