"""Which objects are meant: a resource, and what of it."""

from typing import NamedTuple
from urllib.parse import quote, urlencode

from ddnsd.kube.api.errors import NotFoundError


class Resource(NamedTuple):
    """One kind of object: `Resource("apps", "v1", "deployments")`; the core group is "".

    `sensitive`: no error may quote what the API server says about an object, as with Secrets.
    """

    group: str
    version: str
    plural: str
    namespaced: bool = True
    sensitive: bool = False

    @property
    def api_version(self) -> str:
        """As documents write it: "apps/v1", "v1"."""
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
            NotFoundError: nothing can have the name; a proxy might make another path of it.
        """
        if name in ("", ".", "..") or "/" in name or "%" in name:  # as apimachinery's IsValidPathSegmentName
            raise NotFoundError(f"{self.plural}: nothing can be called {name[:80]!r}")
        if self.namespaced and not namespace:
            raise ValueError(f"{self.plural} have a namespace")
        below = f"/{subresource}" if subresource else ""
        return f"{self.collection(namespace)}/{quote(name, safe='')}{below}"


SECRETS = Resource("", "v1", "secrets", sensitive=True)
EVENTS = Resource("events.k8s.io", "v1", "events")


class Selection(NamedTuple):
    """The objects of one resource: all (namespace ""), or one namespace's; by label and field selectors."""

    resource: Resource
    namespace: str = ""
    labels: str = ""
    fields: str = ""

    def path(self, **parameters: str) -> str:
        """Return the path and query that list or watch them."""
        query = {"labelSelector": self.labels, "fieldSelector": self.fields, **parameters}
        return (
            f"{self.resource.collection(self.namespace)}?{urlencode({k: v for k, v in query.items() if v})}"
        )

    def __str__(self) -> str:
        return f"{self.resource.plural} of {self.namespace}" if self.namespace else self.resource.plural
