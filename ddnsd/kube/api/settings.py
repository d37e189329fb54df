"""Where the API server is, how long it may take (seconds), and which of its objects are meant."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote, urlsplit

from ddnsd.kube.api.objects import ObjectNotFoundError

CREDENTIALS = Path("/var/run/secrets/kubernetes.io/serviceaccount")


@dataclass(frozen=True, slots=True)
class ApiSettings:
    """One API server. `credentials` is a folder with `token`, `ca.crt` and `namespace`, as pods find it.

    `timeout` bounds a call, `list_timeout` each page of a list. A watch is ended by the API server after
    `watch_timeout` and begun again from where it was; a connection that says nothing for longer is given up.
    TCP gets `connect_timeout`, however many addresses the host has, and so does TLS.

    Raises:
        ValueError: the URL is not https.
    """

    server: str
    credentials: Path = CREDENTIALS
    timeout: float = 10.0
    list_timeout: float = 30.0
    watch_timeout: int = 60
    connect_timeout: float = 3.0
    user_agent: str = "ddnsd"

    def __post_init__(self) -> None:
        url = urlsplit(self.server)
        if url.scheme != "https" or not url.hostname or url.path.strip("/") or url.query or url.username:
            raise ValueError("the API server's URL: write https://host or https://host:6443")

    @property
    def authority(self) -> str:
        """Host and port, as errors name the server."""
        return urlsplit(self.server).netloc


def in_cluster_server(environ: Mapping[str, str]) -> str:
    """Return the URL in a pod's environment.

    Raises:
        ValueError: the variables are not set.
    """
    host, port = environ.get("KUBERNETES_SERVICE_HOST", ""), environ.get("KUBERNETES_SERVICE_PORT", "443")
    if not host:
        raise ValueError("KUBERNETES_SERVICE_HOST is not set: not in a pod, so name the API server's URL")
    return f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"


class ApiResource(NamedTuple):
    """One kind of object: `ApiResource("apps", "v1", "deployments")`; the core group is "".

    `sensitive`: no error may quote what the API server says about an object, as with Secrets.
    """

    group: str
    version: str
    plural: str
    namespaced: bool = True
    sensitive: bool = False

    @property
    def api_version(self) -> str:
        """The `apiVersion` of documents: "apps/v1", "v1"."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def root(self) -> str:
        """The path of its group and version, where discovery lists what is served."""
        return f"/apis/{self.api_version}" if self.group else f"/api/{self.version}"

    def collection(self, namespace: str = "") -> str:
        """Return the path of all its objects, or of a namespace's."""
        if namespace and not self.namespaced:
            raise ValueError(f"{self.plural} have no namespace")
        within = f"/namespaces/{quote(namespace, safe='')}" if namespace else ""
        return f"{self.root}{within}/{self.plural}"

    def item(self, name: str, namespace: str = "", subresource: str = "") -> str:
        """Return the path of one object, or of a subresource of it.

        Raises:
            ObjectNotFoundError: no object can have the name; a proxy might make another path of it.
        """
        if name in ("", ".", "..") or "/" in name or "%" in name:  # as apimachinery's IsValidPathSegmentName
            raise ObjectNotFoundError(f"{self.plural}: no object can be called {name[:80]!r}")
        if self.namespaced and not namespace:
            raise ValueError(f"{self.plural} have a namespace")
        below = f"/{subresource}" if subresource else ""
        return f"{self.collection(namespace)}/{quote(name, safe='')}{below}"


SECRETS = ApiResource("", "v1", "secrets", sensitive=True)
EVENTS = ApiResource("events.k8s.io", "v1", "events")


class Selection(NamedTuple):
    """The objects of one resource: all (namespace ""), or one namespace's; by a label selector."""

    resource: ApiResource
    namespace: str = ""
    labels: str = ""

    @property
    def path(self) -> str:
        """The path that lists or watches them."""
        return self.resource.collection(self.namespace)

    @property
    def query(self) -> Mapping[str, str]:
        """The selector, as a parameter of a list or a watch."""
        return {"labelSelector": self.labels} if self.labels else {}

    def __str__(self) -> str:
        return f"{self.resource.plural} of {self.namespace}" if self.namespace else self.resource.plural
