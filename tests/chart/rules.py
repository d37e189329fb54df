"""What holds for all that is rendered: Kubernetes' schemas, and references that lead somewhere."""

import functools
from collections.abc import Iterator, Sequence
from typing import Any

import jsonschema
from kubernetes_validate import utils
from referencing import Registry, Resource

from tests.chart.helm import Document, pods

OLDEST = (1, 30)  # Chart.yaml's kubeVersion
VERSIONS = sorted(
    {version for version in utils.all_versions() if tuple(map(int, version.split(".")[:2])) >= OLDEST}
)
THIRD_PARTY = {"ServiceMonitor", "PrometheusRule", "HTTPRoute"}


def violations(document: Document, version: str) -> list[str]:
    """Return what Kubernetes' schema says is wrong with an object, unknown fields too."""
    if document["kind"] in THIRD_PARTY:
        return []
    validator = _validator(document["kind"], document["apiVersion"], version)
    return [
        f"{document['kind']} {error.json_path}: {error.message}" for error in validator.iter_errors(document)
    ]


@functools.cache
def _validator(kind: str, api_version: str, version: str) -> Any:
    """`networking.k8s.io/v1` is called `networking-v1` there, `v1` `v1`."""
    group, _, number = api_version.rpartition("/")
    group = "-".join(filter(None, (group.partition(".")[0], number)))
    name = f"kubernetes-json-schema/v{version}-local-strict/{kind.lower()}-{group}.json"
    schema = Resource.from_contents(utils.schema_contents(name, version))
    registry: Registry[Any] = schema @ (_definitions(version) @ Registry())
    return jsonschema.Draft202012Validator(schema.contents, registry=registry)


@functools.cache
def _definitions(version: str) -> Any:
    name = f"kubernetes-json-schema/v{version}-local-strict/_definitions.json"
    return Resource.from_contents(utils.schema_contents(name, version))


def dangling(documents: Sequence[Document]) -> Iterator[str]:
    """Yield references that lead nowhere, such as a Service without pods, and names that are there twice."""
    names = [
        (each["kind"], each["metadata"]["name"], each["metadata"].get("namespace")) for each in documents
    ]
    yield from (f"{name} is there twice" for name in set(names) if names.count(name) > 1)
    for document in documents:
        if document["kind"] in ("Deployment", "StatefulSet"):
            yield from _unbound(document)
        if document["kind"] in ("Service", "PodDisruptionBudget", "NetworkPolicy"):
            yield from _unmatched(document, list(pods(documents)))


def _unbound(workload: Document) -> Iterator[str]:
    spec = workload["spec"]
    template = spec["template"]
    labels, volumes = template["metadata"]["labels"], template["spec"].get("volumes", [])
    if not spec["selector"]["matchLabels"].items() <= labels.items():
        yield f"{workload['metadata']['name']} does not select its own pods"
    known = {each["name"] for each in volumes}
    known |= {each["metadata"]["name"] for each in spec.get("volumeClaimTemplates", ())}
    mounted = {mount["name"] for each in template["spec"]["containers"] for mount in each["volumeMounts"]}
    yield from (f"volume {name} is not both there and mounted" for name in known ^ mounted)


def _unmatched(document: Document, found: Sequence[Document]) -> Iterator[str]:
    name, spec = f"{document['kind']} {document['metadata']['name']}", document["spec"]
    selector = spec.get("podSelector", spec.get("selector"))
    selector = selector.get("matchLabels", selector)
    matching = [pod for pod in found if selector.items() <= pod["metadata"]["labels"].items()]
    if len(matching) != 1:
        yield f"{name} selects {len(matching)} kinds of pods"
        return
    ports = {port["name"] for each in matching[0]["spec"]["containers"] for port in each.get("ports", ())}
    wanted = {port["targetPort"] for port in spec.get("ports", ())}
    wanted |= {port["port"] for rule in spec.get("ingress", ()) for port in rule["ports"]}
    yield from (f"{name} leads to no port {port}" for port in wanted - ports)
