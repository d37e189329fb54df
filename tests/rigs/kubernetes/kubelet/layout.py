"""What a pod's containers find when they start."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from tests.rigs.kubernetes.collection import Collection
from tests.rigs.kubernetes.kubelet.environment import command, variables
from tests.rigs.kubernetes.kubelet.images import image
from tests.rigs.kubernetes.kubelet.sandbox import Mount, Process, Sandbox
from tests.rigs.kubernetes.kubelet.volumes import Sources
from tests.rigs.place import Place

_RESOLVER = "nameserver {}\nsearch {}.svc.cluster.local svc.cluster.local cluster.local\noptions ndots:5\n"


class Node(NamedTuple):
    """What pods have in common: `address` is the node's, where the cluster's DNS is too."""

    sources: Sources
    pods: Collection
    folder: Path
    address: str
    environment: Mapping[str, str]


class Layout(NamedTuple):
    """One pod's: `folder` is its own, `volumes` are folders by the volumes' names."""

    pod: Mapping[str, Any]
    node: Node
    place: Place
    folder: Path
    volumes: Mapping[str, Path]

    def start(self, container: Mapping[str, Any]) -> Process:
        """Start a container, with its variables as they are now.

        Raises:
            NotYetError: a ConfigMap or Secret that one comes from is missing.
        """
        known = variables(self.pod, container, self.node.sources)
        sandbox = self._sandbox(container, known)
        return Process(sandbox, command(container, sandbox.image.entrypoint, known))

    def _sandbox(self, container: Mapping[str, Any], known: Mapping[str, str]) -> Sandbox:
        folder = self.folder / container["name"]
        folder.mkdir(exist_ok=True)
        hostname = self.pod["metadata"]["name"]
        built = image(container["image"])
        own = {"HOSTNAME": hostname, "HOME": "/", **self.node.environment}
        security = {**self.pod["spec"].get("securityContext", {}), **container.get("securityContext", {})}
        mounts = [*self._files(), *(self._mount(each) for each in container.get("volumeMounts", ()))]
        environment = {**built.environment, **own, **known}
        return Sandbox(hostname, self.place, built, mounts, environment, security, folder)

    def _files(self) -> list[Mount]:
        """Write what every pod has in /etc."""
        metadata = self.pod["metadata"]
        texts = {
            "hosts": f"127.0.0.1 localhost\n{self.place.address} {metadata['name']}\n",
            "resolv.conf": _RESOLVER.format(self.node.address, metadata["namespace"]),
        }
        for name, text in texts.items():
            (self.folder / name).write_text(text)
        return [Mount(self.folder / name, f"/etc/{name}") for name in texts]

    def _mount(self, mount: Mapping[str, Any]) -> Mount:
        return Mount(self.volumes[mount["name"]], mount["mountPath"], mount.get("readOnly", False))
