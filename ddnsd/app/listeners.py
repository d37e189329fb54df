"""The node's HTTP servers, on sockets that are bound already, and how a node retires.

A node that `ddnsd drain` has told to retire serves on, but wants no more traffic; later it is stopped.
"""

import asyncio
import functools
import json
import ssl
from collections.abc import Callable, Mapping

import structlog
from tornado.web import Application

from ddnsd import files
from ddnsd.aio import wait_for
from ddnsd.app.bootstrap import internal_room, room_for
from ddnsd.app.sockets import Bound
from ddnsd.config import Settings
from ddnsd.leader.context import LeaderPolicy
from ddnsd.model.ratelimit import Rate
from ddnsd.service.limits import FairUseLimits
from ddnsd.service.update import UpdatePolicy
from ddnsd.web.connections import ConnectionLimits, Connections
from ddnsd.web.http import UNBOUNDED, PublicListener
from ddnsd.web.http_connection import HttpLimits
from ddnsd.web.http_server import ON_THE_WAY, HttpServer
from ddnsd.web.proxy_protocol import ProxyProtocol


def update_policy(settings: Settings) -> UpdatePolicy:
    """Return what is decided about updates."""
    return UpdatePolicy(
        private=settings.addresses.private == "accept",
        timeout=settings.publish.timeout,
        store_timeout=settings.store.timeout,
    )


def fair_use_limits(settings: Settings) -> FairUseLimits:
    """Return how often clients may ask."""
    fair = settings.fair_use
    return FairUseLimits(
        enabled=fair.enabled,
        token_attempts=Rate(fair.token_attempts, fair.token_attempts_burst),
        token_changes=Rate(fair.token_changes, fair.token_changes_burst),
        account_attempts=Rate(fair.account_attempts, fair.account_attempts_burst),
        account_changes=Rate(fair.account_changes, fair.account_changes_burst),
        source_failures=Rate(fair.source_failures, fair.source_failures_burst),
        process_failures=Rate(fair.process_failures, fair.process_failures_burst),
        token_waiting=fair.token_waiting,
        account_waiting=fair.account_waiting,
    )


def connection_limits(settings: Settings) -> ConnectionLimits:
    """Return how many clients may be connected to this process."""
    http = settings.http
    return ConnectionLimits(room_for(http.max_connections), http.max_connections_per_source)


def internal_connection_limits(settings: Settings) -> ConnectionLimits:
    """Return how many may be connected to each of the listeners for operators: admin, and health.

    They are few, and all may come from one address, such as a kubelet's or a proxy's.
    """
    room = internal_room(settings.http.max_connections)
    return ConnectionLimits(room, per_source=room + 1)


def leader_policy(settings: Settings) -> LeaderPolicy:
    """Return what the settings say of leading."""
    publish = settings.publish
    return LeaderPolicy(
        publish.fence,
        publish.batch,
        publish.reconcile_interval,
        publish.probe_interval,
        settings.store.compact_after,
        publish.timeout,
    )


class HttpListeners:
    """The servers by name (`public`, `admin`, `health`)."""

    def __init__(
        self, settings: Settings, bound: Mapping[str, Bound], closed: Callable[[str, str], None]
    ) -> None:
        """`closed` counts connections to the listeners that are not public, by listener and reason
        (`CLOSED_CONNECTIONS`)."""
        self._settings = settings
        self._closed = closed
        self._bound = bound
        self._servers: dict[str, HttpServer] = {}
        self._keeps_connections = True

    @property
    def addresses(self) -> Mapping[str, str]:
        """Where each listens, with its actual port."""
        return {name: str(bound.endpoint) for name, bound in self._bound.items()}

    def open(self, name: str, application: Application) -> None:
        """Serve an application to operators and their machines, on places of its own.

        Raises:
            OSError: another program listens there.
        """
        limits = internal_connection_limits(self._settings)
        connections = Connections(limits, lambda _: False, functools.partial(self._closed, name))
        self._serve(name, HttpServer(application, self._limits(), connections))

    def open_public(
        self,
        listener: PublicListener,
        connections: Connections,
        proxy: ProxyProtocol,
        tls: ssl.SSLContext | None,
    ) -> None:
        """Serve the public listener, also where proxies send headers; over TLS with a context.

        Raises:
            OSError: another program listens there.
        """
        self._serve(
            "public",
            HttpServer(
                *(listener, self._limits()._replace(max_body=UNBOUNDED), connections),
                too_large=listener.too_large,
                proxy=proxy,
                tls=tls,
            ),
        )

    def _limits(self) -> HttpLimits:
        http = self._settings.http
        return HttpLimits(
            http.idle_timeout, http.head_timeout, http.body_timeout, http.max_header, http.max_body
        )

    def _serve(self, name: str, server: HttpServer) -> None:
        self._bound[name].listen()
        server.keeps_connections = self._keeps_connections
        self._servers[name] = server
        server.add_sockets(self._bound[name].sockets)

    def keep_no_connections(self) -> None:
        """End each connection with its next answer, those of servers that are opened later too."""
        self._keeps_connections = False
        for server in self._servers.values():
            server.keeps_connections = False

    def reconfigure_public(self, tls: ssl.SSLContext | None) -> None:
        """Serve the connections that are accepted from now on with this context, or without TLS."""
        self._servers["public"].tls = tls

    async def end(self, *names: str) -> None:
        """Turn new clients away, in all workers, and take in all who were there before; close the sockets."""
        for name in names:
            self._bound[name].turn_away()
        await asyncio.sleep(ON_THE_WAY)
        for name in names:
            self._servers[name].take_waiting()
        self.leave(*names)

    def leave(self, *names: str) -> None:
        """Leave new connections to the other workers; those that are open go on."""
        for name in names:
            self._servers[name].stop()

    async def quiet(self, *names: str) -> None:
        """Wait for requests that may be on their way."""
        await asyncio.gather(*(self._servers[name].quiet() for name in names))

    async def close(self, *names: str) -> None:
        """Close every connection of these listeners, of all that are open if none is named; idempotent."""
        servers = [server for name, server in self._servers.items() if name in names or not names]
        for server in servers:
            server.stop()
            await server.close()


def note_addresses(settings: Settings, addresses: Mapping[str, object]) -> None:
    """Write down where this node listens, for `script/run` and for people who chose port 0."""
    # Each worker writes it; they listen when the first is ready.
    files.write(settings.data / "listening.json", [json.dumps(addresses).encode() + b"\n"], mode=0o644)


_log = structlog.get_logger(__name__)


class NodeDrain:
    """Of one process. There is no way back: what has begun to retire is not ready until it is stopped."""

    def __init__(self, public: PublicListener, listeners: HttpListeners) -> None:
        self._public = public
        self._listeners = listeners
        self._stopped = asyncio.Event()

    @property
    def has_begun(self) -> bool:
        """Say whether this process wants no more traffic."""
        return self._public.draining

    def begin(self) -> None:
        """Report not ready from now on, and end each connection with its next answer; idempotent."""
        if not self.has_begun:
            _log.info("retirement.begun")
            self._public.draining = True
            self._listeners.keep_no_connections()

    def stop(self) -> None:
        """End the wait for a delay: the process ends."""
        self.begin()
        self._stopped.set()

    async def wait(self, delay: float) -> None:
        """Return after `delay` seconds, or once the process ends."""
        await wait_for(self._stopped, delay)
