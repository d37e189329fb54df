"""Where Kubernetes' programs are."""

import os
from pathlib import Path

import pytest

_BUILT = Path(__file__).parents[3] / ".cache"
_GO_MOD = Path(__file__).parent / "go.mod"


def version() -> str:
    """Return the version that script/install-kubernetes builds: "1.35.4"."""
    (line,) = (line for line in _GO_MOD.read_text().splitlines() if "\tk8s.io/kubernetes v" in line)
    return line.split()[1].removeprefix("v")


def kubernetes_program(name: str) -> str:
    """Return a program's path: kube-apiserver, kube-controller-manager or kube-scheduler."""
    argument = "" if name == "kube-apiserver" else " all"
    return _find(_BUILT / f"kubernetes-{version()}" / name, f"script/install-kubernetes{argument}")


def kubectl_program() -> str:
    """Return kubectl's path."""
    return _find(_BUILT / "helm-4" / "kubectl", "script/install-helm")


def helm_program() -> str:
    """Return helm's path."""
    return _find(_BUILT / "helm-4" / "helm", "script/install-helm")


def _find(program: Path, remedy: str) -> str:
    """Return the path; without it skip the test, or fail it where CI must have everything."""
    if program.exists():
        return str(program)
    text = f"{program.name} is not there: {remedy}"
    if os.environ.get("CI") == "true":
        pytest.fail(text)
    pytest.skip(text)
