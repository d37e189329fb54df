"""A release with rights in some namespaces alone: Roles only, and zones by the admin API."""

import json

import pytest

from tests.kube.walk.release import BLOG, NAMESPACE, Release, until
from tests.rigs.kubernetes.cluster import Cluster

TEAM, OTHERS = "team", "others"
ZONE = {"apiVersion": "ddnsd.dev/v1alpha1", "kind": "Zone", "metadata": {"name": "example.com"}, "spec": {}}


@pytest.mark.timeout(300)
def test_first_without_a_controller_then_with_one_for_a_namespace(cluster: Cluster) -> None:
    release = Release(cluster, cluster.namespace(NAMESPACE))
    cluster.volume()
    for namespace in (TEAM, OTHERS):
        cluster.namespace(namespace)
    is_without_a_controller(release)
    has_one_for_a_namespace(release)


def is_without_a_controller(release: Release) -> None:
    release.helm.install({"controller": {"enabled": False}})
    (pod,) = release.nodes()
    assert pod.execute("ls", "/var/run/secrets").returncode != 0  # no token of Kubernetes' API
    assert rights(release) == set()
    release.ddnsd("apply", "-f", "-", text=json.dumps(ZONE))
    for namespace in (TEAM, OTHERS):
        apply(release, namespace)


def has_one_for_a_namespace(release: Release) -> None:
    release.helm.upgrade({"controller": {"watchNamespaces": [TEAM]}})
    assert rights(release) == {"Role ddnsd", f"Role {TEAM}"}
    release.cluster.kubectl(
        "-n", TEAM, "wait", "--for=condition=Accepted", "tokens.ddnsd.dev/router", "--timeout=30s"
    )
    path = "go-template={{.data.token | base64decode}}"
    secret = release.cluster.kubectl("-n", TEAM, "get", "secret", "ddnsd-token-router", "-o", path)
    until(lambda: release.update(secret, "192.0.2.7").status, 200, "an update")
    release.cluster.kubectl("-n", TEAM, "wait", "--for=condition=Published", f"hosts.ddnsd.dev/{BLOG}")
    assert "status" not in release.cluster.kubectl.get("host", BLOG, "-n", OTHERS)


def apply(release: Release, namespace: str) -> None:
    """Apply an account, a host and a token."""
    specs = {
        ("Account", "alice"): {},
        ("Host", BLOG): {"account": "alice"},
        ("Token", "router"): {"account": "alice"},
    }
    release.cluster.kubectl.apply(
        *(
            {
                "apiVersion": "ddnsd.dev/v1alpha1",
                "kind": kind,
                "metadata": {"name": name, "namespace": namespace},
                "spec": spec,
            }
            for (kind, name), spec in specs.items()
        )
    )


def rights(release: Release) -> set[str]:
    """Return where the release's pods have rights: "Role NAMESPACE", "ClusterRole"."""
    selector = "app.kubernetes.io/instance=ddnsd"
    bindings = release.cluster.kubectl.get("rolebindings,clusterrolebindings", "-A", "-l", selector)["items"]
    return {f"{each['roleRef']['kind']} {each['metadata'].get('namespace', '')}".strip() for each in bindings}
