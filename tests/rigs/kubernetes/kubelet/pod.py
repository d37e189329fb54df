"""One pod, from the moment the scheduler has given it to the node until nothing is left of it."""

import subprocess
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from tests.rigs.place import Place

from ..administrator import ApiError
from ..collection import Collection, Key
from .container import Container
from .environment import command, variables
from .images import image
from .sandbox import Mount, Process, Sandbox
from .status import pod_status
from .volumes import NotYetError, Sources, Volumes

_GLANCE = 0.1  # seconds between two looks at everything
_RESOLVER = "nameserver {}\nsearch {}.svc.cluster.local svc.cluster.local cluster.local\noptions ndots:5\n"


class Node(NamedTuple):
    """What pods have in common."""

    sources: Sources
    pods: Collection
    folder: Path
    address: str
    environment: Mapping[str, str]


class Pod:
    """A pod in a thread of its own, which its processes go with."""

    def __init__(self, spec: Mapping[str, Any], node: Node, place: Place) -> None:
        self._pod = spec
        self.key = Key(spec["metadata"]["namespace"], spec["metadata"]["name"])
        self.uid = spec["metadata"]["uid"]
        self._node = node
        self._place = place
        self.folder = node.folder / self.uid
        self._volumes = Volumes(spec, node.sources, self.folder / "volumes")
        self.containers: list[Container] = []
        self._reported: dict[str, Any] = {}
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"pod {self.key.name}", daemon=True)
        self._thread.start()

    @property
    def address(self) -> str:
        return self._place.address

    @property
    def running(self) -> bool:
        return self._thread.is_alive()

    def log(self) -> str:
        """Return all that its containers wrote."""
        return "\n".join(path.read_text(errors="replace") for path in sorted(self.folder.glob("*/log")))

    def close(self) -> None:
        """End everything at once, and tell nobody."""
        self._closed.set()
        self._thread.join()

    def _run(self) -> None:
        (self.folder / "volumes").mkdir(parents=True)
        try:
            while not self._closed.is_set() and not self._is_to_leave():
                self._step()
                self._closed.wait(_GLANCE)
            if not self._closed.is_set():
                self._leave()
        finally:
            for container in self.containers:
                container.close()

    def _step(self) -> None:
        if not self.containers:
            self._start()
        else:
            self._volumes.refresh()
            for container in self.containers:
                container.step()
        self._report()

    def _is_to_leave(self) -> bool:
        current = self._current()
        return current is None or "deletionTimestamp" in current["metadata"]

    def _current(self) -> Any:
        """Return the pod as the API has it; None: it is gone, or another one has its name."""
        found = self._node.pods.objects.get(self.key)
        return found if found is not None and found["metadata"]["uid"] == self.uid else None

    def _start(self) -> None:
        try:
            folders = self._volumes.lay_out()
            sandboxes = [self._sandbox(container, folders) for container in self._pod["spec"]["containers"]]
        except NotYetError:
            return
        for container, sandbox in zip(self._pod["spec"]["containers"], sandboxes, strict=True):
            self.containers.append(self._container(container, sandbox))

    def _container(self, spec: Mapping[str, Any], sandbox: Sandbox) -> Container:
        def start() -> Process:
            known = variables(self._pod, spec, self._node.sources)
            fresh = sandbox._replace(environment={**sandbox.environment, **known})
            return Process(fresh, command(spec, sandbox.image.entrypoint, known))

        return Container(spec, self._place.address, start, self._pod["spec"]["restartPolicy"])

    def _sandbox(self, container: Mapping[str, Any], folders: Mapping[str, Path]) -> Sandbox:
        folder = self.folder / container["name"]
        folder.mkdir(exist_ok=True)
        built = image(container["image"])
        variables(self._pod, container, self._node.sources)  # or it is not yet time
        own = {"HOSTNAME": self.key.name, "HOME": "/"}
        return Sandbox(
            self.key.name,
            self._place,
            built,
            [*self._files(), *(_mount(each, folders) for each in container.get("volumeMounts", ()))],
            {**built.environment, **own, **self._node.environment},
            {**self._pod["spec"].get("securityContext", {}), **container.get("securityContext", {})},
            folder,
        )

    def _files(self) -> list[Mount]:
        """Write what every pod has in /etc."""
        hosts = f"127.0.0.1 localhost\n{self._place.address} {self.key.name}\n"
        resolver = _RESOLVER.format(self._node.address, self.key.namespace)
        mounts = []
        for name, text in {"hosts": hosts, "resolv.conf": resolver}.items():
            (self.folder / name).write_text(text)
            mounts.append(Mount(self.folder / name, f"/etc/{name}"))
        return mounts

    def _report(self) -> None:
        current = self._current()
        status = pod_status(self._pod, self.containers, self._place.address, self._node.address)
        if current is None or status == self._reported:
            return
        body = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": self.key.name, "uid": self.uid}}
        try:
            self._node.sources.rig.call(
                "PATCH", f"{self._path}/status?fieldManager=kubelet&force=true", {**body, "status": status}
            )
        except ApiError as error:
            if error.code not in (404, 409):  # it has just gone, or another one has its name
                raise
        self._reported = status

    @property
    def _path(self) -> str:
        return f"/api/v1/namespaces/{self.key.namespace}/pods/{self.key.name}"

    def _leave(self) -> None:
        """Kubernetes' way out: hooks, SIGTERM, and SIGKILL when the grace period is over."""
        current = self._current()
        grace = current["metadata"]["deletionGracePeriodSeconds"] if current else 0
        deadline = time.monotonic() + grace
        for container in self.containers:
            container.leave()
            self._hook(container, deadline)
        for container in self.containers:
            container.stop(0.0 if self._closed.is_set() else deadline - time.monotonic())
        self._report()
        options = {"gracePeriodSeconds": 0, "preconditions": {"uid": self.uid}}
        try:
            self._node.sources.rig.call("DELETE", self._path, options)
        except ApiError as error:
            if error.code not in (404, 409):
                raise

    def _hook(self, container: Container, deadline: float) -> None:
        hook = container.spec.get("lifecycle", {}).get("preStop", {}).get("exec")
        if hook is None or not container.process.running:
            return
        with container.process.execute(*hook["command"]) as process:
            while process.poll() is None and time.monotonic() < deadline and not self._closed.is_set():
                self._report()
                time.sleep(_GLANCE)
            process.kill()
            said = "".join(stream.read() for stream in (process.stdout, process.stderr) if stream)
        (self.folder / "hook").write_text(f"{hook['command']}: {process.returncode}\n{said}")

    def execute(self, *words: str, text: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run a command in the first container to its end, as `kubectl exec` does."""
        with self.containers[0].process.execute(*words) as process:
            said, complained = process.communicate(text, timeout=60)
        return subprocess.CompletedProcess(words, process.returncode, said, complained)


def _mount(mount: Mapping[str, Any], folders: Mapping[str, Path]) -> Mount:
    return Mount(folders[mount["name"]], mount["mountPath"], mount.get("readOnly", False))
