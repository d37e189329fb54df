"""Tells the API what becomes of one pod."""

from collections.abc import Mapping
from typing import Any

from tests.rigs.kubernetes.administrator import Administrator, ApiError

_GONE = 404, 409  # it has just gone, or another one has its name


class Reporter:
    """Writes a status where it differs from the one before."""

    def __init__(self, rig: Administrator, pod: Mapping[str, Any]) -> None:
        metadata = pod["metadata"]
        self._rig = rig
        self._identity = {"name": metadata["name"], "uid": metadata["uid"]}
        self._path = f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}"
        self._last: Mapping[str, Any] = {}

    def report(self, status: Mapping[str, Any]) -> None:
        if status == self._last:
            return
        body = {"apiVersion": "v1", "kind": "Pod", "metadata": self._identity, "status": status}
        self._call("PATCH", f"{self._path}/status?fieldManager=kubelet&force=true", body)
        self._last = status

    def is_gone(self) -> None:
        """Nothing of it runs any more: its object may go."""
        options = {"gracePeriodSeconds": 0, "preconditions": {"uid": self._identity["uid"]}}
        self._call("DELETE", self._path, options)

    def _call(self, method: str, path: str, body: Mapping[str, Any]) -> None:
        try:
            self._rig.call(method, path, body)
        except ApiError as error:
            if error.code not in _GONE:
                raise
