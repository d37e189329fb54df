"""Whoever took the controller's pod over cannot become more: its rights as rendered, on a real API server."""

from base64 import b64encode
from collections.abc import Iterator
from typing import Any

import pytest

from tests.chart.helm import Document, example
from tests.chart.release import Release
from tests.rigs.kubernetes import ApiError, KubernetesRig
from tests.waiting import wait_until

RBAC = "/apis/rbac.authorization.k8s.io/v1"
ACCOUNT_TOKEN = "kubernetes.io/service-account-token"
OWNER = {
    "apiVersion": "ddnsd.dev/v1alpha1",
    "kind": "Token",
    "name": "router",
    "uid": "u",
    "controller": True,
}
DATA = {"token": b64encode(b"a-secret-of-a-token").decode()}
MODES = [pytest.param({}, "ddnsd", id="embedded")]
MODES += [pytest.param(example("own-etcd"), "ddnsd-controller", id="cluster")]


class Intruder:
    """Whoever has the token of the controller's pod."""

    def __init__(self, rig: KubernetesRig, namespace: str, account: str) -> None:
        self._rig = rig
        self._token = rig.new_token(namespace, account)
        self.namespace = namespace
        self.account = account

    def tries(self, method: str, path: str, body: Any = None) -> int:
        """Return the status of the answer: 403 is a refusal by RBAC or the policy."""
        try:
            self._rig.call(method, path, body, token=self._token)
        except ApiError as error:
            return error.code
        return 200

    def makes(self, secret: Document, namespace: str | None = None) -> int:
        return self.tries("POST", f"/api/v1/namespaces/{namespace or self.namespace}/secrets", secret)

    def may_do_everything(self) -> bool:
        """Ask as `kubectl auth can-i '*' '*'` does."""
        review = {"spec": {"resourceAttributes": {"verb": "*", "group": "*", "resource": "*"}}}
        path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
        return bool(self._rig.call("POST", path, review, token=self._token)["status"]["allowed"])


@pytest.fixture(scope="module")
def rig() -> Iterator[KubernetesRig]:
    with KubernetesRig() as rig:
        yield rig


@pytest.fixture
def intruder(rig: KubernetesRig, values: Any, account: str) -> Intruder:
    release = Release(rig)
    release.install({**values, "crds": {"enabled": False}})
    intruder = Intruder(rig, release.namespace, account)

    def is_followed() -> bool:
        refused = intruder.makes(account_token("probe"), intruder.namespace) == 403
        if refused and intruder.makes(secret("probe")) != 403:
            return True
        rig.call("DELETE", f"/api/v1/namespaces/{release.namespace}/secrets")
        return False

    wait_until(is_followed, 20, "the API server follows its own policies and roles, which it does by watches")
    return intruder


def account_token(name: str, account: str = "default") -> Document:
    """Return the Secret that Kubernetes fills with the token of an account."""
    annotations = {"kubernetes.io/service-account.name": account}
    return {"metadata": {"name": name, "annotations": annotations}, "type": ACCOUNT_TOKEN}


def secret(token: str, **changes: Any) -> Document:
    """Return the Secret that ddnsd makes for a Token, but for these changes."""
    metadata = {"name": f"ddnsd-token-{token}", "ownerReferences": [{**OWNER, "name": token}]}
    made = {"metadata": metadata, "type": "ddnsd.dev/token", "data": DATA, **changes}
    return {key: each for key, each in made.items() if each is not None}


@pytest.mark.parametrize(("values", "account"), MODES)
def test_it_cannot_become_more(rig: KubernetesRig, intruder: Intruder) -> None:
    here = f"/api/v1/namespaces/{intruder.namespace}"
    assert not intruder.may_do_everything()
    for namespace in ("kube-system", "default", intruder.namespace):
        assert intruder.makes(account_token("mine"), namespace) == 403
        # Under a name and with an owner as ddnsd's own have them, too.
        mimicry = secret("mine", type=ACCOUNT_TOKEN)
        mimicry["metadata"] |= {"annotations": {"kubernetes.io/service-account.name": "default"}}
        assert intruder.makes(mimicry, namespace) == 403
        assert intruder.tries("GET", f"/api/v1/namespaces/{namespace}/secrets") == 403
        assert intruder.tries("POST", f"/api/v1/namespaces/{namespace}/pods", {}) == 403
        account = {"spec": {"expirationSeconds": 600}}
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/default/token"
        assert intruder.tries("POST", path, account) == 403
    admin = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"}
    me = [{"kind": "ServiceAccount", "name": intruder.account, "namespace": intruder.namespace}]
    binding = {"metadata": {"name": "mine"}, "roleRef": admin, "subjects": me}
    assert intruder.tries("POST", f"{RBAC}/clusterrolebindings", binding) == 403
    assert intruder.tries("POST", f"{RBAC}/namespaces/{intruder.namespace}/rolebindings", binding) == 403
    for role in own_roles(rig, intruder.namespace):
        wide = {"rules": [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]}
        assert intruder.tries("PATCH", f"{RBAC}/{role}?fieldManager=x&force=true", wide) == 403
    for policy in ("validatingadmissionpolicies", "validatingadmissionpolicybindings"):
        path = f"/apis/admissionregistration.k8s.io/v1/{policy}/ddnsd.{intruder.namespace}.ddnsd.dev"
        assert intruder.tries("DELETE", path) == 403
    assert intruder.makes(secret("router")) == 200
    assert intruder.tries("DELETE", f"{here}/secrets/ddnsd-token-router") == 403
    assert intruder.tries("PUT", f"{here}/secrets/ddnsd-token-router", secret("router")) == 403


def own_roles(rig: KubernetesRig, namespace: str) -> list[str]:
    """Return the release's roles, each as the end of its path."""
    selector = "?labelSelector=app.kubernetes.io/instance=ddnsd"
    names = [
        f"{kind}/{each['metadata']['name']}"
        for kind in ("clusterroles", f"namespaces/{namespace}/roles")
        for each in rig.call("GET", f"{RBAC}/{kind}{selector}")["items"]
        if namespace in (each["metadata"].get("namespace"), each["metadata"]["name"].partition(":")[0])
    ]
    assert len(names) >= 4
    return names


STRANGE = {
    "of another type": secret("router", type="Opaque"),
    "without a type": secret("router", type=None),
    "without an owner": secret("router", metadata={"name": "ddnsd-token-router"}),
    "with another's name": secret("router", metadata={"name": "ddnsd-token-x", "ownerReferences": [OWNER]}),
    "with another name": secret("router", metadata={"name": "router", "ownerReferences": [OWNER]}),
    "with any name": secret("router", metadata={"generateName": "ddnsd-token-", "ownerReferences": [OWNER]}),
    "of another kind": secret(
        "router",
        metadata={"name": "ddnsd-token-router", "ownerReferences": [{**OWNER, "kind": "Host"}]},
    ),
    "of another group": secret(
        "router",
        metadata={"name": "ddnsd-token-router", "ownerReferences": [{**OWNER, "apiVersion": "v1"}]},
    ),
    "with more than a token": secret("router", data={**DATA, "server": DATA["token"]}),
    "with a text": secret("router", stringData={"config": "x"}),
    "without a token": secret("router", data=None),
}


@pytest.mark.parametrize(("values", "account"), MODES)
def test_it_makes_no_other_secrets_than_those_of_tokens(intruder: Intruder) -> None:
    done = {what: intruder.makes(strange) for what, strange in STRANGE.items()}
    assert set(done.values()) <= {403, 422}, done
    assert intruder.makes(secret("router")) == 200
