"""The node's HTTP servers, on sockets that are bound already."""

import asyncio
import functools
import json
import ssl
from collections.abc import Callable, Mapping

from tornado.web import Application

from ddnsd import files
from ddnsd.app.policies import internal_connection_limits
from ddnsd.app.sockets import Bound
from ddnsd.config import Settings
from ddnsd.web.connections import Connections
from ddnsd.web.http import PublicListener
from ddnsd.web.http_connection import HttpLimits
from ddnsd.web.http_server import ON_THE_WAY, HttpServer
from ddnsd.web.proxy_protocol import ProxyProtocol


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
            ListenError: another program listens there.
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
            ListenError: another program listens there.
        """
        self._serve(
            "public",
            HttpServer(
                listener, self._limits(), connections, too_large=listener.too_large, proxy=proxy, tls=tls
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
