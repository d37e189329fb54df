"""The chart's own etcd as real processes: what it renders, on the loopback in place of the pods' names."""

import http.client
import re
import shutil
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import pytest

from tests.chart.helm import ROOT, Document, container, one
from tests.rigs.certificates import Certificates
from tests.rigs.etcdctl import Etcdctl
from tests.rigs.ports import ADDRESS, PortLease
from tests.rigs.process import ServerProcess

_PORTS = ("2379", "2380", "2381")  # client, peer, metrics
_START = 30.0  # seconds that a start may take, on a busy machine


class OwnEtcd:
    """All members of a rendering; `with OwnEtcd(documents, folder) as etcd` ends them."""

    def __init__(
        self, documents: Sequence[Document], folder: Path, certificates: Certificates | None = None
    ) -> None:
        """With TLS `certificates` are what the Secret has."""
        self.members = [f"ddnsd-etcd-{number}" for number in range(_stateful_set(documents)["replicas"])]
        self._programs = _programs(documents)
        self._folder = folder
        self._certificates = certificates
        self._ports = {(member, port): PortLease() for member in self.members for port in _PORTS}
        self._processes: dict[str, ServerProcess] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes.values():
            process.kill()
        for port in self._ports.values():
            port.release()

    def start(self, documents: Sequence[Document], member: str) -> ServerProcess:
        """Start a pod as it is rendered, with what its volume has."""
        pod = container(one(documents, "StatefulSet", "ddnsd-etcd"))
        arguments = [self._here(argument.replace("$(POD_NAME)", member), member) for argument in pod["args"]]
        environment = [f"{name}={value}" for name, value in _settings(documents, pod).items()]
        command = ["env", *environment, str(self._programs / "etcd"), *arguments]
        self._processes[member] = ServerProcess(command, self._folder / f"{member}.log")
        return self._processes[member]

    def stop(self, member: str) -> None:
        """Stop a pod; its volume stays."""
        self._processes[member].terminate()

    def lose(self, member: str) -> None:
        """Let a pod die, and its volume with it."""
        self._processes[member].kill()
        shutil.rmtree(self._volume(member))

    def wait_until_ready(self, member: str) -> None:
        """Wait until the pod's probe lets it in."""
        try:
            self._processes[member].wait_until(lambda: self._is_ready(member), _START, f"{member} is ready")
        except AssertionError as error:
            log = (self._folder / f"{member}.log").read_text()
            raise RuntimeError(f"{member} is not ready:\n{log}") from error

    def metrics(self, member: str) -> str:
        with urllib.request.urlopen(self._url(member, "/metrics")) as answer:
            return str(answer.read().decode())

    def ctl(self, member: str, *options: str) -> Etcdctl:
        """Return the pod's etcdctl, which has the certificate where there is one."""
        scheme = "https" if self._certificates else "http"
        endpoint = f"--endpoints={scheme}://{self.address(member, '2379')}"
        if self._certificates and not options:
            options = self._certificates.client_options()
        return Etcdctl(str(self._programs / "etcdctl"), endpoint, *options, environ={})

    def address(self, member: str, port: str) -> str:
        """Return where a port of a pod is here."""
        return f"{ADDRESS}:{self._ports[member, port].port}"

    def _is_ready(self, member: str) -> bool:
        try:
            with urllib.request.urlopen(self._url(member, "/readyz")) as answer:
                return bool(answer.status == 200)
        except (OSError, http.client.HTTPException):  # it does not listen yet, or says 503
            return False

    def _url(self, member: str, path: str) -> str:
        return f"http://{self.address(member, '2381')}{path}"

    def _volume(self, member: str) -> Path:
        return self._folder / member

    def _here(self, argument: str, member: str) -> str:
        """Return an argument with this machine's addresses and folders in place of the pod's."""
        argument = argument.replace("/var/lib/etcd", str(self._volume(member)))
        if self._certificates:
            for key, file in {"ca.crt": "ca.pem", "tls.crt": "server.pem", "tls.key": "server.key"}.items():
                argument = argument.replace(f"/tls/{key}", str(self._certificates.folder / file))
        argument = re.sub(r"0\.0\.0\.0:(\d+)", lambda found: self.address(member, found[1]), argument)
        name = r"([\w-]+)\.ddnsd-etcd\.dns\.svc:(\d+)"
        return re.sub(name, lambda found: self.address(found[1], found[2]), argument)


def _settings(documents: Sequence[Document], pod: Document) -> dict[str, str]:
    """Return the variables that come out of a ConfigMap."""
    settings = {}
    for variable in pod["env"]:
        if reference := variable.get("valueFrom", {}).get("configMapKeyRef"):
            settings[variable["name"]] = one(documents, "ConfigMap", reference["name"])["data"][
                reference["key"]
            ]
    return settings


def _stateful_set(documents: Sequence[Document]) -> Document:
    return dict(one(documents, "StatefulSet", "ddnsd-etcd")["spec"])


def _programs(documents: Sequence[Document]) -> Path:
    """Return the folder with the programs of the image's version."""
    version = container(one(documents, "StatefulSet", "ddnsd-etcd"))["image"].rpartition(":v")[2]
    folder = ROOT / ".cache" / f"etcd-{version}"
    if not folder.exists():
        pytest.skip(f"etcd {version} is missing: script/install-etcd")
    return folder
