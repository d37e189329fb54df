"""A custom resource of the tests' own: lamps, which have a colour, a note, and a status."""

import secrets
from typing import Any

from ddnsd.kube.api import ApiResource, Selection
from tests.rigs.kubernetes import ApiError, KubernetesRig
from tests.waiting import wait_until

_CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
_DEADLINE = 10.0  # seconds for a CRD to be served, or to go
_SCHEMA = {
    "type": "object",
    "properties": {
        "spec": {
            "type": "object",
            "properties": {
                "colour": {"type": "string", "enum": ["red", "green"]},
                "note": {"type": "string"},
            },
        },
        "status": {"type": "object", "properties": {"lit": {"type": "boolean"}}},
    },
}


class Lamps:
    """The lamps of one namespace, under a CRD, as an administrator handles them."""

    def __init__(self, rig: KubernetesRig, namespace: str, group: str | None = None) -> None:
        """Take the CRD of a group; without one make a group and its CRD."""
        self.rig = rig
        self.namespace = namespace
        self.resource = ApiResource(group or f"g{secrets.token_hex(4)}.test", "v1", "lamps")
        self.selection = Selection(self.resource, namespace)
        if group is None:
            self.install()

    def install(self) -> None:
        """Add the CRD and wait until it is served."""
        version = {
            "name": self.resource.version,
            "served": True,
            "storage": True,
            "schema": {"openAPIV3Schema": _SCHEMA},
            "subresources": {"status": {}},
        }
        spec = {
            "group": self.resource.group,
            "scope": "Namespaced",
            "names": {"plural": self.resource.plural, "kind": "Lamp"},
            "versions": [version],
        }
        self.rig.call("POST", _CRDS, {"metadata": {"name": self._crd}, "spec": spec})
        self.wait()

    def wait(self) -> None:
        """Wait until lamps are served, as after the API server's start."""
        self._wait(self.resource.collection(), there=True)

    def uninstall(self) -> None:
        """Delete the CRD, and with it all lamps, and wait until it is gone."""
        self.rig.call("DELETE", f"{_CRDS}/{self._crd}")
        self._wait(f"{_CRDS}/{self._crd}", there=False)
        self._wait(self.resource.collection(), there=False)

    def document(self, name: str, **spec: str) -> dict[str, Any]:
        """Return a lamp; red if nothing else is said."""
        return {
            "apiVersion": self.resource.api_version,
            "kind": "Lamp",
            "metadata": {"namespace": self.namespace, "name": name},
            "spec": {"colour": "red", **spec},
        }

    def put(self, name: str, **spec: str) -> str:
        """Make or change a lamp by server-side apply and return its resourceVersion."""
        path = f"{self.resource.item(name, self.namespace)}?fieldManager=admin&force=true"
        version: str = self.rig.call("PATCH", path, self.document(name, **spec))["metadata"][
            "resourceVersion"
        ]
        return version

    def delete(self, name: str) -> None:
        self.rig.call("DELETE", self.resource.item(name, self.namespace))

    @property
    def _crd(self) -> str:
        return f"{self.resource.plural}.{self.resource.group}"

    def _wait(self, path: str, *, there: bool) -> None:
        wait_until(lambda: self._exists(path) is there)

    def _exists(self, path: str) -> bool:
        try:
            self.rig.call("GET", path)
        except ApiError as error:
            if error.code == 404:
                return False
            raise
        return True
