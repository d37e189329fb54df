"""What the chart refuses, and that it says where, and the remedy."""

from typing import Any

import pytest

from tests.chart.helm import MAJORS, RefusedError, example, render

CLUSTER = example("own-etcd")
NAMESERVER = CLUSTER["config"]["nameservers"]["default"]
DIGEST = f"sha256:{'0' * 64}"


@pytest.mark.parametrize("major", MAJORS)
@pytest.mark.parametrize(
    ("values", "place"),
    [
        ({"replica": 2}, "replica"),
        ({"mode": "standalone"}, "mode"),
        ({"replicas": 0}, "replicas"),
        ({"config": {"publish": {"timeuot": 9}}}, "timeuot"),
        ({"config": {"publish": {"timeout": 99}}}, "timeout"),
        ({"config": {"data": "/tmp"}}, "data"),
        ({"config": {"log": {"level": "loud"}}}, "level"),
        ({"image": {"digest": "sha256:1"}}, "digest"),
        ({"service": {"type": "ExternalName"}}, "type"),
        ({"existingSecrets": ["no_name"]}, "existingSecrets"),
        ({"ingress": {"enabled": True}}, "hosts"),
        ({"httpRoute": {"enabled": True}}, "parentRefs"),
        ({"controller": {"watchNamespaces": ["a/b"]}}, "watchNamespaces"),
        ({"controller": {"enabled": "yes"}}, "enabled"),
        ({"mode": "cluster"}, "nameservers"),
        ({"mode": "cluster", "etcd": {"enabled": True}}, "nameservers"),
        ({**CLUSTER, "config": {"nameservers": {}}}, "nameservers"),
        ({**CLUSTER, "config": {"nameservers": {"a": {"kind": "embedded"}}}}, "kind"),
        ({**CLUSTER, "etcd": {"enabled": False}}, "endpoints"),
        ({**CLUSTER, "etcd": {"enabled": True, "members": 2}}, "members"),
        (
            {**CLUSTER, "etcd": {}, "externalEtcd": {"endpoints": ["https://e"], "auth": {"user": "u"}}},
            "existingSecret",
        ),
    ],
)
def test_the_schema_says_where(values: Any, place: str, major: str) -> None:
    with pytest.raises(RefusedError, match=rf"values don't meet the specifications(.|\n)*\b{place}\b"):
        render(values, major=major)


@pytest.mark.parametrize(
    ("values", "remedy"),
    [
        ({"config": {"store": {"kind": "etcd"}}}, "leave config.store.kind out, or change mode"),
        ({"etcd": {"enabled": True}}, "set mode: cluster"),
        ({"externalEtcd": {"endpoints": ["https://e"]}}, "set mode: cluster"),
        ({"autoscaling": {"enabled": True}}, "for mode: cluster"),
        ({"config": {"workers": 2}}, "needs mode: cluster"),
        ({"replicas": 5}, "leave replicas out, or set mode: cluster"),
        ({"controller": {"replicas": 2}}, "where the controller runs in the one pod"),
        ({**CLUSTER, "externalEtcd": {"endpoints": ["https://e"]}}, "remove one of them"),
        (
            {**CLUSTER, "etcd": {}, "externalEtcd": {"endpoints": ["https://e"]}},
            "config.kube.source is missing",
        ),
        (
            {"config": {"nameservers": {name: {"kind": "embedded"} for name in "ab"}}},
            "write rfc2136 for the others",
        ),
        ({"config": {"listen": {"public": "127.0.0.1:8080"}}}, 'write ":8080"'),
        ({"config": {"listen": {"health": "localhost:8082"}}}, 'write ":8082"'),
        (
            {"config": {"nameservers": {"a": {"kind": "embedded", "listen": "127.0.0.1:53"}}}},
            'write listen: ":53"',
        ),
        ({"config": {"listen": {"admin": ":8081"}}}, "set admin.service.enabled: true"),
        (
            {"admin": {"service": {"enabled": True}}, "networkPolicy": {"enabled": False}},
            "needs networkPolicy",
        ),
        ({**CLUSTER, "admin": {"service": {"enabled": True}}}, "kubectl create secret generic ddnsd-admin"),
        (
            {"admin": {"service": {"enabled": True}}, "config": {"listen": {"admin": "127.0.0.1:8081"}}},
            "leave config.listen.admin out",
        ),
        ({**CLUSTER, "existingSecrets": []}, "add it to existingSecrets"),
        ({**CLUSTER, "networkPolicy": {"enabled": False}}, "set networkPolicy.enabled: true, or etcd.tls"),
    ],
)
def test_a_check_says_the_remedy(values: Any, remedy: str) -> None:
    with pytest.raises(RefusedError) as refused:
        render(values)
    assert remedy in str(refused.value)


def test_what_is_near_a_refusal_is_taken() -> None:
    render({"image": {"digest": DIGEST}, "config": {"publish": {"timeout": 60}}})
    store = {"etcd": {"endpoints": ["https://e"]}}
    render({"mode": "cluster", "config": {"store": store, "nameservers": {"a": NAMESERVER}}, **SECRETS})


SECRETS = {"existingSecrets": ["ddnsd-tsig"]}
