"""Values that other charts have too: each reaches its place, in both modes."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.chart.helm import CHART, Document, RefusedError, config, example, notes, one, pods, render
from tests.chart.rules import VERSIONS, violations

CLUSTER = example("own-etcd")
MODES = [pytest.param({}, id="embedded"), pytest.param(CLUSTER, id="cluster")]
SIDECAR = {
    "name": "sidecar",
    "image": "busybox:1",
    "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
}
POD = {
    "initContainers": [{**SIDECAR, "name": "before"}],
    "hostAliases": [{"ip": "192.0.2.53", "hostnames": ["ns.example.com"]}],
    "dnsConfig": {"options": [{"name": "ndots", "value": "1"}]},
    "dnsPolicy": "Default",
    "runtimeClassName": "gvisor",
    "terminationGracePeriodSeconds": 99,
}
SERVICE = {"ipFamilies": ["IPv6", "IPv4"], "sessionAffinity": "ClientIP", "labels": {"a": "b"}}


def own(documents: list[Document]) -> Iterator[Document]:
    """Yield ddnsd's pods."""
    for pod in pods(documents):
        if pod["metadata"]["labels"]["app.kubernetes.io/component"] in ("node", "controller"):
            yield pod


@pytest.mark.parametrize("values", MODES)
def test_what_is_said_of_pods_is_said_of_all_of_ddnsds(values: Any) -> None:
    source = [{"secretRef": {"name": "more"}}]
    documents = render({**values, **POD, "extraContainers": [SIDECAR], "envFrom": source})
    for pod in own(documents):
        assert POD.items() <= pod["spec"].items()
        main, beside = pod["spec"]["containers"]
        assert (main["envFrom"], beside) == (source, SIDECAR)
    assert [each for document in documents for each in violations(document, VERSIONS[-1])] == []


@pytest.mark.parametrize("values", MODES)
def test_a_pod_that_could_not_leave_in_time_is_refused(values: Any) -> None:
    with pytest.raises(RefusedError, match=r"a pod needs \d+ to leave"):
        render({**values, "terminationGracePeriodSeconds": 5})


@pytest.mark.parametrize("values", MODES)
def test_a_namespace_of_its_own_holds_everything(values: Any) -> None:
    documents = render({**values, "namespaceOverride": "elsewhere"})
    kinds = {"PodDisruptionBudget", "Service", "ConfigMap", "ServiceAccount", "Role", "RoleBinding", "Pod"}
    for each in documents:
        if "namespace" in each["metadata"] or each["kind"] in kinds:
            assert each["metadata"]["namespace"] == "elsewhere", each["kind"]
    assert "dns" not in [each.get("namespace") for each in subjects(documents)]
    text = json.dumps([each for each in documents if each["kind"] != "CustomResourceDefinition"])
    assert ".dns.svc" not in text
    assert "system:serviceaccount:elsewhere:" in text
    assert config(documents)["kube"]["secrets_role"] == "elsewhere:ddnsd-secrets"
    assert "--namespace dns " not in notes({**values, "namespaceOverride": "elsewhere"})


def subjects(documents: list[Document]) -> list[Document]:
    return [subject for each in documents for subject in each.get("subjects", ())]


@pytest.mark.parametrize("values", MODES)
def test_every_object_has_the_common_annotations_and_its_own(values: Any) -> None:
    made = render(
        {
            **values,
            "commonAnnotations": {"team": "dns", "own": "no"},
            "deploymentAnnotations": {"own": "workload"},
            "service": {"annotations": {"own": "service"}},
            "serviceAccount": {"annotations": {"own": "account"}, "labels": {"tier": "1"}},
        }
    )
    assert {each["metadata"]["annotations"]["team"] for each in made} == {"dns"}
    workload = "StatefulSet" if values == {} else "Deployment"
    for kind, word in ((workload, "workload"), ("Service", "service"), ("ServiceAccount", "account")):
        assert one(made, kind)["metadata"]["annotations"]["own"] == word
    assert one(made, "ServiceAccount")["metadata"]["labels"]["tier"] == "1"
    assert one(made, "ConfigMap")["metadata"]["annotations"]["own"] == "no"


def test_a_service_says_its_families_and_whom_it_keeps() -> None:
    documents = render({"service": SERVICE, "dns": {"service": SERVICE}})
    for name in ("ddnsd", "ddnsd-dns"):
        service = one(documents, "Service", name)
        assert service["spec"]["ipFamilies"] == ["IPv6", "IPv4"]
        assert service["spec"]["sessionAffinity"] == "ClientIP"
        assert service["metadata"]["labels"]["a"] == "b"
        assert violations(service, VERSIONS[-1]) == []


def test_a_monitor_relabels() -> None:
    rules = [{"action": "drop", "sourceLabels": ["__name__"], "regex": "python_.*"}]
    monitor = {"enabled": True, "honorLabels": True, "relabelings": rules, "metricRelabelings": rules}
    documents = render({**CLUSTER, "metrics": {"serviceMonitor": {**monitor, "annotations": {"a": "b"}}}})
    for name in ("ddnsd", "ddnsd-etcd"):
        made = one(documents, "ServiceMonitor", name)
        (endpoint,) = made["spec"]["endpoints"]
        assert endpoint["honorLabels"] is True
        assert endpoint["relabelings"] == endpoint["metricRelabelings"] == rules
        assert made["metadata"]["annotations"] == {"a": "b"}


def test_an_ingress_has_the_paths_that_are_named() -> None:
    paths = [{"path": "/nic/update", "pathType": "Exact"}, {"path": "/api", "pathType": "Prefix"}]
    values = {"ingress": {"enabled": True, "hosts": ["a.example.com", "b.example.com"], "paths": paths}}
    for rule in one(render(values), "Ingress")["spec"]["rules"]:
        assert [{key: each[key] for key in ("path", "pathType")} for each in rule["http"]["paths"]] == paths


def test_a_route_filters_and_ends() -> None:
    filters = [{"type": "RequestHeaderModifier", "requestHeaderModifier": {"remove": ["x-a"]}}]
    route = {"enabled": True, "parentRefs": [{"name": "public"}], "filters": filters}
    made = render({"httpRoute": {**route, "timeouts": {"request": "30s"}}})
    (rule,) = one(made, "HTTPRoute")["spec"]["rules"]
    assert (rule["filters"], rule["timeouts"]) == (filters, {"request": "30s"})


def test_a_deployment_takes_another_strategy() -> None:
    made = one(render({**CLUSTER, "strategy": {"type": "Recreate"}, "revisionHistoryLimit": 9}), "Deployment")
    assert (made["spec"]["strategy"], made["spec"]["revisionHistoryLimit"]) == ({"type": "Recreate"}, 9)


def test_every_value_is_described_in_the_schema() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text())
    assert list(undescribed(schema, schema, "")) == []


def undescribed(schema: Any, node: Any, path: str) -> Iterator[str]:
    """Yield the values without a text, but for those inside of groups that have one, such as an image's."""
    for name, each in node.get("properties", {}).items():
        place = f"{path}.{name}"
        inner = each
        if "$ref" in each:
            inner = schema["definitions"][each["$ref"].rpartition("/")[2]]
        if "description" not in each:
            if not inner.get("properties"):
                yield place
            yield from undescribed(schema, inner, place)
