"""From the chart whose controller might use every Secret of the cluster to this one, with clients at work."""

import asyncio
from contextlib import AsyncExitStack
from functools import partial
from typing import Any

import pytest

from tests.kube.walk.clients import Clients
from tests.kube.walk.release import NAMESPACE, Release, until
from tests.kube.walk.tsig import nameserver, write_key
from tests.rigs import BindRig
from tests.rigs.former import BEFORE, former
from tests.rigs.kubernetes.cluster import Cluster
from tests.rigs.kubernetes.helm import CHART
from tests.system.load import all_served

TENANTS = ("alice", "bob")
NAMESPACES = (NAMESPACE, *TENANTS)
DDNSD = "ddnsd.dev/v1alpha1"


def values(bind: BindRig, **image: str) -> dict[str, Any]:
    return {
        "mode": "cluster",
        "etcd": {"enabled": True, "members": 1},
        "existingSecrets": ["tsig"],
        "config": {
            "nameservers": {"default": nameserver(bind)},
            "addresses": {"private": "accept"},
            "fair_use": {"enabled": False},  # one token changes more than any person's
        },
        "drain": {"delay": 2},
        "image": image,
    }


@pytest.mark.timeout(300)
async def test_no_client_is_refused(cluster: Cluster) -> None:
    release = Release(cluster, cluster.namespace(NAMESPACE))
    async with BindRig(place=cluster.network.place("bind")) as bind, AsyncExitStack() as stack:
        await asyncio.to_thread(is_installed, release, bind)
        clients = [
            Clients(release.address, await asyncio.to_thread(secret, release, each), hosts(each))
            for each in NAMESPACES
        ]
        for some in clients:
            await stack.enter_async_context(some.at_work())
        notes = await asyncio.to_thread(is_upgraded, release, bind)
        for some in clients:
            await some.get_on()
        await asyncio.to_thread(tenants_are_told, release, notes)
        await stack.aclose()
        await all_served(bind, {host: count for some in clients for host, count in some.done.items()}, 10)


def hosts(namespace: str) -> list[str]:
    return [f"{namespace}{number}.example.com" for number in range(2)]


def is_installed(release: Release, bind: BindRig) -> None:
    """Install the chart of before, with its own code, and what three namespaces have."""
    release.cluster.volume()
    write_key(release, bind.key_name, bind.key_secret)
    release.helm.chart = str(former() / "charts" / "ddnsd")
    release.helm.install(values(bind, tag=BEFORE))
    for tenant in TENANTS:
        release.cluster.namespace(tenant)
    zone = {"apiVersion": DDNSD, "kind": "Zone", "metadata": {"name": "example.com"}}
    release.cluster.kubectl.apply(zone | {"spec": {"namespaces": ["*"]}})
    for namespace in NAMESPACES:
        release.cluster.kubectl.apply(
            document(namespace, "Account", "me"),
            *(document(namespace, "Host", host, account="me") for host in hosts(namespace)),
            document(namespace, "Token", "router", account="me"),
            document(namespace, "Token", "own", account="me", secretRef={"name": "own"}),
        )
        secret = document(namespace, "Secret", "own") | {
            "stringData": {"token": f"a-secret-of-namespace-{namespace}"}
        }
        release.cluster.kubectl.apply(secret | {"apiVersion": "v1"})
        wait_until_accepted(release, namespace, "own")


def document(namespace: str, kind: str, name: str, **spec: Any) -> dict[str, Any]:
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": DDNSD, "kind": kind, "metadata": metadata} | ({"spec": spec} if spec else {})


def secret(release: Release, namespace: str) -> str:
    """Return the secret of a namespace's Token, which ddnsd made."""
    kubectl = release.cluster.kubectl
    wait_until_accepted(release, namespace)
    path = "go-template={{.data.token | base64decode}}"
    return kubectl("get", "secret", "ddnsd-token-router", "-n", namespace, "-o", path)


def is_upgraded(release: Release, bind: BindRig) -> str:
    """Upgrade to this chart and this code; return what helm prints."""
    before = {pod.uid for pod in release.nodes()}
    release.helm.chart = str(CHART)
    notes = release.helm.upgrade(values(bind))
    assert not before & {pod.uid for pod in release.nodes()}
    return notes


def tenants_are_told(release: Release, notes: str) -> None:
    """Tokens of other namespaces say what to do, and so do the notes: doing it is enough."""
    (commands,) = (block for block in notes.split("\n\n") if "create rolebinding" in block)
    for tenant in TENANTS:
        until(partial(said, release, tenant, "reason"), "SecretForbidden", "told")
        command = condition(release, tenant)["message"].split("`")[1]
        assert command in commands
        release.cluster.kubectl(*command.split()[1:])
    for namespace in NAMESPACES:
        wait_until_accepted(release, namespace)
        wait_until_accepted(release, namespace, "own")  # its Secret has no label
        until(partial(said, release, namespace, "status", "own", "SecretLabelled"), "False", "told")


def said(release: Release, namespace: str, field: str, *of: str) -> Any:
    return condition(release, namespace, *of)[field]


def condition(release: Release, namespace: str, token: str = "router", type: str = "Accepted") -> Any:
    """Return a condition of a Token; one that it does not have is empty."""
    found = release.cluster.kubectl.get("token.ddnsd.dev", token, "-n", namespace)
    conditions = (each for each in found["status"]["conditions"] if each["type"] == type)
    return next(conditions, {"status": "", "reason": ""})


def wait_until_accepted(release: Release, namespace: str, token: str = "router") -> None:
    wait = ("wait", "--for=condition=Accepted", f"token.ddnsd.dev/{token}", "--timeout=30s")
    release.cluster.kubectl(*wait, "-n", namespace)
