"""One node: its nameservers and other parts, put together, started, reconfigured and drained."""

import asyncio
import secrets
import socket
from collections.abc import Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from functools import partial

import msgspec
import structlog

from ddnsd import __version__
from ddnsd.app.core import Core
from ddnsd.app.listeners import (
    NodeDrain,
    connection_limits,
    fair_use_limits,
    leader_policy,
    note_addresses,
    update_policy,
)
from ddnsd.app.membership import Membership, member_of
from ddnsd.app.startup import Startup
from ddnsd.app.status import StatusReport
from ddnsd.config import ASKED, NONE, ListenAddress, Settings
from ddnsd.config import EmbeddedNameserverSettings as EmbeddedSection
from ddnsd.config import Rfc2136NameserverSettings as Rfc2136Section
from ddnsd.leader.candidate import Candidate, Preference
from ddnsd.model.state import State
from ddnsd.nameserver.embedded import Authority, EmbeddedNameserver, EmbeddedSettings
from ddnsd.nameserver.interface import Nameserver
from ddnsd.nameserver.rfc2136 import Rfc2136Nameserver, Rfc2136Settings
from ddnsd.service.audit import AuditLog
from ddnsd.service.limits import ClientLimits, FairUse, RefusedAttempt, RefusedAttempts
from ddnsd.service.registry import Registry
from ddnsd.service.update import UpdateService
from ddnsd.web.admin import AdminServices, AdminTokens, make_admin_application
from ddnsd.web.client_address import SourceFinder
from ddnsd.web.connections import Connections
from ddnsd.web.forms import MAX_TEXT
from ddnsd.web.health import HealthEndpoint, Readiness
from ddnsd.web.http import InFlight, PublicListener, source_fails_too_often
from ddnsd.web.proxy_protocol import PATIENCE, ProxyProtocol
from ddnsd.web.routes import public_routes


class Nameservers:
    """A node's nameservers. Those of kind rfc2136 come, change and go with config.yaml; make it with `open`.

    `by_name` is replaced, never changed.
    """

    def __init__(self, embedded: Mapping[str, EmbeddedNameserver]) -> None:
        self.by_name: Mapping[str, Nameserver] = embedded
        self._embedded = embedded
        self._remote: dict[str, Rfc2136Nameserver] = {}
        self._opened: list[Nameserver] = [*embedded.values()]

    @classmethod
    async def open(cls, settings: Settings, state: State) -> "Nameservers":
        """Return those of the settings.

        An embedded one listens from now on and answers SERVFAIL for its zones until they are published.

        Raises:
            OSError, ValueError: an embedded one cannot listen, or its file of serials is damaged.
        """
        async with AsyncExitStack() as stack:
            embedded = {}
            for name, section in settings.nameservers.items():
                if isinstance(section, EmbeddedSection):
                    embedded[name] = await _start_embedded(name, section, settings, state)
                    stack.push_async_callback(embedded[name].close)
            stack.pop_all()
        nameservers = cls(embedded)
        nameservers.reconfigure(settings)
        return nameservers

    @property
    def listening(self) -> Mapping[str, str]:
        """Where each embedded one answers, as `host:port`."""
        return {name: str(ListenAddress(*each.addresses[0][:2])) for name, each in self._embedded.items()}

    def reconfigure(self, settings: Settings) -> None:
        """Have those of kind rfc2136 that the settings name; one at another address is another one.

        Connections of one that went are closed when they have not been used for some seconds.
        """
        sections = settings.nameservers.items()
        wanted = {name: _rfc2136(name, each) for name, each in sections if isinstance(each, Rfc2136Section)}
        self._remote = {name: self._of(each) for name, each in wanted.items()}
        self.by_name = {**self._embedded, **self._remote}

    async def close(self) -> None:
        """Close all there ever were; idempotent."""
        for nameserver in self._opened:
            await nameserver.close()

    def _of(self, settings: Rfc2136Settings) -> Rfc2136Nameserver:
        nameserver = self._remote.get(settings.name)
        if nameserver is not None and nameserver.address == (settings.host, settings.port):
            nameserver.reconfigure(settings)
        else:
            nameserver = Rfc2136Nameserver(settings)
            self._opened.append(nameserver)
        return nameserver


async def _start_embedded(
    name: str, section: EmbeddedSection, settings: Settings, state: State
) -> EmbeddedNameserver:
    addresses = [address for endpoint in section.listen for address in await _resolve(endpoint)]
    embedded = EmbeddedSettings(
        name=name,
        listen=tuple(addresses),
        folder=settings.data / "nameservers" / name,
        authority=Authority(server_name=section.server_name, hostmaster=section.hostmaster),
        addresses=_own_addresses(section),
        responses_per_second=section.responses_per_second,
        tcp_connections=section.tcp_connections,
        tcp_connections_per_source=section.tcp_connections_per_source,
    )

    def hidden(zone: str) -> str:
        """Return the name of the fence: four times as long as the question, and of no use to a client."""
        entry = state.zones.get(zone)
        is_public = entry is not None and entry.value.spec.fence == "public"
        return "" if is_public else f"{settings.publish.fence}.{zone}"

    return await EmbeddedNameserver.start(embedded, _zones_of(name, state), hidden)


def _own_addresses(section: EmbeddedSection) -> tuple[str, ...] | None:
    """Return the addresses that the nameserver gives as its own; None: the one that was asked."""
    return (
        None if section.addresses == (ASKED,) else tuple(each for each in section.addresses if each != NONE)
    )


def _zones_of(nameserver: str, state: State) -> Iterable[str]:
    return (zone for zone, entry in state.zones.items() if entry.value.spec.nameserver == nameserver)


async def _resolve(endpoint: ListenAddress) -> list[tuple[str, int]]:
    """Return the numeric addresses of an endpoint; "" is every address of both families."""
    if not endpoint.host:
        return [("0.0.0.0", endpoint.port), ("::", endpoint.port)]  # noqa: S104 - what ":port" asks for
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(endpoint.host, endpoint.port, type=socket.SOCK_DGRAM)
    return list(dict.fromkeys((str(address[0]), endpoint.port) for *_, address in found))


def _rfc2136(name: str, section: Rfc2136Section) -> Rfc2136Settings:
    return Rfc2136Settings(
        name=name,
        host=section.address,
        port=section.port,
        key_name=section.key.name,
        key_algorithm=section.key.algorithm,
        key_secret=section.key.secret_file.secret,
        connect_timeout=section.connect_timeout,
        timeout=section.timeout,
        max_connections=section.max_connections,
        max_transfers=section.max_transfers,
    )


_log = structlog.get_logger(__name__)

_NOBODY: frozenset[str] = frozenset()
_HEALTH_SECONDS = 1.5  # for /healthz: Amazon Route 53 gives up 2 s after it has connected


class Node:
    """The running parts of one node, or of one of its workers. Make it with `start`."""

    def __init__(self, core: Core, nameservers: Nameservers, id: str) -> None:
        """`id` is this node's among the members."""
        self._core = core
        self._nameservers = nameservers
        startup, self._reloader = core.startup, core.reloader
        self._listeners, self._siblings = startup.listeners, startup.siblings
        settings = self._reloader.configuration.settings
        store, self._cache, commits, self._metrics = core.store, core.cache, core.commits, core.metrics
        self._fair_use = FairUse(fair_use_limits(settings))
        self._refused = RefusedAttempts()
        limits = ClientLimits(self._cache.state, self._fair_use, self._refused)
        self._updates = UpdateService(self._cache, commits, update_policy(settings), limits)
        self._sources = SourceFinder(settings.trusted_proxies, settings.trusted_headers)
        self._registry = Registry(
            self._cache, commits, nameservers=nameservers.by_name, timeout=settings.store.timeout
        )
        worker = startup.worker.number if startup.worker else None
        self._member = member_of(settings, core.last_end.read(), self._listeners.addresses, worker)
        self._preference = Preference(self._cache, id, self._member)
        policy = leader_policy(settings)
        self._candidate = Candidate(
            store, self._cache, commits, nameservers.by_name, self._preference, policy, self._metrics
        )
        self._membership = Membership(store, self._cache, id, self._member)
        self._status = StatusReport(store, self._cache, id)
        self._admin_tokens = AdminTokens(self._reloader.configuration.admin_tokens)
        self._admin_in_flight = InFlight()
        self._proxy = ProxyProtocol(self._sources.trusts, self._metrics.proxy_header_refused, PATIENCE)
        self._connections = Connections(
            connection_limits(settings), self._sources.trusts, self._metrics.connection_closed
        )
        self._metrics.count_connections(self._connections.__len__)
        self._public = self._public_listener(settings)
        self._retirement = NodeDrain(self._public, self._listeners)

    @classmethod
    async def start(cls, startup: Startup, stack: AsyncExitStack, *, controls: bool = False) -> "Node":
        """Return a node that serves; leaving the stack ends it.

        With `controls` it also stands for the controller of custom resources.

        Raises:
            StoreError, OSError, ValueError: it cannot start; the message says what to do.
        """
        if controls:
            # Here, as other nodes need no client of Kubernetes in their memory.
            from ddnsd.app.controller import check_control, start_control

            check_control(startup.reloader.configuration.settings)
        core = await Core.start(startup, stack)
        nameservers = await Nameservers.open(startup.reloader.configuration.settings, core.cache.state)
        stack.push_async_callback(nameservers.close)
        id = secrets.token_hex(4)
        node = cls(core, nameservers, id)
        core.start_task("leader", node._candidate.run(), stack)  # resigned before the nameservers are closed
        if controls:
            await start_control(core, id, stack)
        stack.push_async_callback(node._listeners.close, "public", "admin")
        if node._siblings:
            node._siblings.serve(node._refused, node._retirement.begin)
        node._listen()
        startup.reloader.follow(node._take_over)
        # Ended before it resigns: nobody shall wait for this node.
        core.start_task("member", node._membership.run(), stack)
        return node

    async def drain(self, *, others_go_on: bool) -> None:
        """Accept nothing more, answer what was accepted, within `drain.timeout`.

        Health goes on, where this node says that it drains; but not while other workers do not.
        """
        self._retirement.stop()
        _log.info("drain.started", waiting=self._updates.in_flight)
        if others_go_on:
            self._listeners.leave("public", "admin", "health")
        else:
            await self._listeners.end("public", "admin")
        try:
            async with asyncio.timeout(self._reloader.configuration.settings.drain.timeout):
                await self._listeners.quiet("public", "admin")
                await self._public.drain()
                await self._admin_in_flight.drain()
                await self._updates.drain()
        except TimeoutError:
            _log.warning("drain.unfinished", waiting=self._updates.in_flight)
        _log.info("drain.done")

    async def _all_refused(self) -> Sequence[RefusedAttempt]:
        """Return what this node has refused lately, of all workers if there are several."""
        return await self._siblings.refused() if self._siblings else self._refused.all()

    async def _retire(self, delay: float) -> None:
        """Retire, all workers if there are several, and return `delay` seconds later, or when stopped."""
        self._retirement.begin()
        if self._siblings:
            await self._siblings.retire()
        await self._retirement.wait(delay)

    def _public_listener(self, settings: Settings) -> PublicListener:
        health = HealthEndpoint(self._cache.when_current, self._core.takes_changes, _HEALTH_SECONDS)
        return PublicListener(
            public_routes(self._updates, self._sources, self._metrics, health),
            min(settings.http.max_body, MAX_TEXT),
            self._metrics,
            partial(source_fails_too_often, self._fair_use, self._sources),
            self._connections,
        )

    def _listen(self) -> None:
        services = AdminServices(
            registry=self._registry,
            audit=AuditLog(self._core.store),
            tokens=self._admin_tokens,
            status=self._status.status,
            retire=self._retire,
            refused=self._all_refused,
            metrics=self._metrics,
            in_flight=self._admin_in_flight,
        )
        self._listeners.open("admin", make_admin_application(services))
        settings, _, tls = self._reloader.configuration
        self._listeners.open_public(self._public, self._connections, self._proxy, tls)
        self._core.startup.serves(self._readiness)
        addresses = {**self._listeners.addresses, "dns": self._nameservers.listening}
        note_addresses(settings, addresses)
        _log.info("ready", version=__version__, **addresses)

    def _take_over(self) -> None:
        """Let all parts go on with the configuration in force; in one turn, so that no request sees half.

        The store is not among them: it has to see a new password before there is a node.
        """
        settings, admin_tokens, tls = self._reloader.configuration
        self._cache.reconfigure(settings.store.timeout)
        self._updates.reconfigure(update_policy(settings))
        self._fair_use.reconfigure(fair_use_limits(settings))
        self._sources.reconfigure(settings.trusted_proxies, settings.trusted_headers)
        self._proxy.expects = self._sources.trusts if settings.listen.proxy_protocol else _NOBODY.__contains__
        self._listeners.reconfigure_public(tls)
        self._admin_tokens.reconfigure(admin_tokens)
        self._metrics.expect(settings.nameservers)
        self._nameservers.reconfigure(settings)
        self._registry.reconfigure(nameservers=settings.nameservers, timeout=settings.store.timeout)
        self._candidate.reconfigure(self._nameservers.by_name, leader_policy(settings))
        self._speak_up(settings)

    def _speak_up(self, settings: Settings) -> None:
        """Say what this node is now, to the others and in the metrics."""
        configured = self._reloader.configured
        member = msgspec.structs.replace(
            self._member,
            nameservers=frozenset(settings.nameservers),
            eligible=settings.leader.eligible,
            priority=settings.leader.priority,
            configuration=configured,
        )
        self._preference.reconfigure(member)
        self._membership.reconfigure(member)
        self._metrics.configured(
            current=not configured.refused,
            since=self._reloader.since.timestamp(),
            waiting=len(configured.waiting),
        )

    def _readiness(self) -> Readiness:
        return self._core.readiness(drains=self._retirement.has_begun)
