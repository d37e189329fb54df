"""A process's part among the controllers of a source, of which one controls."""

import asyncio
from collections.abc import Callable, Collection, Mapping
from typing import NamedTuple

import structlog

from ddnsd.kube.api import ApiClient, ApiResource, KubeError
from ddnsd.kube.controller import Controller
from ddnsd.kube.gc import GarbageCollector
from ddnsd.kube.ownership import Ownership
from ddnsd.kube.status_writer import StatusWriter
from ddnsd.kube.validation import SecretReader, Validator
from ddnsd.kube.views import Views
from ddnsd.service.registry import NotMineError, SourceTakenError, StoreFailedError
from ddnsd.service.registry.sourced import SourcedRegistry
from ddnsd.store import keys
from ddnsd.store.elector import Elector
from ddnsd.store.group_commit import GroupCommit
from ddnsd.store.interface import Leadership, Store, UnavailableError
from ddnsd.store.watch_cache import WatchCache
from ddnsd.telemetry.metrics import KubeMetrics

_log = structlog.get_logger(__name__)

_RETRY_SECONDS = 1.0
_TAKEN_SECONDS = 5.0  # until a source that is somebody else's is asked for again
_NAMESPACES = ApiResource("", "v1", "namespaces", namespaced=False)


class ControllerPolicy(NamedTuple):
    """What the settings say. `namespaces` are watched, none: all; `rate` is of status writes, per second.

    `role` is the ClusterRole to bind where the controller may not use Secrets, "" if there is none.
    """

    source: str
    namespaces: Collection[str]
    rate: float
    nameservers: Collection[str]
    timeout: float  # of a turn of the store, in seconds
    role: str = ""


class ControllerCandidate:
    """This process's part among the controllers of a source. Run `run()` as a task of its own."""

    def __init__(
        self,
        client: ApiClient,
        store: Store,
        cache: WatchCache,
        commits: GroupCommit,
        policy: ControllerPolicy,
        metrics: KubeMetrics,
        me: str,
        warn: Callable[[str, str], None],
    ) -> None:
        """`me` is this process's id among the members; `warn` makes an Event of a reason and a note."""
        self._client = client
        self._store = store
        self._cache = cache
        self._commits = commits
        self._policy = policy
        self._metrics = metrics
        self._me = me
        self._warn = warn
        self._uid = ""  # what tells this cluster, and this release in it, from all others
        self._said = ""  # why this process does not control, as it was logged last
        self._registry: SourcedRegistry | None = None  # while it controls
        self._changed: Callable[[], None] = _nothing  # ... what makes another pass due

    def reconfigure(self, policy: ControllerPolicy) -> None:
        """Control with this policy from now on: its nameservers and timeout; the rest needs a restart."""
        self._policy = policy
        if self._registry is not None:
            self._registry.reconfigure(nameservers=policy.nameservers, timeout=policy.timeout)
        self._changed()

    async def run(self) -> None:
        """Control whenever elected. Never returns."""
        elector = Elector(self._store, keys.controllers(self._policy.source), self._me, self._lead)
        await elector.run(
            fit=self._fit,
            unfit=self._cache.stands_still,
            retry_on=(SourceTakenError, KubeError, UnavailableError, StoreFailedError, NotMineError),
            failed=self._note_failure,
        )

    async def _fit(self) -> None:
        """Wait until the state can be acted on, and see whether this process could control.

        If it could not, as it does not know who it is or the source is another's, it neither stands in the
        way of others nor silently behind them.
        """
        await self._cache.follows()
        namespace = await self._client.get(_NAMESPACES, self._client.namespace)
        self._uid = namespace.metadata.uid
        await self._sourced({}).ask()

    def _note_failure(self, error: Exception) -> float:
        """Log why this process does not control, once as long as it is the same.

        Return in how many seconds to try again.
        """
        taken, reason = isinstance(error, SourceTakenError), str(error)
        if reason != self._said:
            self._said = reason
            log = _log.error if taken else _log.warning
            log("kube.not_in_control", source=self._policy.source, reason=reason)
            if taken:
                self._warn("SourceTaken", reason)
        return _TAKEN_SECONDS if taken else _RETRY_SECONDS

    async def _lead(self, leadership: Leadership) -> None:
        try:
            await self._control(leadership)
        finally:
            self._metrics.controls(False)
            self._registry, self._changed = None, _nothing

    async def _control(self, leadership: Leadership) -> None:
        registry = self._registry = self._sourced(leadership.guard)
        await registry.bind()
        _log.info("kube.elected", source=self._policy.source, epoch=leadership.epoch)
        self._said = ""
        self._metrics.controls(True)
        policy, cache = self._policy, self._cache
        views = Views(self._client, policy.namespaces, self._metrics)
        secrets = SecretReader(self._client, views, policy.role)
        gc = GarbageCollector(policy.source, policy.namespaces, cache, registry, self._metrics)
        validator = Validator(policy.source, frozenset(policy.namespaces))
        controller = Controller(policy.source, views, cache, registry, validator, gc, secrets, self._metrics)
        writer = StatusWriter(
            self._client, controller.statuses, controller.compose, policy.rate, self._metrics
        )
        ownership = Ownership(policy.source, views, cache, registry, self._warn)
        self._changed = controller.due

        def changed() -> None:
            ownership.due()
            controller.due()

        async with asyncio.TaskGroup() as group:
            group.create_task(views.run(changed), name="kube views")
            await ownership.objects_are_ours()
            for running in (
                ownership.tell_claims(),
                secrets.run(controller.due),
                writer.run(),
                controller.run(),
            ):
                group.create_task(running, name="kube")

    def _sourced(self, guard: Mapping[str, int]) -> SourcedRegistry:
        return SourcedRegistry(
            self._cache,
            self._commits,
            source=self._policy.source,
            uid=self._uid,
            guard=guard,
            nameservers=self._policy.nameservers,
            timeout=self._policy.timeout,
        )


def _nothing() -> None:
    """Nobody controls here: a new policy is for the next time."""
