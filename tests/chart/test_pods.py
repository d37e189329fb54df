"""How pods come, go and are reached: no request is dropped, the client's address, who may reach what."""

from collections.abc import Iterator
from typing import Any

import click
import pytest

from ddnsd.cli import main
from tests.chart.helm import EXAMPLES, Document, container, example, one, pods, render

CLUSTER = example("own-etcd")
ALL = [{}, *(example(path.stem) for path in EXAMPLES)]


def of(documents: list[Document], kind: str) -> list[Document]:
    return [each for each in documents if each["kind"] == kind]


def component(documents: list[Document], name: str) -> list[Document]:
    label = "app.kubernetes.io/component"
    return [each for each in documents if each["metadata"]["labels"][label] == name]


def keys(value: Any) -> Iterator[str]:
    """Yield every key in a document."""
    if isinstance(value, list):
        for each in value:
            yield from keys(each)
    if isinstance(value, dict):
        yield from value
        yield from keys([*value.values()])


def test_a_new_pod_is_ready_before_an_old_one_leaves() -> None:
    strategy = one(render(CLUSTER), "Deployment")["spec"]["strategy"]
    assert strategy["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}


@pytest.mark.parametrize(
    ("config", "delay", "waits"),
    [({}, 10, 10 + 8 + 10), ({"publish": {"timeout": 20.5}, "drain": {"timeout": 30}}, 45, 45 + 20.5 + 30)],
)
def test_a_pod_has_the_time_to_leave(config: Any, delay: int, waits: float) -> None:
    values = {**CLUSTER, "config": {**CLUSTER["config"], **config}, "drain": {"delay": delay}}
    deployment = one(render(values), "Deployment")
    command = container(deployment)["lifecycle"]["preStop"]["exec"]["command"]
    assert command == ["ddnsd", "drain", "--delay", f"{delay}s"]
    assert deployment["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] > waits


@pytest.mark.parametrize(("values", "kind"), [({}, "StatefulSet"), (CLUSTER, "Deployment")])
def test_probes_ask_the_listener_for_them(values: Any, kind: str) -> None:
    pod = container(one(render(values), kind))
    paths = {name: pod[name]["httpGet"] for name in ("startupProbe", "livenessProbe", "readinessProbe")}
    assert {each["port"] for each in paths.values()} == {"health"}
    assert [each["path"] for each in paths.values()] == ["/healthz", "/healthz", "/readyz"]
    ports = {port["name"]: port["containerPort"] for port in pod["ports"]}
    assert (ports["health"], ports["http"]) == (8082, 8080)


def test_scaled_pods_have_no_number_of_their_own() -> None:
    documents = render(example("gateway"))
    assert "replicas" not in one(documents, "Deployment")["spec"]
    target = one(documents, "HorizontalPodAutoscaler")["spec"]["scaleTargetRef"]
    assert (target["kind"], target["name"]) == ("Deployment", "ddnsd")


@pytest.mark.parametrize(("values", "budgets"), [({"replicas": 2}, 2), ({"replicas": 1}, 1)])
def test_only_what_has_several_pods_has_a_budget(values: Any, budgets: int) -> None:
    assert len(of(render({**CLUSTER, **values}), "PodDisruptionBudget")) == budgets
    assert of(render({}), "PodDisruptionBudget") == []


def test_pods_spread_over_nodes_and_zones() -> None:
    spread = one(render(CLUSTER), "Deployment")["spec"]["template"]["spec"]["topologySpreadConstraints"]
    assert {each["topologyKey"] for each in spread} == {
        "kubernetes.io/hostname",
        "topology.kubernetes.io/zone",
    }


@pytest.mark.parametrize("kind", ["NodePort", "LoadBalancer"])
def test_the_clients_address_survives(kind: str) -> None:
    documents = render({"service": {"type": kind}, "dns": {"service": {"type": kind}}})
    for name in ("ddnsd", "ddnsd-dns"):
        assert one(documents, "Service", name)["spec"]["externalTrafficPolicy"] == "Local"


def test_the_nameserver_answers_both_protocols() -> None:
    spec = one(render({}), "Service", "ddnsd-dns")["spec"]
    assert {(port["protocol"], port["port"]) for port in spec["ports"]} == {("UDP", 53), ("TCP", 53)}
    served = {
        (port.get("protocol", "TCP"), port["name"])
        for port in container(one(render({}), "StatefulSet"))["ports"]
    }
    assert {(port["protocol"], port["targetPort"]) for port in spec["ports"]} <= served


def test_without_an_embedded_nameserver_there_is_none() -> None:
    assert "ddnsd-dns" not in [each["metadata"]["name"] for each in render(CLUSTER)]


@pytest.mark.parametrize("values", [{}, CLUSTER])
def test_nobody_else_reaches_the_admin_api(values: Any) -> None:
    documents = component(render(values), "node")
    ports = {port["targetPort"] for service in of(documents, "Service") for port in service["spec"]["ports"]}
    rules = one(documents, "NetworkPolicy")["spec"]["ingress"]
    assert "admin" not in ports | {port["port"] for rule in rules for port in rule["ports"]}


def test_only_who_is_named_reaches_the_admin_service() -> None:
    documents = render(example("everything"))
    assert one(documents, "Service", "ddnsd-admin")["spec"]["ports"][0]["targetPort"] == "admin"
    rules = one(documents, "NetworkPolicy")["spec"]["ingress"]
    (admin,) = (rule for rule in rules if rule["ports"] == [{"port": "admin"}])
    assert admin["from"] == [{"podSelector": {"matchLabels": {"ddnsd.dev/admin-client": "true"}}}]


@pytest.mark.parametrize("values", ALL)
def test_what_is_mounted_changes_with_its_source(values: Any) -> None:
    assert "subPath" not in {key for pod in pods(render(values)) for key in keys(pod)}


@pytest.mark.parametrize("values", ALL)
def test_no_object_holds_a_secret(values: Any) -> None:
    assert of(render(values), "Secret") == []


@pytest.mark.parametrize("values", ALL)
def test_the_program_knows_its_arguments(values: Any) -> None:
    for pod in pods(render(values)):
        for each in pod["spec"]["containers"]:
            if each["name"] == "ddnsd":
                parsed(each["args"])
            if "lifecycle" in each:
                parsed(each["lifecycle"]["preStop"]["exec"]["command"][1:])


def parsed(arguments: list[str]) -> None:
    """Raise click's UsageError for what the command line does not know."""
    name, *rest = arguments
    command = main.get_command(click.Context(main), name)
    assert command is not None
    command.make_context(name, rest)
