"""The controller of custom resources: where it runs, what it may do, and the definitions of its resources."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.chart.helm import NAMESPACE, Document, config, container, copy, example, one, pods, render
from tests.kube.world import RULES

CLUSTER = example("own-etcd")
KINDS = {"accounts", "hosts", "tokens"}
DEFINITION = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  name: hosts.ddnsd.dev
  labels: {from: types}
spec:
  group: ddnsd.dev
  names: {kind: Host, plural: hosts, shortNames: ["y", "on"]}
  scope: Namespaced
  versions:
    - name: v1alpha1
      served: true
      storage: true
      schema:
        openAPIV3Schema:
          type: object
          properties: {spec: {type: object, properties: {ttl: {type: integer, maximum: 2147483647}}}}
"""


def rules(documents: Sequence[Document], kinds: Sequence[str] = ("Role", "ClusterRole")) -> Iterator[Any]:
    """Yield the rules that are granted; those that only aggregate into others' roles are not."""
    bound = {each["roleRef"]["name"] for each in documents if each["kind"].endswith("RoleBinding")}
    for document in documents:
        if document["kind"] in kinds and document["metadata"]["name"] in bound:
            yield from document["rules"]


def verbs(documents: Sequence[Document], resource: str) -> set[str]:
    return {verb for rule in rules(documents) if resource in rule["resources"] for verb in rule["verbs"]}


def test_in_embedded_mode_it_runs_inside_the_pod() -> None:
    documents = render({})
    assert container(one(documents, "StatefulSet"))["args"][-2:] == ["--role", "all"]
    assert [each for each in documents if each["kind"] == "Deployment"] == []


def test_in_cluster_mode_it_has_pods_of_its_own() -> None:
    documents = render(CLUSTER)
    assert container(one(documents, "Deployment", "ddnsd-controller"))["args"][-2:] == [
        "--role",
        "controller",
    ]
    assert "--role" not in container(one(documents, "Deployment"))["args"]


@pytest.mark.parametrize("values", [{}, CLUSTER])
def test_without_it_nobody_may_do_anything(values: Any) -> None:
    documents = render({**values, "controller": {"enabled": False}})
    assert "--role" not in str(documents)
    assert [each for each in documents if "rbac" in each["apiVersion"]] == []
    assert not any(pod["spec"]["automountServiceAccountToken"] for pod in pods(documents))


def test_pods_that_face_the_internet_have_no_token_of_the_api_server() -> None:
    with_token = [
        pod["metadata"]["labels"]["app.kubernetes.io/component"]
        for pod in pods(render(CLUSTER))
        if pod["spec"]["automountServiceAccountToken"]
    ]
    assert with_token == ["controller"]


def test_nobody_reaches_the_controller_but_for_its_metrics() -> None:
    policy = one(render(CLUSTER), "NetworkPolicy", "ddnsd-controller")["spec"]
    assert [rule["ports"] for rule in policy["ingress"]] == [[{"port": "health"}]]
    ports = container(one(render(CLUSTER), "Deployment", "ddnsd-controller"))["ports"]
    assert [port["name"] for port in ports] == ["health"]


@pytest.mark.parametrize("values", [{}, CLUSTER])
@pytest.mark.parametrize("namespaces", [[], ["a", "b"]])
def test_rights_are_those_that_it_needs(values: Any, namespaces: list[str]) -> None:
    documents = render({**values, "controller": {"watchNamespaces": namespaces}})
    for kind in KINDS:
        assert verbs(documents, kind) == {"list", "watch"}
        assert verbs(documents, f"{kind}/status") == {"patch"}
    assert verbs(documents, "secrets") == {"get", "create"}
    granted = set(map(str, (rule["resources"] for rule in rules(documents))))
    assert not any("*" in each for each in granted)
    assert not any("*" in rule["verbs"] for rule in rules(documents))
    (namespace,) = (rule for rule in rules(documents) if "namespaces" in rule["resources"])
    assert (namespace["resourceNames"], namespace["verbs"]) == ([NAMESPACE], ["get"])


@pytest.mark.parametrize(
    ("controller", "namespaces"),
    [
        ({}, [NAMESPACE]),
        ({"watchNamespaces": ["a", "b"]}, ["a", "b"]),
        ({"secrets": {"namespaces": ["c", "d"]}}, ["c", "d"]),
        ({"watchNamespaces": ["a", "b"], "secrets": {"namespaces": ["b"]}}, ["b"]),
    ],
)
@pytest.mark.parametrize("values", [{}, CLUSTER])
def test_secrets_are_those_of_some_namespaces_alone(values: Any, controller: Any, namespaces: Any) -> None:
    documents = render({**values, "controller": controller})
    names = {each["roleRef"]["name"] for each in documents if each["kind"] == "RoleBinding"}
    roles = [each for each in documents if "rules" in each and "secrets" in str(each["rules"])]
    granted = [each["metadata"]["namespace"] for each in roles if each["metadata"]["name"] in names]
    assert sorted(granted) == namespaces
    bound = {each["roleRef"]["name"] for each in documents if each["kind"] == "ClusterRoleBinding"}
    assert [each["metadata"]["name"] for each in roles if each["metadata"]["name"] in bound] == []


def test_a_tenant_finds_a_role_to_bind_and_conditions_name_it() -> None:
    documents = render(CLUSTER)
    name = f"{NAMESPACE}:ddnsd-secrets"
    assert one(documents, "ClusterRole", name)["rules"][0]["resources"] == ["secrets"]
    assert config(documents)["kube"]["secrets_role"] == name


@pytest.mark.parametrize("values", [{}, CLUSTER])
def test_to_make_secrets_takes_a_policy(values: Any) -> None:
    documents = render(values)
    (policy,) = (each for each in documents if each["kind"] == "ValidatingAdmissionPolicy")
    account = next(each for each in documents if each["kind"] == "RoleBinding")["subjects"][0]
    (condition,) = policy["spec"]["matchConditions"]
    assert condition["expression"].endswith(f':{NAMESPACE}:{account["name"]}"')
    reading = render({**values, "controller": {"secrets": {"create": False}}})
    assert verbs(reading, "secrets") == {"get"}
    assert "ValidatingAdmissionPolicy" not in {each["kind"] for each in reading}


def test_all_namespaces_take_a_cluster_role_and_zones_with_it() -> None:
    documents = render({})
    assert verbs(documents, "zones") == {"list", "watch"}
    assert verbs(documents, "zones/status") == {"patch"}


@pytest.mark.parametrize(
    "values",
    [
        {"controller": {"watchNamespaces": ["a", "b"]}},
        {"config": {"kube": {"watch_namespaces": ["a", "b"]}}},
        {"controller": {"watchNamespaces": ["c"]}, "config": {"kube": {"watch_namespaces": ["a", "b"]}}},
    ],
)
def test_some_namespaces_take_roles_alone_and_no_zones(values: Any) -> None:
    documents = render(values)
    assert config(documents)["kube"] == {"watch_namespaces": ["a", "b"]}
    kinds = [
        (each["kind"], each["metadata"].get("namespace"))
        for each in documents
        if "rbac" in each["apiVersion"]
    ]
    assert sorted(kinds) == sorted(
        (kind, namespace) for kind in ("Role", "RoleBinding") for namespace in ("a", "a", "b", "b", NAMESPACE)
    )
    assert verbs(documents, "zones") == set()


@pytest.mark.parametrize("values", [{}, CLUSTER])
@pytest.mark.parametrize("account", [{}, {"create": False, "name": "mine"}])
def test_rights_go_to_the_account_of_the_pods_that_run_it(values: Any, account: Any) -> None:
    documents = render({**values, "serviceAccount": account, "controller": {"serviceAccount": account}})
    (running,) = {
        pod["spec"]["serviceAccountName"]
        for pod in pods(documents)
        if pod["spec"]["automountServiceAccountToken"]
    }
    roles = {(each["kind"], each["metadata"]["name"]) for each in documents}
    bindings = [each for each in documents if each["kind"].endswith("RoleBinding")]
    assert len(bindings) == 3
    for binding in bindings:
        assert (binding["roleRef"]["kind"], binding["roleRef"]["name"]) in roles
        assert binding["subjects"] == [{"kind": "ServiceAccount", "name": running, "namespace": NAMESPACE}]
    made = [each["metadata"]["name"] for each in documents if each["kind"] == "ServiceAccount"]
    assert (running in made) == (account == {})


def test_who_edits_a_namespace_edits_its_resources_and_nothing_of_the_cluster() -> None:
    documents = render({})
    view, edit = (one(documents, "ClusterRole", f"{NAMESPACE}:ddnsd-{name}") for name in ("view", "edit"))
    assert set(view["rules"][0]["verbs"]) == {"get", "list", "watch"}
    assert {to(view), to(edit)} == {frozenset({"view", "edit", "admin"}), frozenset({"edit", "admin"})}
    assert [role["rules"][0]["resources"] for role in (view, edit)] == [["accounts", "hosts", "tokens"]] * 2


def to(role: Document) -> frozenset[str]:
    """Return the roles that a role is aggregated to."""
    labels = role["metadata"]["labels"]
    return frozenset(label.partition("/aggregate-to-")[2] for label in labels if "/aggregate-to-" in label)


def test_definitions_stay_when_the_release_goes(tmp_path: Path) -> None:
    chart = copy(tmp_path, **{"files/crds/hosts.yaml": DEFINITION})
    made = one(render({}, chart=chart), "CustomResourceDefinition", "hosts.ddnsd.dev")
    assert made["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}
    assert (
        made["metadata"]["labels"].items() >= {"from": "types", "app.kubernetes.io/part-of": "ddnsd"}.items()
    )
    assert made["spec"] == yaml.safe_load(DEFINITION)["spec"]


def test_definitions_go_or_are_left_to_others_as_told(tmp_path: Path) -> None:
    chart = copy(tmp_path, **{"files/crds/hosts.yaml": DEFINITION})
    documents = render({"crds": {"keep": False, "annotations": {"a": "b"}}}, chart=chart)
    made = one(documents, "CustomResourceDefinition", "hosts.ddnsd.dev")
    assert made["metadata"]["annotations"] == {"a": "b"}
    without = render({"crds": {"enabled": False}}, chart=chart)
    assert "CustomResourceDefinition" not in {each["kind"] for each in without}


def test_rights_are_those_with_which_the_controller_is_tested() -> None:
    assert granted(rules(render({}))) == granted(RULES)


def granted(found: Iterable[Any]) -> set[tuple[str, str, str]]:
    return {
        (rule["apiGroups"][0], resource, verb)
        for rule in found
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }
