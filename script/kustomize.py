"""Make k8s/: the chart's objects as kustomize takes them, what overlays share in the folder above them."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[1]
CHART = ROOT / "charts" / "ddnsd"
TARGET = ROOT / "k8s"
NAME = "ddnsd"  # of the release, and of its namespace
REGIONS = ("eu-west", "us-east", "ap-south")
OVERLAYS = {  # by folder: the values
    "overlays/single": None,
    "overlays/ha": "cluster",
    **{f"overlays/multi-region/{region}": f"region-{region}" for region in REGIONS},
}
SHARED = {  # by folder: the folders below it that have all of it
    "overlays/multi-region/common": tuple(f"overlays/multi-region/{region}" for region in REGIONS),
    "base": ("overlays/single", "overlays/ha", "overlays/multi-region/common"),
}
_MADE = "# Made by script/render-kustomize out of charts/ddnsd.\n"
_NAMESPACE = {
    "apiVersion": "v1",
    "kind": "Namespace",
    "metadata": {"name": NAME, "labels": {"pod-security.kubernetes.io/enforce": "restricted"}},
}
_OF_HELM = ("helm.sh/chart", "app.kubernetes.io/managed-by", "checksum/config", "helm.sh/resource-policy")

Document = dict[str, Any]


def contents() -> dict[Path, str]:
    """Return the text of every file that is made, by its path below k8s/."""
    folders: dict[str, list[Document]] = {folder: objects(values) for folder, values in OVERLAYS.items()}
    bases: dict[str, str] = {}
    for shared, users in SHARED.items():
        folders[shared] = [each for each in folders[users[0]] if all(each in folders[user] for user in users)]
        for user in users:
            folders[user] = [each for each in folders[user] if each not in folders[shared]]
            bases[user] = shared
    folders["crds"] = definitions()
    return {
        Path(folder, name): text
        for folder, documents in folders.items()
        for name, text in _folder(folder, documents, bases.get(folder))
    }


def objects(values: str | None) -> list[Document]:
    """Return what the chart renders of an example's values, and the namespace; without what is Helm's own."""
    rendered = _helm(values, "--set", "crds.enabled=false")
    kept = [each for each in rendered if "helm.sh/hook" not in each["metadata"].get("annotations", {})]
    return [_NAMESPACE, *map(without_helm, kept)]


def definitions() -> list[Document]:
    """Return the CustomResourceDefinitions."""
    return [without_helm(each) for each in _helm(None) if each["kind"] == "CustomResourceDefinition"]


def without_helm(document: Any) -> Any:
    """Return a document without Helm's own labels and annotations, and the configuration's checksum."""
    if isinstance(document, list):
        return [without_helm(each) for each in document]
    if not isinstance(document, dict):
        return document
    kept = {key: without_helm(each) for key, each in document.items() if key not in _OF_HELM}
    return {key: each for key, each in kept.items() if each != {} or document[key] == {}}


def _helm(values: str | None, *options: str) -> list[Document]:
    given = ("--values", str(CHART / "examples" / f"{values}.yaml")) if values else ()
    helm = ROOT / ".cache" / "helm-4" / "helm"
    command = [str(helm), "template", NAME, str(CHART), "--namespace", NAME, *given, *options]
    text = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    return [document for document in yaml.safe_load_all(text) if document]


def _folder(folder: str, documents: Sequence[Document], base: str | None) -> Iterator[tuple[str, str]]:
    """Yield the files of a folder, each with its text; config.yaml is one of its own, for people to edit."""
    kustomization: Document = {"apiVersion": "kustomize.config.k8s.io/v1beta1", "kind": "Kustomization"}
    resources = [os.path.relpath(base, folder)] if base else []
    for document in documents:
        if "config.yaml" in document.get("data", {}):
            kustomization["configMapGenerator"] = [_generator(document)]
            yield "config.yaml", document["data"]["config.yaml"]
        else:
            resources.append(
                f"{document['kind'].lower()}-{document['metadata']['name'].replace(':', '-')}.yaml"
            )
            yield resources[-1], _MADE + _yaml(document)
    yield "kustomization.yaml", _MADE + _yaml(kustomization | {"resources": resources})


def _generator(document: Document) -> Document:
    """Return what makes the ConfigMap, under one name for ever: running nodes take a changed one over."""
    metadata = document["metadata"]
    options = {"disableNameSuffixHash": True, "labels": metadata["labels"]}
    where = {"name": metadata["name"], "namespace": metadata["namespace"]}
    return {**where, "files": ["config.yaml"], "options": options}


def _yaml(document: Document) -> str:
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=1000)


def stale(made: Mapping[Path, str]) -> list[str]:
    """Return the files that differ, and those that are there and should not be."""
    different = [path for path, text in made.items() if _read(TARGET / path) != text]
    folders = {TARGET / path.parent for path in made}
    there = {
        path.relative_to(TARGET) for folder in folders if folder.is_dir() for path in folder.glob("*.yaml")
    }
    return sorted(map(str, {*different, *there - made.keys()}))


def _read(path: Path) -> str | None:
    return path.read_text() if path.exists() else None


def main() -> None:
    """Write them; with --check, say which are stale instead."""
    made = contents()
    if "--check" in sys.argv:
        if found := stale(made):
            sys.exit(f"stale, run script/render-kustomize: {json.dumps(found)}")
        return
    for folder in ("crds", "base", "overlays"):
        shutil.rmtree(TARGET / folder, ignore_errors=True)
    for path, text in made.items():
        (TARGET / path).parent.mkdir(parents=True, exist_ok=True)
        (TARGET / path).write_text(text)


if __name__ == "__main__":
    main()
