"""What `helm install` prints: the next commands, and warnings where they are due."""

from typing import Any

import pytest

from tests.chart.helm import example, notes

CLUSTER = example("own-etcd")
GAP = "has a gap of some seconds"


def test_the_next_commands_are_those_of_kubectl() -> None:
    said = notes({})
    assert "kubectl --namespace dns apply -f -" in said
    assert "namespaces: [dns]" in said
    assert "get secret ddnsd-token-alice-router" in said
    assert "exec" not in said


def test_it_says_how_other_namespaces_let_it_use_their_secrets() -> None:
    said = notes({"controller": {"secrets": {"namespaces": ["dns", "team"]}}})
    assert "the Secrets of Tokens in dns, team." in said
    options = "--namespace=NAMESPACE --clusterrole=dns:ddnsd-secrets --serviceaccount=dns:ddnsd\n"
    assert f"kubectl create rolebinding ddnsd-secrets {options}" in said
    assert "rolebinding" not in notes({"controller": {"watchNamespaces": ["a"]}})


@pytest.mark.parametrize("controller", [{"enabled": False}, {"watchNamespaces": ["a"]}])
def test_zones_come_by_the_admin_api_where_nobody_watches_them(controller: Any) -> None:
    said = notes({"controller": controller})
    assert "exec -i statefulset/ddnsd -- ddnsd apply -f -" in said
    assert ("namespaces a come by kubectl" in said) == ("watchNamespaces" in controller)


def test_a_zone_names_a_nameserver_that_is_there() -> None:
    nameservers = {"bind": CLUSTER["config"]["nameservers"]["default"]}
    assert "nameserver: bind" in notes({**CLUSTER, "config": {"nameservers": nameservers}})


def test_only_one_pod_has_a_gap() -> None:
    assert GAP in notes({})
    assert GAP not in notes(CLUSTER)


@pytest.mark.parametrize(
    ("values", "warning"),
    [
        ({"persistence": {"enabled": False}}, "everything is lost with the pod"),
        ({"ingress": {"enabled": True, "hosts": ["d.example.com"]}}, "config.trusted_proxies is empty"),
        ({"httpRoute": {"enabled": True, "parentRefs": [{"name": "g"}]}}, "config.trusted_proxies is empty"),
        (
            {"service": {"type": "LoadBalancer", "externalTrafficPolicy": "Cluster"}},
            "service.externalTrafficPolicy is Cluster",
        ),
        (
            {"service": {"type": "LoadBalancer"}, "config": {"addresses": {"private": "accept"}}},
            "config.addresses.private is accept",
        ),
    ],
)
def test_what_is_risky_is_said(values: Any, warning: str) -> None:
    assert warning in notes(values)
    assert warning not in notes({}) + notes(CLUSTER)


def test_a_proxy_that_is_trusted_is_no_risk() -> None:
    values = {
        "ingress": {"enabled": True, "hosts": ["d.example.com"]},
        "config": {"trusted_proxies": ["10.0.0.0/8"]},
    }
    assert "WARNING" not in notes(values)
