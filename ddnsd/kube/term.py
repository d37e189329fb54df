"""Campaign, control, stop, campaign again: one controller for each source."""

import asyncio
from collections.abc import Collection
from typing import NamedTuple

import structlog

from ddnsd.kube.api import Client, KubeError, Resource
from ddnsd.kube.controller import Controller
from ddnsd.kube.judgement import Judge
from ddnsd.kube.removal import Removal
from ddnsd.kube.scribe import Scribe
from ddnsd.kube.secrets import SecretDesk
from ddnsd.kube.views import Views
from ddnsd.model.records import Candidacy
from ddnsd.service.registry import NotMineError, SourceTakenError, StoreFailedError
from ddnsd.service.registry.sourced import SourcedRegistry
from ddnsd.store import codec, keys
from ddnsd.store.commit import GroupCommit
from ddnsd.store.interface import Leadership, Store, UnavailableError
from ddnsd.store.snapshot import WatchCache
from ddnsd.telemetry.kube import KubeMetrics

_log = structlog.get_logger(__name__)

_RETRY_SECONDS = 1.0
_BIND_SECONDS = 5.0  # until a source that is somebody else's is asked for again
_NAMESPACES = Resource("", "v1", "namespaces", namespaced=False)


class Policy(NamedTuple):
    """What the settings say. `namespaces` are watched, none: all; `rate` is of status writes, per second."""

    source: str
    namespaces: Collection[str]
    rate: float
    nameservers: Collection[str]
    timeout: float  # of a turn of the store, in seconds


class Contender:
    """This process's part among the controllers of a source. Run `run()` as a task of its own."""

    def __init__(
        self,
        client: Client,
        store: Store,
        cache: WatchCache,
        commits: GroupCommit,
        policy: Policy,
        metrics: KubeMetrics,
        me: str,
    ) -> None:
        """`me` is this process's id among the members."""
        self._client = client
        self._store = store
        self._cache = cache
        self._commits = commits
        self._policy = policy
        self._metrics = metrics
        self._me = me

    async def run(self) -> None:
        """Control whenever elected. Never returns."""
        who, election = codec.encode(Candidacy(self._me)), keys.controllers(self._policy.source)
        while True:
            await self._cache.loaded()
            try:
                leadership = await self._store.campaign(who, election)
                await self._hold(leadership)
            except (UnavailableError, StoreFailedError) as error:
                _log.warning("kube.store_unavailable", reason=str(error))
                await asyncio.sleep(_RETRY_SECONDS)

    async def _hold(self, leadership: Leadership) -> None:
        """Control until that is over."""
        _log.info("kube.elected", source=self._policy.source, epoch=leadership.epoch)
        try:
            async with asyncio.TaskGroup() as group:
                control = group.create_task(self._control(leadership), name="kube control")
                await leadership.lost()
                control.cancel()
        except* NotMineError as error:
            _log.warning("kube.deposed", reason=str(error.exceptions[0]))
        finally:
            self._metrics.controls(False)
            await leadership.resign()

    async def _control(self, leadership: Leadership) -> None:
        registry = await self._bind(leadership)
        self._metrics.controls(True)
        policy, cache = self._policy, self._cache
        views = Views(self._client, policy.namespaces, self._metrics)
        desk = SecretDesk(self._client, views)
        removal = Removal(policy.source, policy.namespaces, cache, registry, self._metrics)
        judge = Judge(policy.source, frozenset(policy.namespaces))
        controller = Controller(policy.source, views, cache, registry, judge, removal, desk, self._metrics)
        scribe = Scribe(self._client, controller.statuses, controller.compose, policy.rate, self._metrics)
        async with asyncio.TaskGroup() as group:
            for running in (
                views.run(controller.due),
                desk.run(controller.due),
                scribe.run(),
                controller.run(),
            ):
                group.create_task(running, name="kube")

    async def _bind(self, leadership: Leadership) -> SourcedRegistry:
        """Return the registry once the source's name is bound to this release's namespace."""
        said = ""
        while True:
            try:
                uid = await self._uid()
                registry = self._registry(leadership, uid)
                await registry.bind()
            except (KubeError, SourceTakenError) as error:
                if str(error) != said:
                    said = str(error)
                    log = _log.error if isinstance(error, SourceTakenError) else _log.warning
                    log("kube.not_bound", source=self._policy.source, reason=said)
                await asyncio.sleep(_BIND_SECONDS if isinstance(error, SourceTakenError) else _RETRY_SECONDS)
            else:
                return registry

    async def _uid(self) -> str:
        """Return what tells this cluster, and this release in it, from all others."""
        namespace = await self._client.get(_NAMESPACES, self._client.namespace)
        return namespace.metadata.uid

    def _registry(self, leadership: Leadership, uid: str) -> SourcedRegistry:
        return SourcedRegistry(
            self._cache,
            self._commits,
            source=self._policy.source,
            uid=uid,
            guard=leadership.guard,
            nameservers=self._policy.nameservers,
            timeout=self._policy.timeout,
        )
