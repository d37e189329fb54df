"""Campaign, control, stop, campaign again: one controller for each source."""

import asyncio
from collections.abc import Callable, Collection, Mapping
from typing import NamedTuple

import structlog

from ddnsd.aio import cancel, first_of
from ddnsd.kube.api import ApiClient, ApiResource, KubeError
from ddnsd.kube.controller import Controller
from ddnsd.kube.gc import GarbageCollector
from ddnsd.kube.ownership import Ownership
from ddnsd.kube.status_writer import StatusWriter
from ddnsd.kube.validation import SecretReader, Validator
from ddnsd.kube.views import Views
from ddnsd.model.records import Candidacy
from ddnsd.service.registry import NotMineError, SourceTakenError, StoreFailedError
from ddnsd.service.registry.sourced import SourcedRegistry
from ddnsd.store import codec, keys
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
        self._said = ""
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
        while True:
            await self._cache.follows()
            pause = _RETRY_SECONDS
            try:
                await self._stand()
            except* SourceTakenError as errors:
                if self._note(_log.error, errors):
                    self._warn("SourceTaken", _reason(errors))
                pause = _TAKEN_SECONDS
            except* (KubeError, UnavailableError, StoreFailedError, NotMineError) as errors:
                self._note(_log.warning, errors)
            await asyncio.sleep(pause)

    async def _stand(self) -> None:
        """Stand in the election, and control until that is over.

        Whoever cannot control, as it does not know who it is or the source is another's, does not stand in
        the way of whoever can, nor silently behind it.
        """
        who, election = codec.encode(Candidacy(self._me)), keys.controllers(self._policy.source)
        uid = await self._uid()
        await self._sourced({}, uid).ask()
        part = asyncio.create_task(self._take_part(who, election, uid), name="kube candidate")
        try:
            await first_of(asyncio.wait([part]), self._cache.stands_still())
            if part.done():
                part.result()
        finally:
            await cancel(part)

    async def _take_part(self, who: bytes, election: str, uid: str) -> None:
        """Campaign, then control: in one task, as a cancellation between would leave a key that leads."""
        leadership = await self._store.campaign(who, election)
        try:
            async with asyncio.TaskGroup() as group:
                control = group.create_task(self._control(leadership, uid), name="kube control")
                await leadership.lost()
                control.cancel()
        finally:
            self._metrics.controls(False)
            self._registry, self._changed = None, _nothing
            await leadership.resign()

    def _note(self, log: Callable[..., None], errors: BaseExceptionGroup[Exception]) -> bool:
        """Log why this process does not control, once as long as it is the same; say whether it is new."""
        reason = _reason(errors)
        is_new = reason != self._said
        if is_new:
            log("kube.not_in_control", source=self._policy.source, reason=reason)
        self._said = reason
        return is_new

    async def _control(self, leadership: Leadership, uid: str) -> None:
        registry = self._registry = self._sourced(leadership.guard, uid)
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

    async def _uid(self) -> str:
        """Return what tells this cluster, and this release in it, from all others."""
        namespace = await self._client.get(_NAMESPACES, self._client.namespace)
        return namespace.metadata.uid

    def _sourced(self, guard: Mapping[str, int], uid: str) -> SourcedRegistry:
        return SourcedRegistry(
            self._cache,
            self._commits,
            source=self._policy.source,
            uid=uid,
            guard=guard,
            nameservers=self._policy.nameservers,
            timeout=self._policy.timeout,
        )


def _nothing() -> None:
    """Nobody controls here: a new policy is for the next time."""


def _reason(errors: BaseExceptionGroup[Exception]) -> str:
    """Return what the first failure says, in whatever groups it is."""
    first = errors.exceptions[0]
    return _reason(first) if isinstance(first, BaseExceptionGroup) else str(first)
