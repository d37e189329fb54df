"""One pod, from the moment the scheduler has given it to the node until nothing is left of it."""

import subprocess
import threading
import time
from collections.abc import Mapping
from functools import partial
from typing import Any

from tests.rigs.kubernetes.collection import Key
from tests.rigs.kubernetes.kubelet.container import Container
from tests.rigs.kubernetes.kubelet.layout import Layout, Node
from tests.rigs.kubernetes.kubelet.reporter import Reporter
from tests.rigs.kubernetes.kubelet.status import pod_status
from tests.rigs.kubernetes.kubelet.volumes import NotYetError, Volumes
from tests.rigs.place import Place

_GLANCE = 0.1  # seconds between two looks at everything


class Pod:
    """A pod in a thread of its own, which its processes go with."""

    def __init__(self, pod: Mapping[str, Any], node: Node, place: Place) -> None:
        self.key = Key(pod["metadata"]["namespace"], pod["metadata"]["name"])
        self.uid = pod["metadata"]["uid"]
        self.address = place.address
        self.folder = node.folder / self.uid
        self.containers: list[Container] = []
        self._pod = pod
        self._node = node
        self._place = place
        self._volumes = Volumes(pod, node.sources, self.folder / "volumes")
        self._reporter = Reporter(node.sources.rig, pod)
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"pod {self.key.name}", daemon=True)
        self._thread.start()

    @property
    def running(self) -> bool:
        """Say whether anything of it is left."""
        return self._thread.is_alive()

    def log(self) -> str:
        """Return all that its containers wrote."""
        return "\n".join(path.read_text(errors="replace") for path in sorted(self.folder.glob("*/log")))

    def execute(self, *words: str, text: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run a command in the first container to its end, as `kubectl exec` does."""
        with self.containers[0].process.execute(*words) as process:
            said, complained = process.communicate(text, timeout=60)
        return subprocess.CompletedProcess(words, process.returncode, said, complained)

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
        if self.containers:
            self._volumes.refresh()
            for container in self.containers:
                container.step()
        else:
            self._start()
        self._report()

    def _is_to_leave(self) -> bool:
        current = self._current()
        return current is None or "deletionTimestamp" in current["metadata"]

    def _current(self) -> Any:
        """Return the pod as the API has it; None: it is gone, or another one has its name."""
        found = self._node.pods.objects.get(self.key)
        return found if found is not None and found["metadata"]["uid"] == self.uid else None

    def _start(self) -> None:
        """Start the containers, once all that they mount is there."""
        spec = self._pod["spec"]
        try:
            layout = Layout(self._pod, self._node, self._place, self.folder, self._volumes.lay_out())
            for container in spec["containers"][len(self.containers) :]:
                start = partial(layout.start, container)
                self.containers.append(Container(container, self.address, start, spec["restartPolicy"]))
        except NotYetError:
            return

    def _report(self) -> None:
        if self._current() is not None:
            self._reporter.report(pod_status(self._pod, self.containers, self.address, self._node.address))

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
        self._reporter.is_gone()

    def _hook(self, container: Container, deadline: float) -> None:
        """Run the preStop hook; leave in the file `hook` what came of it."""
        hook = container.spec.get("lifecycle", {}).get("preStop", {}).get("exec")
        if hook is None or not container.process.running:
            return
        with container.process.execute(*hook["command"]) as process:
            while process.poll() is None and time.monotonic() < deadline and not self._closed.wait(_GLANCE):
                self._report()
            process.kill()
            said = "".join(stream.read() for stream in (process.stdout, process.stderr) if stream)
        (self.folder / "hook").write_text(f"{hook['command']}: {process.returncode}\n{said}")
