"""One node: the parts, put together; started and drained."""

import asyncio
import secrets
from collections.abc import Sequence
from contextlib import AsyncExitStack

import msgspec
import structlog

from ddnsd import __version__
from ddnsd.app.adapters import Nameservers
from ddnsd.app.control import check_control, start_control
from ddnsd.app.core import Core
from ddnsd.app.listeners import note_addresses
from ddnsd.app.live import LiveParts
from ddnsd.app.membership import Membership, member_of
from ddnsd.app.policies import connection_limits, fair_use_limits, leader_policy, update_policy
from ddnsd.app.retirement import Retirement
from ddnsd.app.startup import Startup
from ddnsd.app.status import StatusReport
from ddnsd.leader.candidate import Candidate, Preference
from ddnsd.leader.tasks import cancel
from ddnsd.service.audit import AuditLog
from ddnsd.service.limits import Conduct, FairUse, RefusedAttempt, RefusedAttempts
from ddnsd.service.registry import Registry
from ddnsd.service.update import UpdateService
from ddnsd.web.admin import AdminTokens, make_admin_application
from ddnsd.web.client_address import SourceFinder
from ddnsd.web.connections import Connections
from ddnsd.web.forms import MAX_TEXT
from ddnsd.web.health import AbilityEndpoint, Readiness
from ddnsd.web.http import Failures, InFlight, PublicListener
from ddnsd.web.proxy_protocol import PATIENCE, ProxyProtocol
from ddnsd.web.routes import public_routes

_log = structlog.get_logger(__name__)

_HEALTH_SECONDS = 1.5  # for /healthz: Amazon Route 53 gives up 2 s after it has connected


class Node:
    """The running parts of one node, or of one of its workers. Make it with `start`."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._reloader = core.reloader
        settings = core.reloader.configuration.settings
        self.metrics, self.cache, self.commits = core.metrics, core.cache, core.commits
        self.supervisor = core.supervisor
        self.listeners, self.siblings = core.startup.listeners, core.startup.siblings
        self.fair_use = FairUse(fair_use_limits(settings))
        self.refused = RefusedAttempts()
        conduct = Conduct(self.cache.state, self.fair_use, self.refused)
        self.updates = UpdateService(self.cache, self.commits, update_policy(settings), conduct)
        self.sources = SourceFinder(settings.trusted_proxies, settings.trusted_headers)
        ability = AbilityEndpoint(self.cache.when_current, core.takes_changes, _HEALTH_SECONDS)
        routes = public_routes(self.updates, self.sources, self.metrics, ability)
        self._connections = Connections(
            connection_limits(settings), self.sources.trusts, self.metrics.connection_closed
        )
        self.metrics.count_connections(self._connections.__len__)
        failures = Failures(self.fair_use, self.sources)
        max_body = min(settings.http.max_body, MAX_TEXT)
        self.public = PublicListener(routes, max_body, self.metrics, failures, self._connections)
        self._proxy = ProxyProtocol(self._sends_header, self.metrics.proxy_header_refused, PATIENCE)
        self.admin_in_flight = InFlight()
        self.retirement = Retirement(self.public, self.listeners)

    @classmethod
    async def start(cls, startup: Startup, stack: AsyncExitStack, *, controls: bool = False) -> "Node":
        """Return a node that serves; leaving the stack ends it.

        With `controls` it also stands for the controller of custom resources.

        Raises:
            StoreError, ListenError, OSError, ValueError: it cannot start; the message says what to do.
        """
        reloader, worker = startup.reloader, startup.worker
        if controls:
            check_control(reloader.configuration.settings)
        core = await Core.start(startup, stack)
        node, store = cls(core), core.store
        settings = reloader.configuration.settings
        nameservers = await Nameservers.open(settings, node.cache.state)
        stack.push_async_callback(nameservers.close)
        id, member = (
            secrets.token_hex(4),
            member_of(settings, core.last_end.read(), worker.number if worker else None),
        )
        preference = Preference(node.cache, id, member)
        candidate = Candidate(
            *(store, node.cache, node.commits, nameservers.by_name),
            *(preference, leader_policy(settings), node.metrics),
        )
        leader = node.supervisor.start("leader", candidate.run())
        stack.push_async_callback(cancel, leader)  # resigned before the nameservers are closed
        if controls:
            await start_control(core, id, stack)
        status = StatusReport(store, node.cache, id)
        stack.push_async_callback(node.listeners.close, "public", "admin")
        if node.siblings:
            node.siblings.serve(node.refused, node.retirement.begin)
        admin_tokens = AdminTokens(reloader.configuration.admin_tokens)
        registry = node._listen(admin_tokens, status, nameservers)
        present = msgspec.structs.replace(member, addresses=node.listeners.addresses)
        membership = Membership(store, node.cache, id, present)
        parts = LiveParts(
            *(reloader, node.metrics, node.cache, node.updates, node.fair_use, node.sources, node.listeners),
            *(admin_tokens, registry, nameservers, candidate, preference, membership, present),
        )
        reloader.follow(parts.take_over)
        registered = node.supervisor.start("member", membership.run())
        stack.push_async_callback(cancel, registered)  # before it resigns: nobody shall wait for this node
        return node

    async def drain(self, *, others_go_on: bool) -> None:
        """Accept nothing more, answer what was accepted, within `drain.timeout`.

        Health goes on, where this node says that it drains; but not while other workers do not.
        """
        self.retirement.stop()
        _log.info("drain.started", waiting=self.updates.in_flight)
        if others_go_on:
            self.listeners.leave("public", "admin", "health")
        else:
            await self.listeners.end("public", "admin")
        try:
            async with asyncio.timeout(self._reloader.configuration.settings.drain.timeout):
                await self.listeners.quiet("public", "admin")
                await self.public.drain()
                await self.admin_in_flight.drain()
                await self.updates.drain()
        except TimeoutError:
            _log.warning("drain.unfinished", waiting=self.updates.in_flight)
        _log.info("drain.done")

    async def _all_refused(self) -> Sequence[RefusedAttempt]:
        """Return what this node has refused lately, of all workers if there are several."""
        return await self.siblings.refused() if self.siblings else self.refused.all()

    async def _retire(self, delay: float) -> None:
        """Retire, all workers if there are several, and return `delay` seconds later, or when stopped."""
        self.retirement.begin()
        if self.siblings:
            await self.siblings.retire()
        await self.retirement.wait(delay)

    def _listen(self, admin_tokens: AdminTokens, status: StatusReport, nameservers: Nameservers) -> Registry:
        settings, _, tls = self._reloader.configuration
        registry = Registry(
            self.cache, self.commits, nameservers=nameservers.by_name, timeout=settings.store.timeout
        )
        audit = AuditLog(self._core.store)
        admin = make_admin_application(
            *(registry, audit, admin_tokens, status.status, self._retire, self._all_refused),
            *(self.metrics, self.admin_in_flight),
        )
        self.listeners.open("admin", admin)
        self.listeners.open_public(self.public, self._connections, self._proxy, tls)
        self._core.startup.serves(self._readiness)
        addresses = {**self.listeners.addresses, "dns": nameservers.listening}
        note_addresses(settings, addresses)
        _log.info("ready", version=__version__, **addresses)
        return registry

    def _sends_header(self, peer: str) -> bool:
        """Say whether a connection from there begins with a PROXY header."""
        return self._reloader.configuration.settings.listen.proxy_protocol and self.sources.trusts(peer)

    def _readiness(self) -> Readiness:
        """Say whether to send requests here."""
        reasons = self._core.reasons_against()
        if self.retirement.has_begun:
            reasons.append("draining")
        return Readiness(not reasons, (*reasons, *self._core.notes()))
