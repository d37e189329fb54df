"""k8s/, for those without Helm: fresh, and the same objects as the chart's."""

import os
import subprocess
import sys
from typing import Any

import pytest

from tests.chart.helm import CHART, EXAMPLES, ROOT, Document, example, load, program, run

K8S = ROOT / "k8s"
OVERLAYS = {
    "single": {},
    "ha": example("cluster"),
    **{
        f"multi-region/{path.stem.partition('-')[2]}": example(path.stem)
        for path in EXAMPLES
        if "region" in path.stem
    },
}


def build(folder: str) -> list[Document]:
    command = [program("4", "kubectl"), "kustomize", str(K8S / folder)]
    return load(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def test_what_is_made_is_fresh() -> None:
    program()
    command = [sys.executable, "script/kustomize.py", "--check"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_an_overlay_is_what_the_chart_renders(overlay: str) -> None:
    chart = load(run("template", "ddnsd", str(CHART), "--namespace", "ddnsd", values=OVERLAYS[overlay]))
    installed = {
        key: each for key, each in by_name(chart).items() if key[0] not in ("Pod", "CustomResourceDefinition")
    }
    built = by_name(build(f"overlays/{overlay}"))
    namespace = built.pop(("Namespace", "ddnsd"))
    assert namespace["metadata"]["labels"] == {"pod-security.kubernetes.io/enforce": "restricted"}
    assert built == installed


def test_every_overlay_is_compared() -> None:
    folders = {
        str(path.parent.relative_to(K8S / "overlays")) for path in K8S.glob("overlays/**/kustomization.yaml")
    }
    assert folders == OVERLAYS.keys() | {"multi-region/common"}


def test_definitions_are_those_of_the_chart() -> None:
    chart = [
        each
        for each in load(run("template", "ddnsd", str(CHART)))
        if each["kind"] == "CustomResourceDefinition"
    ]
    assert by_name(build("crds")) == by_name(chart)


def test_regions_are_one_installation_with_one_controller() -> None:
    built = {name: build(f"overlays/{name}") for name in OVERLAYS if name.startswith("multi-region/")}
    configs = [config_of(documents) for documents in built.values()]
    assert len(built) == 3
    assert len({tuple(sorted(each["store"]["etcd"]["endpoints"])) for each in configs}) == 1
    assert len({each["node"]["region"] for each in configs}) == 3
    assert len({each["leader"]["priority"] for each in configs}) == 3
    assert {"prefix" in each["store"]["etcd"] for each in configs} == {False}  # the same default
    controllers = [
        name for name, each in built.items() if ("Deployment", "ddnsd-controller") in by_name(each)
    ]
    assert controllers == ["multi-region/eu-west"]


def config_of(documents: list[Document]) -> Any:
    return by_name(documents)["ConfigMap", "ddnsd"]["data"]["config.yaml"]


def by_name(documents: list[Document]) -> dict[tuple[str, str], Document]:
    """Return the objects by kind and name, without what is Helm's own; config.yaml as it is read."""
    return {(each["kind"], each["metadata"]["name"]): _without_helm(each) for each in documents}


def _without_helm(document: Any) -> Any:
    if isinstance(document, list):
        return [_without_helm(each) for each in document]
    if not isinstance(document, dict):
        return document
    kept = {
        key: load(each)[0] if key == "config.yaml" else _without_helm(each)
        for key, each in document.items()
        if not key.startswith("helm.sh/") and key not in ("app.kubernetes.io/managed-by", "checksum/config")
    }
    return {key: each for key, each in kept.items() if each != {} or document[key] == {}}
