"""All objects of a kind, as a list and a watch keep them."""

import http.client
import json
import socket
import threading
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, NamedTuple, Self

from tests.rigs.kubernetes.administrator import Administrator, ApiError

_RETRY = 0.2  # seconds


class Key(NamedTuple):
    """Whose object it is; `namespace` is "" for what the whole cluster has."""

    namespace: str
    name: str


class Collection:
    """`with Collection(rig, "/api/v1/pods") as pods:` follows them; `pods.objects` is what it knows.

    `changed` is set at each change; who waits for it clears it before looking.
    """

    def __init__(self, rig: Administrator, path: str, changed: threading.Event | None = None) -> None:
        self.objects: Mapping[Key, Any] = {}
        self.changed = changed or threading.Event()
        self._rig = rig
        self._path = path
        self._closed = threading.Event()
        self._socket: socket.socket | None = None
        self._thread = threading.Thread(target=self._run, name=f"follow {path}", daemon=True)

    def __enter__(self) -> Self:
        self._list()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closed.set()
        while self._thread.is_alive():
            if self._socket is not None:
                _shut(self._socket)
            self._thread.join(0.05)

    def read(self, key: Key) -> Any:
        """Return an object as it is now, which `objects` may not show yet; None if there is none."""
        prefix, _, plural = self._path.rpartition("/")
        namespace = f"/namespaces/{key.namespace}" if key.namespace else ""
        try:
            return self._rig.call("GET", f"{prefix}{namespace}/{plural}/{key.name}")
        except ApiError as error:
            if error.code != HTTPStatus.NOT_FOUND:
                raise
            return None

    def _run(self) -> None:
        while not self._closed.is_set():
            try:
                self._watch(self._list())
            except (
                OSError,
                ApiError,
                http.client.HTTPException,
                ValueError,
            ):  # it restarts, or has just gone
                self._closed.wait(_RETRY)

    def _list(self) -> str:
        found = self._rig.call("GET", self._path)
        self._replace({_key(each): each for each in found["items"]})
        return str(found["metadata"]["resourceVersion"])

    def _watch(self, version: str) -> None:
        connection = self._rig.connect()
        connection.connect()
        self._socket = connection.sock
        headers = {"Authorization": f"Bearer {self._rig.token}"}
        connection.request("GET", f"{self._path}?watch=1&resourceVersion={version}", headers=headers)
        answer = connection.getresponse()
        try:
            while line := answer.readline():
                self._take(json.loads(line))
        finally:
            answer.close()
            connection.close()

    def _take(self, event: Mapping[str, Any]) -> None:
        if event["type"] == "ERROR":
            raise ValueError(event["object"]["message"])
        objects = dict(self.objects)
        if event["type"] == "DELETED":
            objects.pop(_key(event["object"]), None)
        else:
            objects[_key(event["object"])] = event["object"]
        self._replace(objects)

    def _replace(self, objects: Mapping[Key, Any]) -> None:
        self.objects = objects  # one assignment: whoever reads has either all or nothing of a change
        self.changed.set()


def _key(document: Mapping[str, Any]) -> Key:
    metadata = document["metadata"]
    return Key(metadata.get("namespace", ""), metadata["name"])


def _shut(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:  # it is closed already
        return
