"""The node's HTTP servers, on sockets that are bound already."""

import asyncio
import json
import ssl
from collections.abc import Mapping
from typing import Any

from tornado.web import Application

from ddnsd import files
from ddnsd.app.sockets import Bound
from ddnsd.config import Settings
from ddnsd.web.gate import ProxyGate
from ddnsd.web.public import PublicListener
from ddnsd.web.public_server import Patience, PublicServer
from ddnsd.web.server import ON_THE_WAY, Server


class HttpListeners:
    """The servers by name (`public`, `admin`, `health`)."""

    def __init__(self, settings: Settings, bound: Mapping[str, Bound]) -> None:
        self._settings = settings
        self._bound = bound
        self._servers: dict[str, Server] = {}
        self._keeps_connections = True

    @property
    def addresses(self) -> Mapping[str, str]:
        """Where each listens, with its actual port."""
        return {name: str(bound.endpoint) for name, bound in self._bound.items()}

    def open(self, name: str, application: Application) -> None:
        """Serve an application.

        Raises:
            ListenError: another program listens there.
        """
        idle = self._settings.http.idle_timeout
        self._serve(name, Server(application, idle_connection_timeout=idle, **self._limits()))

    def open_public(self, listener: PublicListener, gate: ProxyGate, tls: ssl.SSLContext | None) -> None:
        """Serve the public listener, behind a gate where proxies send headers; over TLS with a context.

        Raises:
            ListenError: another program listens there.
        """
        patience = Patience(self._settings.http.idle_timeout, self._settings.http.head_timeout)
        server = PublicServer(listener, patience, gate, ssl_options=tls, **self._limits())
        self._serve("public", server)

    def _limits(self) -> Mapping[str, Any]:
        http = self._settings.http
        return {
            "max_header_size": http.max_header,
            "max_body_size": http.max_body,
            "body_timeout": http.body_timeout,
            "no_keep_alive": not self._keeps_connections,
        }

    def _serve(self, name: str, server: Server) -> None:
        self._bound[name].listen()
        self._servers[name] = server
        server.add_sockets(self._bound[name].sockets)

    def keep_no_connections(self) -> None:
        """End each connection with its next answer, those of servers that are opened later too."""
        self._keeps_connections = False
        for server in self._servers.values():
            server.conn_params.no_keep_alive = True

    def reconfigure_public(self, tls: ssl.SSLContext | None) -> None:
        """Serve the connections that are accepted from now on with this context, or without TLS."""
        self._servers["public"].ssl_options = tls

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
            await server.close_all_connections()


def note_addresses(settings: Settings, addresses: Mapping[str, object]) -> None:
    """Write down where this node listens, for `script/run` and for people who chose port 0."""
    # Each worker writes it; they listen when the first is ready.
    files.write(settings.data / "listening.json", [json.dumps(addresses).encode() + b"\n"], mode=0o644)
