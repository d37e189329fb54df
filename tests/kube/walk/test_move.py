"""The move from one pod to a cluster on an etcd of one's own: the steps that a refused upgrade prints."""

import asyncio
import secrets
from typing import Any

import pytest

from tests.kube.walk.release import BLOG, EXAMPLES, NAMESPACE, Release, dig, until
from tests.kube.walk.tsig import nameserver, write_key
from tests.rigs import BindRig
from tests.rigs.etcd import EtcdRig, versions
from tests.rigs.kubernetes.cluster import Cluster

PASSWORD = secrets.token_urlsafe(16)


@pytest.mark.timeout(300)
async def test_from_embedded_to_cluster(cluster: Cluster) -> None:
    release = Release(cluster, cluster.namespace(NAMESPACE))
    places = [cluster.network.place("etcd")]
    async with BindRig(place=cluster.network.place("bind")) as bind:
        with EtcdRig(versions()[-1], places=places, tls=True) as etcd:
            etcd.enable_authentication(PASSWORD)
            await asyncio.to_thread(moves, release, bind, etcd)
        assert await bind.query(BLOG, "A") == ("192.0.2.8",)
    assert PASSWORD not in release.logs()


def moves(release: Release, bind: BindRig, etcd: EtcdRig) -> None:
    release.cluster.volume()
    release.helm.install({})
    release.kubectl("apply", "-f", str(EXAMPLES))
    secret = release.secret()
    until(lambda: release.update(secret, "192.0.2.7").status, 200, "an update")

    backup = release.ddnsd("export")
    release.helm("uninstall", "ddnsd", "--wait")
    until(release.nodes, [], "the pod is gone")
    write_key(release, bind.key_name, bind.key_secret)
    write_credentials(release, etcd)
    values = on(bind, etcd)
    release.helm.install(values, "--set", "controller.enabled=false")
    release.ddnsd("import", "-", text=backup)
    release.helm.upgrade(values)
    release.kubectl("rollout", "status", "deployment/ddnsd-controller", "--timeout=60s")
    until(lambda: dig(bind.address, bind.port), "192.0.2.7", "what was imported")

    until(lambda: release.update(secret, "192.0.2.8").status, 200, "the same token")
    until(lambda: "192.0.2.8" in release.kubectl("get", "hosts"), True, "kubectl get hosts shows it")
    release.patch("host", BLOG, {"spec": {"enabled": False}})
    until(
        lambda: release.update(secret, "192.0.2.8").status, 403, "the controller has what was imported", 2.0
    )


def write_credentials(release: Release, etcd: EtcdRig) -> None:
    assert etcd.certificates
    authority, certificate, key = (part.decode() for part in etcd.certificates.client)
    files = {"ca.crt": authority, "tls.crt": certificate, "tls.key": key, "password": PASSWORD}
    release.write_secret("etcd", **files)


def on(bind: BindRig, etcd: EtcdRig) -> dict[str, Any]:
    return {
        "mode": "cluster",
        "externalEtcd": {
            "endpoints": [etcd.members[0].url],
            "auth": {"user": "root", "existingSecret": "etcd"},
            "tls": {"existingSecret": "etcd", "certificate": "tls.crt", "key": "tls.key"},
        },
        "existingSecrets": ["tsig"],
        "config": {"nameservers": {"default": nameserver(bind)}, "kube": {"source": "kubernetes"}},
        "drain": {"delay": 2},
    }
