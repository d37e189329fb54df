"""A Kubernetes cluster and an installation of ddnsd, whose controller runs in the test's own process."""

import asyncio
import re
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry

from ddnsd.kube.api import ApiClient, ApiSettings
from ddnsd.kube.candidate import ControllerCandidate, ControllerPolicy
from ddnsd.kube.crd import definition
from ddnsd.kube.status_writer import EventRecorder
from ddnsd.model.records import Source
from ddnsd.model.request import HostResult, Limited, Refusal, Request, UpdateResult
from ddnsd.model.resources import API_VERSION, Kind, Origin, qualified
from ddnsd.store.embedded import open_embedded
from ddnsd.store.interface import Store
from ddnsd.telemetry.metrics import KubeMetrics
from tests import waiting
from tests.leader.node import Node, embedded_nameservers, node_on
from tests.rigs.kubernetes import KubernetesRig, ProjectedFolder, ServiceAccount
from tests.tasks import running

Told = Refusal | Limited | HostResult  # of one record
PATIENCE = waiting.PATIENCE
COMMON_RULES = (  # as the chart grants them
    {
        "apiGroups": ["ddnsd.dev"],
        "resources": [kind.plural for kind in Kind],
        "verbs": ["list", "watch"],
    },
    {"apiGroups": ["ddnsd.dev"], "resources": [f"{kind.plural}/status" for kind in Kind], "verbs": ["patch"]},
    {"apiGroups": [""], "resources": ["namespaces"], "verbs": ["get"]},
    {"apiGroups": ["events.k8s.io"], "resources": ["events"], "verbs": ["create"]},
)
SECRET_RULE = {"apiGroups": [""], "resources": ["secrets"], "verbs": ["get", "create"]}
RULES = (*COMMON_RULES, SECRET_RULE)


@dataclass
class World:
    """A namespace of the cluster, a zone name of its own, and the node that follows both."""

    rig: KubernetesRig
    store: Store
    node: Node
    folder: Path
    namespace: str
    server: str = ""  # the URL by which the controller reaches the API server, if not its own
    source: str = field(default_factory=lambda: f"s{secrets.token_hex(3)}")
    zone: str = field(default_factory=lambda: f"{secrets.token_hex(4)}.example")

    def __post_init__(self) -> None:
        self.kubectl = self.rig.kubectl()
        self.namespaces = [self.namespace]
        self.release = self.rig.namespace()
        self.mine = secrets.token_urlsafe()  # a secret of the test's own

    def clear(self) -> None:
        """Delete the test's objects: the controllers of other tests see them too."""
        for kind in (Kind.HOST, Kind.TOKEN, Kind.ACCOUNT):
            for namespace in self.namespaces:
                self.rig.call("DELETE", f"/apis/{API_VERSION}/namespaces/{namespace}/{kind.plural}")
        self.rig.call("DELETE", f"/apis/{API_VERSION}/{Kind.ZONE.plural}")

    def other_namespace(self) -> str:
        """Make another namespace."""
        self.namespaces.append(self.rig.namespace())
        return self.namespaces[-1]

    def host(self, label: str = "a") -> str:
        """Return the name of a host in the zone."""
        return f"{label}.{self.zone}"

    def account(self, name: str = "alice") -> str:
        """Return what an account of the namespace is called in the store."""
        return qualified(Origin(self.source, self.namespace), name)

    def apply(self, *documents: dict[str, Any]) -> None:
        """Apply documents with kubectl."""
        self.kubectl.apply(*documents)

    def delete(self, kind: str, name: str, namespace: str | None = None) -> None:
        self.kubectl("delete", kind, name, "-n", namespace or self.namespace, "--wait=false")

    def document(self, kind: str, name: str, namespace: str | None = None, **spec: Any) -> dict[str, Any]:
        """Return a custom resource of the test's namespace."""
        metadata = {"name": name} | ({} if kind == "Zone" else {"namespace": namespace or self.namespace})
        return {"apiVersion": API_VERSION, "kind": kind, "metadata": metadata, "spec": spec}

    def the_zone(self, **spec: Any) -> dict[str, Any]:
        return self.document("Zone", self.zone, **({"namespaces": [self.namespace]} | spec))

    def set_up(self) -> None:
        """Apply a zone, an account, a host and a token."""
        self.apply(
            self.the_zone(),
            self.document("Account", "alice"),
            self.document("Host", self.host(), account="alice"),
            self.document("Token", "router", account="alice"),
        )

    def get(self, kind: str, name: str, namespace: str | None = None) -> dict[str, Any]:
        found: dict[str, Any] = self.kubectl.get(kind, name, "-n", namespace or self.namespace)
        return found

    def condition(self, kind: str, name: str, type: str = "Accepted", namespace: str | None = None) -> Any:
        """Return a condition, as "True", or the reason if it is not so."""
        found = self.get(kind, name, namespace)
        conditions = found.get("status", {}).get("conditions", ())
        for condition in conditions:
            if (
                condition["type"] == type
                and condition["observedGeneration"] == found["metadata"]["generation"]
            ):
                return "True" if condition["status"] == "True" else condition["reason"]
        return None

    def message(self, kind: str, name: str, type: str = "Accepted", namespace: str | None = None) -> str:
        """Return what a condition tells people."""
        conditions = self.get(kind, name, namespace)["status"]["conditions"]
        (found,) = (one for one in conditions if one["type"] == type)
        return str(found["message"])

    async def until_condition(
        self, kind: str, name: str, reason: str = "True", type: str = "Accepted", namespace: str | None = None
    ) -> None:
        await until(lambda: self.condition(kind, name, type, namespace), reason, f"{type} of {kind} {name}")

    def events(self) -> str:
        """Return the Events of the release's namespace, as kubectl shows them."""
        return self.kubectl("get", "events", "-n", self.release)

    def record(self) -> Source:
        """Return what the store knows of the source."""
        return self.node.state.sources[self.source].value

    def held(self) -> int:
        """Return how many deletions are held back."""
        held = self.record().held
        return held.count if held else 0

    def reads(self, resource: str) -> int:
        """Return how many times objects of a resource have been read by name, as the API server counts."""
        line = rf'^apiserver_request_total\{{.*resource="{resource}".*verb="GET".*\}} (\d+)$'
        metrics = self.kubectl("get", "--raw", "/metrics")
        return sum(map(int, re.findall(line, metrics, re.MULTILINE)))

    def secret(self, token: str = "router") -> str:
        """Return the secret that ddnsd made for a token, as a user reads it."""
        name = self.get("token", token)["status"]["secretName"]
        path = "go-template={{.data.token | base64decode}}"
        return self.kubectl("get", "secret", name, "-n", self.namespace, "-o", path)

    async def update(self, ip: str, label: str = "a", token: str = "router") -> Told:
        """Send an update with a token's secret."""
        return await self.update_with(await asyncio.to_thread(self.secret, token), ip, label)

    async def update_with(self, secret: str, ip: str, label: str = "a") -> Told:
        """Send an update with a secret."""
        answered: asyncio.Future[UpdateResult] = asyncio.get_running_loop().create_future()
        self.node.updates.submit(
            (Request(self.host(label), ip, secret, ""),), lambda answer, _: answered.set_result(answer)
        )
        answer = await answered
        return answer if isinstance(answer, Refusal | Limited) else answer[0]

    @property
    def policy(self) -> ControllerPolicy:
        return ControllerPolicy(self.source, (), 500.0, ("default",), 5.0)

    @asynccontextmanager
    async def controller(
        self, account: ServiceAccount | None = None, **changes: Any
    ) -> AsyncIterator[ControllerCandidate]:
        """Run a controller as long as the block takes; by default with rights that are enough.

        `changes` are those of its policy.
        """
        if account is None:
            account = self.rig.service_account(self.release, f"c{secrets.token_hex(3)}")
            self.rig.allow(account, *RULES)
        folder = ProjectedFolder(self.folder / account.name)
        self.rig.mount(folder, account.token, self.release)
        settings = ApiSettings(self.server or self.rig.url, folder.path, timeout=3.0, watch_timeout=5)
        async with ApiClient(settings) as client, self._controlling(client, changes) as contender:
            yield contender

    @asynccontextmanager
    async def _controlling(
        self, client: ApiClient, changes: dict[str, Any]
    ) -> AsyncIterator[ControllerCandidate]:
        events = EventRecorder(client)
        contender = ControllerCandidate(
            client,
            self.store,
            self.node.cache,
            self.node.commits,
            self.policy._replace(**changes),
            KubeMetrics(CollectorRegistry(), []),
            "me",
            events.warn,
        )
        async with running(contender.run()), running(events.run()):
            yield contender


@asynccontextmanager
async def world_on(rig: KubernetesRig, folder: Path, namespace: str) -> AsyncIterator[World]:
    """Make an installation with a store of its own in the folder."""
    store = await open_embedded(folder / "store")
    try:
        async with embedded_nameservers(folder) as servers, node_on(store, servers) as node:
            node.lead()
            yield World(rig, store, node, folder, namespace)
    finally:
        await store.close()


def define(rig: KubernetesRig) -> None:
    """Install the custom resources' definitions."""
    kubectl = rig.kubectl()
    kubectl.apply(*(definition(kind) for kind in Kind))
    kubectl("wait", "--for=condition=Established", "crd", *(f"{kind.plural}.ddnsd.dev" for kind in Kind))


async def until(look: Callable[[], Any], wanted: Any, what: str) -> None:
    """Look, in a thread, until one sees what is wanted."""
    seen: Any = None

    async def sees() -> bool:
        nonlocal seen
        seen = await asyncio.to_thread(look)
        return bool(seen == wanted)

    await waiting.until(sees, PATIENCE, lambda: f"{what}: {seen!r}, never {wanted!r}")
