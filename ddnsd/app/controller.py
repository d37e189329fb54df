"""The controller of custom resources: beside a node, or as a process of its own."""

import os
import secrets
from collections.abc import Callable
from contextlib import AsyncExitStack

import msgspec
import structlog

from ddnsd import __version__
from ddnsd.app.core import Core
from ddnsd.app.listeners import note_addresses
from ddnsd.app.membership import Membership, member_of
from ddnsd.app.reloader import Reloader
from ddnsd.app.startup import Startup
from ddnsd.config import Settings
from ddnsd.kube.api import ApiClient, ApiSettings, in_cluster_server
from ddnsd.kube.candidate import ControllerCandidate, ControllerPolicy
from ddnsd.kube.status_writer import EventRecorder
from ddnsd.model.resources import Kind
from ddnsd.telemetry.metrics import KubeMetrics
from ddnsd.web.health import Readiness

_log = structlog.get_logger(__name__)


class ControllerProcess:
    """A process that only controls. Make it with `start`."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._draining = False

    @classmethod
    async def start(cls, startup: Startup, stack: AsyncExitStack) -> "ControllerProcess":
        """Return a process that controls, once it is elected; leaving the stack ends it.

        Raises:
            StoreError, OSError, ValueError: it cannot start; the message says what to do.
        """
        _demand_shared_store(startup.reloader.configuration.settings)
        check_control(startup.reloader.configuration.settings)
        core = await Core.start(startup, stack)
        settings = startup.reloader.configuration.settings
        process = cls(core)
        id = secrets.token_hex(4)
        await start_control(core, id, stack)
        startup.serves(process._readiness)
        addresses = startup.listeners.addresses
        member = msgspec.structs.replace(member_of(settings, core.last_end.read(), addresses), eligible=False)
        core.start_task("member", Membership(core.store, core.cache, id, member).run(), stack)
        note_addresses(settings, addresses)
        _log.info("ready", version=__version__, role="controller", **addresses)
        return process

    async def drain(self, *, others_go_on: bool) -> None:  # noqa: ARG002 - a node's question
        """Report that it ends; no client waits for an answer."""
        self._draining = True

    def _readiness(self) -> Readiness:
        return self._core.readiness(drains=self._draining)


def check_control(settings: Settings) -> None:
    """Refuse what cannot control, before anything is waited for.

    Raises:
        ValueError: it is not known where the API server is; the message says what to do.
    """
    _api(settings)


async def start_control(core: Core, me: str, stack: AsyncExitStack) -> None:
    """Stand in the election of controllers; `me` is this process's id among the members.

    Raises:
        ValueError: it is not known where the API server is; the message says what to do.
    """
    settings = core.reloader.configuration.settings
    client = await stack.enter_async_context(ApiClient(_api(settings)))
    events = EventRecorder(client)
    core.start_task("events", events.run(), stack)
    core.reloader.follow(_refusals(core.reloader, events))
    candidate = ControllerCandidate(
        client,
        core.store,
        core.cache,
        core.commits,
        _policy(settings),
        KubeMetrics(core.registry, [kind.plural for kind in Kind]),
        me,
        events.warn,
    )
    core.reloader.follow(lambda: candidate.reconfigure(_policy(core.reloader.configuration.settings)))
    core.start_task("controller", candidate.run(), stack)  # resigned while there still is a store


def _refusals(reloader: Reloader, events: EventRecorder) -> Callable[[], None]:
    """Return what announces that a changed configuration was refused, once for each reason."""
    announced = ""

    def look() -> None:
        nonlocal announced
        refused = reloader.configured.refused
        if refused and refused != announced:
            events.warn("ConfigRefused", f"{refused}; until then the configuration before stays in force")
        announced = refused

    return look


def _policy(settings: Settings) -> ControllerPolicy:
    kube = settings.kube
    return ControllerPolicy(
        kube.source,
        kube.watch_namespaces,
        kube.status_rate,
        settings.nameservers,
        settings.store.timeout,
        kube.secrets_role,
    )


def _api(settings: Settings) -> ApiSettings:
    try:
        server = settings.kube.server or in_cluster_server(os.environ)
    except ValueError as error:
        raise ValueError(f"kube.server: {error}") from error
    return ApiSettings(server, settings.kube.credentials)


def _demand_shared_store(settings: Settings) -> None:
    if settings.store.kind == "embedded":
        remedy = "`ddnsd serve --role all` runs node and controller in one process"
        raise ValueError(f"store.kind: the embedded store is for one process: {remedy}, or use etcd")
