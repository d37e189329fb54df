"""A release of the chart, used as its operator and its clients use it: helm, kubectl, curl and dig."""

import json
import subprocess
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from tests.rigs.kubernetes.cluster import Cluster
from tests.rigs.kubernetes.kubelet.pod import Pod
from tests.rigs.process import find_program
from tests.waiting import PATIENCE, wait_until

K8S = Path(__file__).parents[3] / "k8s"
EXAMPLES = K8S / "examples"
NAMESPACE = "ddnsd"  # that of the examples
BLOG = "blog.example.com"
TOKEN = "alice-router"


class Reply(NamedTuple):
    status: int  # HTTP's; 0: no answer
    message: str


class Release:
    """The release `ddnsd` in one namespace, which Helm finds there."""

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        self.cluster = cluster
        self.namespace = namespace
        self.helm = cluster.helm(namespace)

    def kubectl(self, *arguments: str, text: str | None = None) -> str:
        return self.cluster.kubectl("--namespace", self.namespace, *arguments, text=text)

    def document(self, kind: str, name: str) -> Any:
        return self.cluster.kubectl.get(kind, name, "--namespace", self.namespace)

    def secret(self, token: str = TOKEN) -> str:
        """Return the secret that ddnsd made for a token, once it has."""
        self.kubectl("wait", "--for=condition=Accepted", f"token.ddnsd.dev/{token}", "--timeout=30s")
        path = "go-template={{.data.token | base64decode}}"
        return self.kubectl("get", "secret", f"ddnsd-token-{token}", "-o", path)

    @property
    def address(self) -> str:
        """Where clients find it, as `host:port`."""
        return f"{self.cluster.services.address(self.namespace, 'ddnsd')}:80"

    def update(self, secret: str, ip: str, host: str = BLOG) -> Reply:
        url = f"http://{self.address}/api/ddns/update?domain={host}&ip={ip}"
        header = f"Authorization: Bearer {secret}"
        done = _run("curl", "curl", "-sS", "-w", "\n%{http_code}", "-H", header, url)
        if done.returncode != 0:
            return Reply(0, done.stderr)
        body, _, status = done.stdout.rpartition("\n")
        answer = json.loads(body)
        return Reply(int(status), answer.get("message") or answer.get("error"))

    def dig(self, host: str = BLOG) -> str:
        """Ask the nameserver in the pod, by its Service."""
        return dig(self.cluster.services.address(self.namespace, "ddnsd-dns"), 53, host)

    def nodes(self) -> list[Pod]:
        """Return the pods that clients talk to."""
        return self.cluster.kubelet.pods(self.namespace, "node")

    def ddnsd(self, *arguments: str, text: str | None = None) -> str:
        """Run ddnsd's command line in the first pod, as `kubectl exec` would."""
        done = self.nodes()[0].execute("ddnsd", *arguments, text=text)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def status(self) -> Any:
        return yaml.safe_load(self.ddnsd("status"))

    def metric(self, name: str) -> float:
        """Return a metric of the first pod, as Prometheus scrapes it."""
        with urllib.request.urlopen(f"http://{self.nodes()[0].address}:8082/metrics", timeout=10) as answer:
            lines = answer.read().decode().splitlines()
        return next(float(line.split()[1]) for line in lines if line.startswith(f"{name} "))

    def write_secret(self, name: str, **files: str) -> None:
        """Make a Secret, or change it."""
        metadata = {"name": name, "namespace": self.namespace}
        secret = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": files}
        self.cluster.kubectl.apply(secret)

    def edit(self, change: Callable[[dict[str, Any]], None], name: str = "ddnsd") -> None:
        """Change config.yaml in the ConfigMap, as `kubectl edit configmap` does."""
        config = yaml.safe_load(self.document("configmap", name)["data"]["config.yaml"])
        change(config)
        self.patch("configmap", name, {"data": {"config.yaml": yaml.safe_dump(config)}})

    def patch(self, kind: str, name: str, change: dict[str, Any]) -> None:
        self.kubectl(
            "patch", kind, name, "--type=merge", "--field-manager=kubectl-edit", "-p", json.dumps(change)
        )

    def logs(self) -> str:
        """Return what all pods wrote, also those that are gone."""
        return "\n".join(pod.log() for pod in self.cluster.kubelet.all_pods())


def until(look: Callable[[], Any], wanted: Any, what: str, seconds: float = PATIENCE) -> float:
    """Look until one sees what is wanted; return how long that took, in seconds."""
    seen: Any = None

    def sees() -> bool:
        nonlocal seen
        seen = look()
        return bool(seen == wanted)

    return wait_until(sees, seconds, lambda: f"{what}: {seen!r}, not {wanted!r}")


def dig(address: str, port: int, host: str = BLOG) -> str:
    """Return what a nameserver says of a host's IPv4 address."""
    options = ("-p", str(port), "+short", "+time=1")
    return _run("bind9-dnsutils", "dig", f"@{address}", *options, host, "A").stdout.strip()


def _run(package: str, *command: str) -> subprocess.CompletedProcess[str]:
    find_program(command[0], package)
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=20)
