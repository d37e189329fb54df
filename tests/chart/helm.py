"""The real helm, 4 and 3, on the chart; what it renders, as documents."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
CHART = ROOT / "charts" / "ddnsd"
EXAMPLES = sorted((CHART / "examples").glob("*.yaml"))
MAJORS = ("4", "3")
NAMESPACE = "dns"

Document = dict[str, Any]
Values = Mapping[str, Any]


class RefusedError(Exception):
    """Helm refuses; the message is what it tells the operator."""


def program(major: str = "4", name: str = "helm") -> str:
    """Return the path of helm, or of the kubectl beside it; skip the test where it is not."""
    path = ROOT / ".cache" / f"helm-{major}" / name
    if not path.exists():
        pytest.skip(f"helm {major} is missing: script/install-helm")
    return str(path)


def run(*arguments: str, values: Values | None = None, major: str = "4") -> str:
    """Run helm with the values on its standard input; return what it prints.

    Raises:
        RefusedError: it fails.
    """
    given = () if values is None else ("--values", "-")
    done = subprocess.run(
        [program(major), *arguments, *given],
        input=json.dumps(values or {}),
        env={**os.environ, "HELM_NAMESPACE": NAMESPACE},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise RefusedError(done.stderr or done.stdout)
    return done.stdout


def render(values: Values, release: str = "ddnsd", major: str = "4", chart: Path = CHART) -> list[Document]:
    """Render the chart; return its objects.

    Raises:
        RefusedError: helm, the chart's schema or one of its checks refuses the values.
    """
    return load(run("template", release, str(chart), values=values, major=major))


def load(text: str) -> list[Document]:
    """Return the documents of a text, read with the rules of YAML 1.1, as Kubernetes does."""
    return [document for document in yaml.safe_load_all(text) if document]


def notes(values: Values) -> str:
    """Return what `helm install` prints for people."""
    arguments = ("install", "ddnsd", str(CHART), "--dry-run=client", "--output", "json")
    return str(json.loads(run(*arguments, values=values))["info"]["notes"])


def example(name: str) -> Values:
    """Return the values of an example."""
    return dict(yaml.safe_load((CHART / "examples" / f"{name}.yaml").read_text()))


def one(documents: Sequence[Document], kind: str, name: str = "ddnsd") -> Document:
    """Return the object of a kind and a name."""
    (found,) = (each for each in documents if (each["kind"], each["metadata"]["name"]) == (kind, name))
    return found


def config(documents: Sequence[Document], name: str = "ddnsd") -> Document:
    """Return the rendered config.yaml."""
    return dict(yaml.safe_load(one(documents, "ConfigMap", name)["data"]["config.yaml"]))


def pods(documents: Sequence[Document]) -> Iterator[Document]:
    """Yield each pod, and each pod's template, as an object with `metadata` and `spec`."""
    for document in documents:
        if document["kind"] == "Pod":
            yield document
        elif document["kind"] in ("Deployment", "StatefulSet"):
            yield document["spec"]["template"]


def container(workload: Document) -> Document:
    """Return the only container of a workload."""
    (only,) = workload["spec"]["template"]["spec"]["containers"]
    return dict(only)


def copy(folder: Path, **files: str) -> Path:
    """Return a copy of the chart with further files, each by its path below the chart's folder.

    Its templates are the chart's: what is tested is how they take these files.
    """
    chart = folder / "ddnsd"
    shutil.copytree(CHART, chart)
    for name, text in files.items():
        path = chart / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return chart
