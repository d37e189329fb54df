"""A pod's volumes as folders: laid out before it starts, and again whenever what they show has changed."""

import os
from base64 import b64decode
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from tests.rigs.kubernetes.administrator import Administrator
from tests.rigs.kubernetes.collection import Collection, Key
from tests.rigs.kubernetes.projected import ProjectedFolder

_FOLDER_BITS, _FILE_BITS = 0o2770, 0o660


class Sources(NamedTuple):
    """What volumes show."""

    rig: Administrator
    config_maps: Collection
    secrets: Collection
    claims: Collection
    volumes: Collection


class NotYetError(Exception):
    """Something that the pod mounts is not there; kubelet waits for it."""


class Volumes:
    """The volumes of one pod, by their names."""

    def __init__(self, pod: Mapping[str, Any], sources: Sources, folder: Path) -> None:
        self._pod = pod
        self._namespace = pod["metadata"]["namespace"]
        self._group = pod["spec"].get("securityContext", {}).get("fsGroup", 0)
        self._sources = sources
        self._folder = folder
        self._shown: dict[str, Mapping[str, str]] = {}
        self._projections: dict[str, ProjectedFolder] = {}
        self._tokens: dict[str, str] = {}
        self._seen: dict[tuple[Collection, str], Any] = {}  # the newest of each source

    def lay_out(self) -> dict[str, Path]:
        """Return the folder of each volume, as it is now.

        A pod whose upgrade changed its ConfigMap first must not start with the one of before: kubelet
        follows each source from the first pod that mounts it, beginning with a read of its own.

        Raises:
            NotYetError: a source of one is missing.
        """
        self._seen.clear()
        return {volume["name"]: self._make(volume) for volume in self._pod["spec"].get("volumes", ())}

    def refresh(self) -> None:
        """Show what has changed since; what is gone stays as it was."""
        for volume in self._pod["spec"].get("volumes", ()):
            try:
                self._make(volume)
            except NotYetError:
                continue

    def _make(self, volume: Mapping[str, Any]) -> Path:
        name = volume["name"]
        (kind,) = volume.keys() - {"name"}
        if kind == "persistentVolumeClaim":
            return self._own(self._claimed(volume[kind]["claimName"]))
        folder = self._folder / name
        if kind == "emptyDir":
            if not folder.exists():
                folder.mkdir()
                folder.chmod(0o777)  # kubernetes: pkg/volume/emptydir, `perm`
            return self._own(folder)
        self._show(name, folder, self._files(kind, volume[kind]), volume[kind].get("defaultMode", 0o644))
        found: Path = folder
        return found

    def _files(self, kind: str, source: Mapping[str, Any]) -> dict[str, str]:
        readers: Mapping[str, Callable[[Mapping[str, Any]], dict[str, str]]] = {
            "configMap": self._config_map,
            "secret": self._secret,
            "projected": self._projected,
            "serviceAccountToken": self._token,
            "downwardAPI": self._downward,
        }
        return readers[kind](source)

    def _projected(self, source: Mapping[str, Any]) -> dict[str, str]:
        files: dict[str, str] = {}
        for each in source["sources"]:
            for kind, inner in each.items():
                files |= self._files(kind, inner)
        return files

    def _config_map(self, source: Mapping[str, Any]) -> dict[str, str]:
        found = self._find(self._sources.config_maps, source["name"])
        return _chosen(source, found.get("data", {}))

    def _secret(self, source: Mapping[str, Any]) -> dict[str, str]:
        found = self._find(self._sources.secrets, source.get("secretName") or source["name"])
        return _chosen(
            source, {name: b64decode(text).decode() for name, text in found.get("data", {}).items()}
        )

    def _token(self, source: Mapping[str, Any]) -> dict[str, str]:
        account = self._pod["spec"]["serviceAccountName"]
        if account not in self._tokens:  # good for an hour: longer than any test
            bound = {
                "kind": "Pod",
                "apiVersion": "v1",
                "name": self._pod["metadata"]["name"],
                "uid": self._pod["metadata"]["uid"],
            }
            asked = {"expirationSeconds": source["expirationSeconds"], "boundObjectRef": bound}
            path = f"/api/v1/namespaces/{self._namespace}/serviceaccounts/{account}/token"
            self._tokens[account] = self._sources.rig.call("POST", path, {"spec": asked})["status"]["token"]
        return {source["path"]: self._tokens[account]}

    def _downward(self, source: Mapping[str, Any]) -> dict[str, str]:
        fields = {"metadata.namespace": self._namespace}
        return {item["path"]: fields[item["fieldRef"]["fieldPath"]] for item in source["items"]}

    def _claimed(self, claim: str) -> Path:
        volume = self._find(self._sources.claims, claim)["spec"].get("volumeName")
        bound = self._sources.volumes.objects.get(Key("", volume)) if volume else None
        if bound is None:
            raise NotYetError(f"PersistentVolumeClaim {claim} is not bound")
        return Path(bound["spec"]["hostPath"]["path"])

    def _find(self, collection: Collection, name: str) -> Any:
        key = Key(self._namespace, name)
        seen, found = self._seen.get((collection, name)), collection.objects.get(key)
        if seen is None:
            found = collection.read(key)
        elif found is None or _version(found) < _version(seen):
            found = seen
        if found is None:
            raise NotYetError(f"{name} is not there")
        self._seen[collection, name] = found
        return found

    def _show(self, name: str, folder: Path, files: Mapping[str, str], mode: int) -> None:
        if self._shown.get(name) == files:
            return
        if name not in self._projections:
            self._projections[name] = ProjectedFolder(folder, group=self._group, mode=mode)
        self._projections[name].write(files)
        self._shown[name] = files

    def _own(self, folder: Path) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        give_to_group(folder, self._group)
        return folder


def give_to_group(volume: Path, group: int) -> None:
    """Do what fsGroup asks for, with the policy OnRootMismatch (kubernetes: pkg/volume/volume_linux.go).

    Nothing is taken away: what others may do they still may.
    """
    root = volume.stat()
    if root.st_gid == group and root.st_mode & _FOLDER_BITS == _FOLDER_BITS:
        return
    for path in [volume, *volume.rglob("*")]:
        if not path.is_symlink():
            os.chown(path, -1, group)
            path.chmod(path.stat().st_mode & 0o7777 | (_FOLDER_BITS if path.is_dir() else _FILE_BITS))


def _version(document: Mapping[str, Any]) -> int:
    return int(document["metadata"]["resourceVersion"])


def _chosen(source: Mapping[str, Any], data: Mapping[str, str]) -> dict[str, str]:
    if "items" not in source:
        return dict(data)
    return {item["path"]: data[item["key"]] for item in source["items"]}
