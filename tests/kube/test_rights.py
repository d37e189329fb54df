"""The rights that the chart grants are those that the controller uses: no more, no less."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.chart.helm import NAMESPACE, Document, example, render
from tests.kube.world import World, define, until
from tests.rigs.kubernetes import KubernetesRig, ProjectedFolder
from tests.system.installation import Installation

POLICY = {"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "rules": [{"level": "Metadata"}]}
RBAC = ("Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding")
LIMITS = ("ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding")
ACCOUNT = "ddnsd-controller"


class Right(NamedTuple):
    """One thing that may be done, in a namespace or ("") everywhere."""

    group: str
    resource: str
    verb: str
    namespace: str


@pytest.fixture(scope="module")
def audited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[KubernetesRig, Path]]:
    """A cluster that writes down who does what."""
    folder = tmp_path_factory.mktemp("audit")
    (folder / "policy").write_text(json.dumps(POLICY))
    options = (f"--audit-policy-file={folder / 'policy'}", f"--audit-log-path={folder / 'log'}")
    with KubernetesRig(options=options) as rig:
        define(rig)
        rig.namespace(NAMESPACE)
        rig.service_account(NAMESPACE, ACCOUNT)
        yield rig, folder / "log"


@pytest.mark.parametrize("everywhere", [True, False], ids=["all namespaces", "one namespace"])
@pytest.mark.logs_errors
async def test_all_rights_are_used(
    audited: tuple[KubernetesRig, Path], world: World, tmp_path: Path, everywhere: bool
) -> None:
    rig, log = audited
    tenant = World(rig, world.store, world.node, tmp_path, rig.namespace())
    watched = [] if everywhere else [tenant.namespace]
    values = dict(example("cluster"))
    values["config"] = values["config"] | {"kube": {"source": "home", "watch_namespaces": watched}}
    values["controller"] = {"secrets": {"namespaces": [tenant.namespace]}}
    documents = [each for each in render(values) if each["kind"] in RBAC + LIMITS]
    tenant.kubectl.apply(*documents)
    token = rig.new_token(NAMESPACE, ACCOUNT)
    tenant.set_up()
    log.write_text("")
    await use(tenant, token, watched)
    assert used(log, everywhere=everywhere) == {right for each in bound(documents) for right in granted(each)}
    tenant.kubectl(
        "delete", "-f", "-", text=json.dumps({"kind": "List", "apiVersion": "v1", "items": documents})
    )


async def use(tenant: World, token: str, watched: list[str]) -> None:
    """Run a process that does all that a controller does."""
    credentials = ProjectedFolder(tenant.folder / "serviceaccount")
    tenant.rig.mount(credentials, token, NAMESPACE)
    kube = {"server": tenant.rig.url, "credentials": str(credentials.path), "watch_namespaces": watched}
    ddnsd = Installation(tenant.folder, role="all", kube=kube)
    async with ddnsd:
        if watched:
            await ddnsd.apply(tenant.the_zone() | {"spec": {}})
        await tenant.until_condition("token", "router")
        assert (await ddnsd.update(tenant.host(), "192.0.2.1", tenant.secret())).status == 200
        await tenant.until_condition("host", tenant.host(), type="Published")
        before = refusals(tenant)
        ddnsd.config["log"] = {"level": "loud"}
        ddnsd.write_config()
        await until(lambda: refusals(tenant), before + 1, "Event")


def refusals(tenant: World) -> int:
    """Return how many configurations were refused, as Events say."""
    return tenant.kubectl("get", "events", "-n", NAMESPACE).count("ConfigRefused")


def used(log: Path, *, everywhere: bool) -> set[Right]:
    """Return what the controller did; nothing of it was forbidden."""
    rights = set()
    user = f"system:serviceaccount:{NAMESPACE}:{ACCOUNT}"
    for line in log.read_text().splitlines():
        event = json.loads(line)
        place = event.get("objectRef", {})
        if event["user"]["username"] != user or "resource" not in place:
            continue
        assert event.get("responseStatus", {}).get("code") != 403, event
        resource = "/".join(filter(None, (place["resource"], place.get("subresource"))))
        namespace = place.get("namespace", "")
        shared = everywhere and resource not in ("events", "namespaces", "secrets")
        rights.add(Right(place.get("apiGroup", ""), resource, event["verb"], "" if shared else namespace))
    return rights


def bound(documents: list[Document]) -> list[Document]:
    """Return the roles that somebody has; others are for the cluster's admins to grant."""
    names = {each["roleRef"]["name"] for each in documents if "roleRef" in each}
    return [each for each in documents if "rules" in each and each["metadata"]["name"] in names]


def granted(document: Document) -> Iterator[Right]:
    """Yield what a Role or ClusterRole grants."""
    for rule in document.get("rules", ()):
        for group in rule["apiGroups"]:
            for resource in rule["resources"]:
                for verb in rule["verbs"]:
                    yield Right(group, resource, verb, document["metadata"].get("namespace", ""))
