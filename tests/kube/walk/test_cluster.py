"""The walk in cluster mode: several pods on the release's own etcd, a controller beside them, a real BIND."""

import asyncio
import secrets
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.kube.walk.clients import Clients
from tests.kube.walk.release import EXAMPLES, NAMESPACE, Release, until
from tests.kube.walk.tsig import nameserver, write_key
from tests.rigs import BindRig
from tests.rigs.kubernetes.cluster import Cluster
from tests.rigs.kubernetes.kubelet.pod import Pod
from tests.system.load import all_served
from tests.waiting import PATIENCE

HOSTS = [f"h{number}.example.com" for number in range(4)]


def values(bind: BindRig, **config: Any) -> dict[str, Any]:
    return {
        "mode": "cluster",
        "etcd": {"enabled": True},
        "existingSecrets": ["tsig"],
        "config": {
            "nameservers": {"default": nameserver(bind)},
            "addresses": {"private": "accept"},
            "fair_use": {"enabled": False},  # one token changes more than any person's
            **config,
        },
        "drain": {"delay": 3},
    }


@pytest.mark.timeout(400)
async def test_from_install_to_uninstall(cluster: Cluster) -> None:
    release = Release(cluster, cluster.namespace(NAMESPACE))
    async with BindRig(place=cluster.network.place("bind")) as bind:
        await asyncio.to_thread(is_installed, release, bind)
        secret = await asyncio.to_thread(is_driven_by_kubectl, release)
        clients = Clients(release.address, secret, HOSTS)
        async with clients.at_work():
            await a_key_is_rotated(release, bind, clients)
            await is_upgraded_and_rolled_back(release, bind, clients)
            await a_member_is_replaced(release, bind)
        await all_served(bind, clients.done, 10)
        await asyncio.to_thread(refuses_what_would_lose_state, release, bind)
        assert "Succeeded" in await asyncio.to_thread(release.helm, "test", "ddnsd", "--timeout", "60s")
        await asyncio.to_thread(leaves_the_custom_resources, release)
    assert secret not in release.logs()


def is_installed(release: Release, bind: BindRig) -> None:
    for _ in range(3):
        release.cluster.volume()
    write_key(release, bind.key_name, bind.key_secret)
    release.helm.install(values(bind))


def is_driven_by_kubectl(release: Release) -> str:
    """Apply the examples and the clients' hosts; return a token for all of them."""
    for pod in release.nodes():  # the controller alone has a token of Kubernetes' API
        assert pod.execute("ls", "/var/run/secrets").returncode != 0
    release.kubectl("apply", "-f", str(EXAMPLES))
    document = {"apiVersion": "ddnsd.dev/v1alpha1"}
    release.cluster.kubectl.apply(
        *(
            {
                **document,
                "kind": "Host",
                "metadata": {"name": host, "namespace": NAMESPACE},
                "spec": {"account": "alice"},
            }
            for host in HOSTS
        ),
        {
            **document,
            "kind": "Token",
            "metadata": {"name": "all", "namespace": NAMESPACE},
            "spec": {"account": "alice"},
        },
    )
    secret = release.secret("all")
    until(lambda: release.update(secret, "192.0.2.7").status, 200, "an update")
    release.kubectl("wait", "--for=condition=Published", "host.ddnsd.dev/blog.example.com")
    release.patch("host", "blog.example.com", {"spec": {"enabled": False}})
    until(lambda: release.update(secret, "192.0.2.8").status, 403, "no update of what is disabled", 2.0)
    return secret


async def a_key_is_rotated(release: Release, bind: BindRig, clients: Clients) -> None:
    name, secret = "second", secrets.token_bytes(32)
    bind.more_keys = {name: secret}
    await bind.reconfigure()
    await asyncio.to_thread(write_key, release, name, secret)
    for pod in release.nodes():
        await asyncio.to_thread(
            until, partial(has_logged, pod, "config.applied"), True, "the new key is read"
        )
    bind.key_name, bind.key_secret, bind.more_keys = name, secret, {}
    await bind.reconfigure()
    await clients.get_on()


async def is_upgraded_and_rolled_back(release: Release, bind: BindRig, clients: Clients) -> None:
    first = {pod.uid for pod in release.nodes()}
    upgraded = values(bind, http={"idle_timeout": 50})  # of those that take effect at a restart
    await asyncio.to_thread(release.helm.upgrade, upgraded)
    second = {pod.uid for pod in release.nodes()}
    await clients.get_on()
    await asyncio.to_thread(release.helm, "rollback", "ddnsd", "--wait")
    third = {pod.uid for pod in release.nodes()}
    assert len(first | second | third) == 6
    await asyncio.to_thread(until, lambda: len(hooks(release)), 4, "all have left by way of `ddnsd drain`")
    assert {hook.partition(": ")[2].splitlines()[0] for hook in hooks(release)} == {"0"}


def hooks(release: Release) -> list[str]:
    """Return what the preStop hooks said."""
    files: list[Path] = [pod.folder / "hook" for pod in release.cluster.kubelet.all_pods()]
    return [file.read_text() for file in files if file.exists()]


async def a_member_is_replaced(release: Release, bind: BindRig) -> None:
    """A member's volume is lost; then as the chart's README says, with clients at work."""
    await asyncio.to_thread(release.cluster.volume)
    await asyncio.to_thread(_replace, release, bind)


def _replace(release: Release, bind: BindRig) -> None:
    kubelet = release.cluster.kubelet
    (left,) = (pod for pod in kubelet.pods(release.namespace, "etcd") if pod.key.name == "ddnsd-etcd-0")
    (lost,) = (pod for pod in kubelet.pods(release.namespace, "etcd") if pod.key.name == "ddnsd-etcd-1")

    def etcdctl(*arguments: str) -> str:
        done = left.execute("etcdctl", *arguments)
        return str(done.stdout if done.returncode == 0 else done.stderr)

    state = {"enabled": True, "initialClusterState": "existing"}
    release.helm.upgrade({"etcd": state}, "--reuse-values")
    members = {line.split(", ")[2]: line.split(",")[0] for line in etcdctl("member", "list").splitlines()}
    assert "removed" in etcdctl("member", "remove", members["ddnsd-etcd-1"])
    peer = f"--peer-urls=http://ddnsd-etcd-1.ddnsd-etcd.{release.namespace}.svc:2380"
    until(lambda: "added" in etcdctl("member", "add", "ddnsd-etcd-1", peer), True, "the member is added")
    release.kubectl("delete", "persistentvolumeclaim", "state-ddnsd-etcd-1", "--wait=false")
    release.kubectl("delete", "pod", "ddnsd-etcd-1")
    until(lambda: lost.running, False, "the pod is gone")
    until(lambda: kubelet.ready(release.namespace, "ddnsd-etcd-1"), True, "the new member is ready", 60.0)
    assert etcdctl("member", "list").count("started") == 3


def refuses_what_would_lose_state(release: Release, bind: BindRig) -> None:
    helm = release.helm
    fewer = helm.run("upgrade", "ddnsd", helm.chart, "--set", "etcd.members=1", values=values(bind))
    assert fewer.returncode != 0
    assert "pods alone make no members" in fewer.stderr
    other = helm.run("upgrade", "ddnsd", helm.chart, values={"mode": "embedded"})
    assert other.returncode != 0
    assert "kubectl exec -n ddnsd deployment/ddnsd -- ddnsd export" in other.stderr


def leaves_the_custom_resources(release: Release) -> None:
    release.helm("uninstall", "ddnsd", "--wait")
    assert len(release.cluster.kubectl.get("hosts", "-n", release.namespace)["items"]) == 5
    until(release.nodes, [], "the pods are gone", PATIENCE)


def has_logged(pod: Pod, event: str) -> bool:
    return event in pod.log()
