"""The whole walk with nothing but `helm install`: one pod, and everything inside it."""

from pathlib import Path

import pytest

from tests.kube.walk.release import BLOG, EXAMPLES, NAMESPACE, Release, until
from tests.rigs.kubernetes.cluster import Cluster


@pytest.mark.timeout(300)
def test_from_install_to_uninstall(cluster: Cluster) -> None:
    release = Release(cluster, cluster.namespace(NAMESPACE))
    cluster.volume()
    release.helm.install({})
    is_tested_by_helm(release)
    secret = is_driven_by_kubectl(release)
    takes_an_edited_config_map(release, secret)
    keeps_its_state_in_an_upgrade(release, secret)
    does_not_change_its_mode(release)
    leaves_the_custom_resources(release, secret)


def is_driven_by_kubectl(release: Release) -> str:
    """Walk from the resources to an answer of the nameserver, and back; return the token's secret."""
    release.kubectl("apply", "-f", str(EXAMPLES))
    secret = release.secret()
    until(lambda: release.update(secret, "192.0.2.7").status, 200, "an update")
    assert release.dig() == "192.0.2.7"
    until(lambda: "192.0.2.7" in release.kubectl("get", "hosts"), True, "kubectl get hosts shows it")
    release.kubectl("wait", "--for=condition=Published", f"host.ddnsd.dev/{BLOG}")

    release.patch("host", BLOG, {"spec": {"enabled": False}})
    until(lambda: release.update(secret, "192.0.2.8").status, 403, "no update of what is disabled", 2.0)
    release.patch("host", BLOG, {"spec": {"enabled": True}})
    until(lambda: release.update(secret, "192.0.2.8").status, 200, "updates again", 2.0)
    return secret


def is_tested_by_helm(release: Release) -> None:
    assert "Succeeded" in release.helm("test", "ddnsd", "--timeout", "60s")


def takes_an_edited_config_map(release: Release, secret: str) -> None:
    (before,) = release.nodes()
    assert release.update(secret, "10.0.0.7").status == 400
    release.edit(lambda config: config["addresses"].update(private="accept"))
    until(lambda: release.update(secret, "10.0.0.7").status, 200, "the new configuration")

    release.edit(lambda config: config["addresses"].update(private="perhaps"))
    until(lambda: "config.refused" in before.log(), True, "the broken configuration is in the log")
    assert "addresses.private" in str(release.status())
    assert release.metric("ddnsd_config_reload_success") == 0
    until(lambda: "addresses.private" in release.kubectl("get", "events"), True, "an Event")
    assert release.update(secret, "10.0.0.8").status == 200
    (after,) = release.nodes()
    assert (after.uid, after.containers[0].restarts) == (before.uid, 0)


def keeps_its_state_in_an_upgrade(release: Release, secret: str) -> None:
    (before,) = release.nodes()
    data = is_given_to_the_group_again(release)
    # It changes no pod: Helm would apply that although the ConfigMap is refused, and the broken one is read.
    refused = release.helm.run("upgrade", "ddnsd", release.helm.chart, values={})
    assert 'conflict with "kubectl-edit"' in refused.stderr  # nobody's edit goes by accident
    release.helm.upgrade({"podAnnotations": {"turn": "2"}}, "--force-conflicts")
    (after,) = release.nodes()
    assert after.uid != before.uid
    until(release.dig, "10.0.0.8", "what was published")
    until(lambda: release.update(secret, "10.0.0.9").status, 400, "the values are in force again")
    assert release.update(secret, "192.0.2.9").status == 200
    assert (data / "admin-token").stat().st_mode & 0o777 == 0o660, (
        "kubelet has let the group write everything"
    )
    assert "data.exposed" not in after.log()
    assert "open to others" not in after.log()


def is_given_to_the_group_again(release: Release) -> Path:
    """Leave the volume as release 9626785 did, and have kubelet change its modes; return the data folder."""
    (volume,) = release.cluster.kubectl.get("persistentvolumes")["items"]
    root = Path(volume["spec"]["hostPath"]["path"])
    data = root / "data"
    (data / "nameservers" / "default" / "serials.json").chmod(0o644)
    (data / "listening.json").chmod(0o644)
    root.chmod(0o755)  # not what the policy OnRootMismatch wants, so all below is changed
    return data


def does_not_change_its_mode(release: Release) -> None:
    nameserver = {"kind": "rfc2136", "address": "192.0.2.53", "key": {"secret_file": "/secrets/tsig/key"}}
    values = {
        "mode": "cluster",
        "etcd": {"enabled": True},
        "existingSecrets": ["tsig"],
        "config": {"nameservers": {"default": nameserver}},
    }
    refused = release.helm.run("upgrade", "ddnsd", release.helm.chart, values=values)
    assert refused.returncode != 0
    assert "State moves by export and import" in refused.stderr
    assert "kubectl exec -n ddnsd statefulset/ddnsd -- ddnsd export" in refused.stderr
    assert "config.kube.source stays what it was" in refused.stderr


def leaves_the_custom_resources(release: Release, secret: str) -> None:
    release.helm("uninstall", "ddnsd", "--wait")
    until(release.nodes, [], "the pod is gone")
    assert release.document("host", BLOG)["spec"]["account"] == "alice"
    assert release.kubectl("get", "persistentvolumeclaims", "-o", "name").strip()

    release.helm.install({})
    until(release.dig, "192.0.2.9", "what was published")
    until(lambda: release.update(secret, "192.0.2.10").status, 200, "the same token")
