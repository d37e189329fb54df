"""kubectl with a kubeconfig."""

import json
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tests.rigs.kubernetes.programs import kubectl_program


class Kubectl:
    """One user's kubectl."""

    def __init__(self, kubeconfig: Path) -> None:
        self.kubeconfig = kubeconfig
        self._command = [kubectl_program(), "--kubeconfig", str(kubeconfig)]

    def run(self, *arguments: str, text: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run it to its end, whatever comes of it; `text` is its standard input."""
        return subprocess.run(
            [*self._command, *arguments], input=text, capture_output=True, text=True, check=False
        )

    def __call__(self, *arguments: str, text: str | None = None) -> str:
        """Run it and return what it prints."""
        done = self.run(*arguments, text=text)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def get(self, *arguments: str) -> Any:
        """Return objects: `get("hosts", "-n", "a")["items"]`."""
        return json.loads(self("get", *arguments, "-o", "json"))

    def apply_unchecked(self, *documents: Mapping[str, Any]) -> subprocess.CompletedProcess[str]:
        """Apply documents, which may be refused."""
        return self.run("apply", "-f", "-", text=_manifest(documents))

    def apply(self, *documents: Mapping[str, Any]) -> str:
        """Apply documents."""
        return self("apply", "-f", "-", text=_manifest(documents))


def write_kubeconfig(path: Path, server: str, authority: Path, token: str) -> Path:
    """Write the kubeconfig (JSON is YAML) of one user of one server."""
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "rig", "cluster": {"server": server, "certificate-authority": str(authority)}}],
        "users": [{"name": "rig", "user": {"token": token}}],
        "contexts": [{"name": "rig", "context": {"cluster": "rig", "user": "rig"}}],
        "current-context": "rig",
    }
    path.touch(mode=0o600)
    path.write_text(json.dumps(config))
    return path


def _manifest(documents: Iterable[Mapping[str, Any]]) -> str:
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": [*documents]})
