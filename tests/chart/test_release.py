"""The chart on a real API server: it takes all of it, RBAC is narrow, no upgrade loses state."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.chart.helm import MAJORS, ROOT, RefusedError, example, pods, render
from tests.chart.release import KINDS, Release
from tests.rigs.former import former
from tests.rigs.kubernetes import KubernetesRig

CLUSTER = example("own-etcd")
K8S = ROOT / "k8s"
DEFINITIONS = [f"customresourcedefinition/{kind}.ddnsd.dev" for kind in KINDS]
VERBS = ("get", "list", "watch", "create", "update", "patch", "delete", "deletecollection")
LEAVE_DEFINITIONS = {"crds": {"enabled": False}}


@pytest.fixture(scope="module")
def rig() -> Iterator[KubernetesRig]:
    with KubernetesRig() as rig:
        yield rig


@pytest.fixture
def release(rig: KubernetesRig) -> Release:
    return Release(rig)


@pytest.mark.parametrize(
    ("name", "major"),
    [(None, "4"), (None, "3"), ("own-etcd", "4"), ("own-etcd", "3"), ("cluster", "4"), ("everything", "4")],
)
def test_the_api_server_takes_it_and_its_upgrade(release: Release, name: str | None, major: str) -> None:
    values = {**(example(name) if name else {}), **LEAVE_DEFINITIONS}
    if name == "everything":  # the Prometheus Operator's kinds are not there
        values = {**values, "metrics": {"dashboard": {"enabled": True}}}
    release.install(values, major)
    release.upgrade({**values, "podLabels": {"changed": "yes"}}, major)


@pytest.mark.parametrize("values", [{}, CLUSTER, example("everything")])
def test_pod_security_lets_every_pod_in(release: Release, values: Any) -> None:
    release.install({**values, **LEAVE_DEFINITIONS, "metrics": {}})
    for number, pod in enumerate(pods(render(values))):
        spec = {**pod["spec"], "priorityClassName": None}
        if "state" not in [volume["name"] for volume in spec.get("volumes", ())]:  # a StatefulSet's claim
            spec["volumes"] = [*spec.get("volumes", ()), {"name": "state", "emptyDir": {}}]
        metadata = {
            "name": f"try-{number}",
            "namespace": release.namespace,
            "labels": pod["metadata"]["labels"],
        }
        release.kubectl.apply({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})


def test_pod_security_is_on(release: Release) -> None:
    done = release.kubectl.run("run", "a", "--image=a", "-n", release.namespace)
    assert 'violates PodSecurity "restricted' in done.stderr


@pytest.mark.parametrize(("values", "account"), [({}, "ddnsd"), (CLUSTER, "ddnsd-controller")])
def test_the_controller_may_do_what_it_needs_and_no_more(release: Release, values: Any, account: str) -> None:
    release.install({**values, **LEAVE_DEFINITIONS})
    for kind in KINDS:
        assert verbs(release, account, kind) == {"list", "watch"}
        assert verbs(release, account, f"{kind}/status") == {"patch"}
    assert verbs(release, account, "secrets", release.namespace) == {"get", "create"}
    assert verbs(release, account, "secrets", "default") == set()
    assert verbs(release, account, "events.events.k8s.io", release.namespace) == {"create"}
    assert verbs(release, account, "events.events.k8s.io", "default") == set()
    assert verbs(release, account, "namespaces", release.namespace, release.namespace) == {"get"}
    assert verbs(release, account, "namespaces", "default", "default") == set()
    assert verbs(release, account, "pods", release.namespace) == set()


def test_nodes_may_do_nothing(release: Release) -> None:
    release.install({**CLUSTER, **LEAVE_DEFINITIONS})
    for resource in (*KINDS, "secrets", "events", "namespaces"):
        assert verbs(release, "ddnsd", resource, release.namespace) == set()


def test_with_some_namespaces_it_may_do_nothing_elsewhere(release: Release, rig: KubernetesRig) -> None:
    watched = rig.namespace()
    release.install({**LEAVE_DEFINITIONS, "controller": {"watchNamespaces": [watched]}})
    assert verbs(release, "ddnsd", "hosts", watched) == {"list", "watch"}
    assert verbs(release, "ddnsd", "secrets", watched) == {"get", "create"}
    for elsewhere in ("default", release.namespace):
        assert (
            verbs(release, "ddnsd", "hosts", elsewhere) | verbs(release, "ddnsd", "secrets", elsewhere)
            == set()
        )
    assert verbs(release, "ddnsd", "zones") == set()
    assert verbs(release, "ddnsd", "namespaces", release.namespace, release.namespace) == {"get"}


def verbs(release: Release, account: str, resource: str, namespace: str = "", name: str = "") -> set[str]:
    return {verb for verb in VERBS if release.may(account, verb, resource, namespace, name)}


@pytest.mark.parametrize(
    ("before", "after", "steps"),
    [
        ({}, CLUSTER, ("statefulset/ddnsd -- ddnsd export", "deployment/ddnsd -- ddnsd import")),
        (CLUSTER, {}, ("deployment/ddnsd -- ddnsd export", "statefulset/ddnsd -- ddnsd import")),
    ],
)
def test_another_mode_is_refused_with_the_steps(
    release: Release, before: Any, after: Any, steps: tuple[str, ...]
) -> None:
    release.install({**before, **LEAVE_DEFINITIONS})
    with pytest.raises(RefusedError) as refused:
        release.upgrade({**after, **LEAVE_DEFINITIONS})
    positions = [str(refused.value).index(step) for step in (*steps, "helm upgrade")]
    assert positions == sorted(positions)


@pytest.mark.parametrize(("before", "after"), [(3, 1), (1, 3)])
def test_another_number_of_etcd_members_is_refused(release: Release, before: int, after: int) -> None:
    release.install({**CLUSTER, **LEAVE_DEFINITIONS, "etcd": {"enabled": True, "members": before}})
    with pytest.raises(RefusedError, match=rf"etcd\.members is {after}, and this release has {before}"):
        release.upgrade({**CLUSTER, **LEAVE_DEFINITIONS, "etcd": {"enabled": True, "members": after}})


VOLUME = {"size": "1Gi", "storageClass": "fast"}
MODES = {
    "embedded": {**LEAVE_DEFINITIONS, "persistence": VOLUME},
    "etcd": {**CLUSTER, **LEAVE_DEFINITIONS},
}


@pytest.fixture(scope="module")
def releases(rig: KubernetesRig) -> dict[str, Release]:
    """A release of each mode, for what changes nothing in it."""
    releases = {mode: Release(rig) for mode in MODES}
    for mode, release in releases.items():
        release.install(MODES[mode])
    return releases


@pytest.mark.parametrize(
    ("mode", "change", "remedy"),
    [
        ("embedded", {"persistence": {**VOLUME, "size": "2Gi"}}, "persistentvolumeclaim state-ddnsd-0"),
        ("embedded", {"persistence": {**VOLUME, "storageClass": "slow"}}, "delete the claim"),
        ("embedded", {"persistence": {**VOLUME, "annotations": {"a": "b"}}}, "--cascade=orphan"),
        ("embedded", {"persistence": {**VOLUME, "accessModes": ["ReadWriteMany"]}}, "access modes"),
        ("embedded", {"persistence": {"enabled": False}}, "`ddnsd export`"),
        ("embedded", {"persistence": {"existingClaim": "mine"}}, "`ddnsd export`"),
        ("embedded", {"nameOverride": "dyn"}, "(fullnameOverride: ddnsd)"),
        ("embedded", {"fullnameOverride": "dyn"}, "(fullnameOverride: ddnsd)"),
        ("etcd", {"etcd": {"enabled": True, "persistence": {"size": "9Gi"}}}, "claim state-ddnsd-etcd-0"),
        ("etcd", {"etcd": {"enabled": True, "persistence": {"storageClass": "s"}}}, "delete the claim"),
        ("etcd", {"etcd": {"enabled": True, "tls": {"existingSecret": "tls"}}}, "cannot change it. Leave it"),
        ("etcd", {"fullnameOverride": "dyn"}, "(fullnameOverride: ddnsd)"),
        ("etcd", {"fullnameOverride": "ddnsd", "nameOverride": "d"}, "leave nameOverride as it was"),
    ],
    ids=lambda each: str(each)[-60:],
)
def test_what_an_upgrade_cannot_change_is_refused_with_the_remedy(
    releases: dict[str, Release], mode: str, change: Any, remedy: str
) -> None:
    with pytest.raises(RefusedError) as refused:
        releases[mode].upgrade({**MODES[mode], **change})
    assert remedy in str(refused.value)
    assert "Forbidden: updates to statefulset" not in str(refused.value)  # as the API server says it


def test_what_is_the_same_in_other_words_is_taken(releases: dict[str, Release]) -> None:
    releases["embedded"].upgrade({**MODES["embedded"], "persistence": {**VOLUME, "size": "1024Mi"}})


def test_a_volume_grows_by_the_steps_that_are_printed(release: Release) -> None:
    release.install(MODES["embedded"])
    larger = {**MODES["embedded"], "persistence": {**VOLUME, "size": "2Gi"}}
    with pytest.raises(RefusedError) as refused:
        release.upgrade(larger)
    (step,) = (line for line in str(refused.value).splitlines() if "kubectl delete" in line)
    release.kubectl(*step.partition("#")[0].split()[1:], "--wait=false")
    orphaned = ("patch", "statefulset", "ddnsd", "-n", release.namespace, "--type=merge")
    release.kubectl(*orphaned, "-p", '{"metadata": {"finalizers": null}}')  # as the garbage collector does
    release.upgrade(larger)


@pytest.mark.parametrize("major", MAJORS)
def test_the_values_of_an_older_chart_are_refused_with_the_option_to_take(
    release: Release, major: str
) -> None:
    release.install(LEAVE_DEFINITIONS, major, former() / "charts" / "ddnsd")
    with pytest.raises(RefusedError, match="--reset-then-reuse-values"):
        release.upgrade({}, major, "--reuse-values")
    release.upgrade({}, major, "--reset-then-reuse-values")


def test_what_was_installed_goes(release: Release) -> None:
    release.install({**CLUSTER, **LEAVE_DEFINITIONS})
    release.uninstall()
    kinds = "deployments,statefulsets,services,configmaps,serviceaccounts,roles,rolebindings,networkpolicies"
    selector = "app.kubernetes.io/instance=ddnsd"
    assert release.kubectl.get(kinds, "-n", release.namespace, "-l", selector)["items"] == []


def test_definitions_stay_when_the_release_goes_and_are_taken_over_when_it_returns(release: Release) -> None:
    release.install({})
    release.kubectl("wait", "--for=condition=Established", *DEFINITIONS)
    account = {"apiVersion": "ddnsd.dev/v1alpha1", "kind": "Account"}
    release.kubectl.apply({**account, "metadata": {"name": "alice", "namespace": release.namespace}})
    release.uninstall()
    definitions = release.kubectl.get(*DEFINITIONS)["items"]
    assert not any("deletionTimestamp" in each["metadata"] for each in definitions)
    accounts = release.kubectl.get("accounts.ddnsd.dev", "-n", release.namespace)["items"]
    assert [each["metadata"]["name"] for each in accounts] == ["alice"]
    release.install({})
    assert len(release.kubectl.get(*DEFINITIONS)["items"]) == 4


def test_what_stands_in_k8s_is_taken(rig: KubernetesRig) -> None:
    kubectl = rig.kubectl()
    kubectl("apply", "--server-side", "--force-conflicts", "-k", str(K8S / "crds"))
    kubectl("wait", "--for=condition=Established", *DEFINITIONS)
    rig.namespace("ddnsd")
    for overlay in K8S.glob("overlays/**/kustomization.yaml"):
        kubectl("apply", "--dry-run=server", "-k", str(overlay.parent))
    kubectl("apply", "--dry-run=server", "-f", str(K8S / "examples"))
