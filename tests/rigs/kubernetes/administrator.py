"""The API as an administrator uses it: objects by HTTP, ServiceAccounts with tokens and rights."""

import http.client
import json
import secrets
import ssl
from pathlib import Path
from typing import Any, NamedTuple

from tests.waiting import wait_until

_TIMEOUT = 10.0  # seconds for one call


class ServiceAccount(NamedTuple):
    """A ServiceAccount, and a token of it from the TokenRequest API."""

    namespace: str
    name: str
    token: str

    @property
    def subject(self) -> dict[str, str]:
        """The account as a RoleBinding names it."""
        return {"kind": "ServiceAccount", "namespace": self.namespace, "name": self.name}


class ApiError(Exception):
    """An answer that is no success; `code` is HTTP's."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(f"{code}: {text}")
        self.code = code


class Administrator:
    """Calls one API server with a token that may do everything."""

    def __init__(self, address: str, authority: Path, token: str) -> None:
        """`address` is as `host:port`, `authority` the file of the certificate that signed the server's."""
        self.address = address
        self.token = token
        self._context = ssl.create_default_context(cafile=str(authority))

    def call(self, method: str, path: str, body: Any = None, *, token: str | None = None) -> Any:
        """Call the API, as admin or with a token; again while it says that it is too busy.

        Raises:
            ApiError: the answer is no success.
        """
        answers: list[Any] = []

        def is_answered() -> bool:
            try:
                answers.append(self._call(method, path, body, token or self.token))
            except ApiError as error:
                if error.code != 429:  # after a start, and for a new CRD: "storage is (re)initializing"
                    raise
            return bool(answers)

        wait_until(is_answered, _TIMEOUT, f"the API server has time for {method} {path}")
        return answers[0]

    def namespace(self, name: str | None = None) -> str:
        """Make a namespace and return its name; a random one for a test of its own."""
        name = name or f"test-{secrets.token_hex(4)}"
        self.call("POST", "/api/v1/namespaces", {"metadata": {"name": name}})
        return name

    def service_account(self, namespace: str, name: str = "ddnsd") -> ServiceAccount:
        """Make a ServiceAccount, without any right, and a token."""
        self.call("POST", f"/api/v1/namespaces/{namespace}/serviceaccounts", {"metadata": {"name": name}})
        return ServiceAccount(namespace, name, self.new_token(namespace, name))

    def new_token(self, namespace: str, name: str) -> str:
        """Return another token of a ServiceAccount, good for 10 minutes (the shortest there is)."""
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token"
        token: str = self.call("POST", path, {"spec": {"expirationSeconds": 600}})["status"]["token"]
        return token

    def allow(self, account: ServiceAccount, *rules: dict[str, list[str]], namespace: str = "") -> None:
        """Let a ServiceAccount do what RBAC's rules say, in one namespace or (default) everywhere.

        It may when this returns: the API server learns of its own rules by watching them.
        """
        kind = "Role" if namespace else "ClusterRole"
        name = f"{account.name}-{secrets.token_hex(4)}"
        group = "rbac.authorization.k8s.io"
        path = f"/apis/{group}/v1{f'/namespaces/{namespace}' if namespace else ''}/{kind.lower()}"
        self.call("POST", f"{path}s", {"metadata": {"name": name}, "rules": [*rules]})
        reference = {"apiGroup": group, "kind": kind, "name": name}
        binding = {"metadata": {"name": name}, "subjects": [account.subject], "roleRef": reference}
        self.call("POST", f"{path}bindings", binding)
        wait_until(lambda: all(self._may(account, rule, namespace) for rule in rules))

    def _may(self, account: ServiceAccount, rule: dict[str, list[str]], namespace: str) -> bool:
        """Say whether a rule that was granted is in force."""
        resource, _, subresource = rule["resources"][0].partition("/")
        attributes = {
            "namespace": namespace,
            "verb": rule["verbs"][0],
            "group": rule["apiGroups"][0],
            "resource": resource,
            "subresource": subresource,
        }
        user = f"system:serviceaccount:{account.namespace}:{account.name}"
        review = {"spec": {"user": user, "resourceAttributes": attributes}}
        answer = self.call("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", review)
        allowed: bool = answer["status"]["allowed"]
        return allowed

    def connect(self) -> http.client.HTTPSConnection:
        """Return a connection for what takes long, such as a watch."""
        return http.client.HTTPSConnection(self.address, context=self._context)

    def ready(self) -> bool:
        """Say whether the API server answers that it is ready."""
        connection = http.client.HTTPSConnection(self.address, context=self._context, timeout=1)
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()

    def _call(self, method: str, path: str, body: Any, token: str) -> Any:
        connection = http.client.HTTPSConnection(self.address, context=self._context, timeout=_TIMEOUT)
        headers = {
            "Authorization": f"Bearer {token}",
            "Content-Type": "application/apply-patch+yaml" if method == "PATCH" else "application/json",
        }
        try:
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            text = answer.read()
        finally:
            connection.close()
        if answer.status >= 300:
            raise ApiError(answer.status, text.decode(errors="replace"))
        return json.loads(text)
