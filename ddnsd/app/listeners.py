"""Opening the HTTP listeners, all or none, with an error that names the address and the remedy."""

import errno
import socket
import ssl
from collections.abc import Mapping

from tornado.httpserver import HTTPServer
from tornado.httputil import HTTPServerConnectionDelegate
from tornado.netutil import bind_sockets
from tornado.web import Application

from ddnsd.config import Endpoint, Settings, TlsSettings
from ddnsd.web.public import PublicListener
from ddnsd.web.server import PublicServer

Served = Application | HTTPServerConnectionDelegate


class ListenError(Exception):
    """An address is not to be had."""


class HttpListeners:
    """The node's HTTP servers by name (`public`, `admin`, `health`)."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._servers: dict[str, HTTPServer] = {}
        self._endpoints: dict[str, Endpoint] = {}

    @property
    def addresses(self) -> Mapping[str, str]:
        """Where each listens, with its actual port."""
        return {name: str(endpoint) for name, endpoint in self._endpoints.items()}

    def open(
        self, name: str, endpoint: Endpoint, application: object, tls: TlsSettings | None = None
    ) -> None:
        """Serve an application at the endpoint.

        Raises:
            ListenError: the address is taken, not this machine's, or needs privileges.
        """
        sockets = _bind(name, endpoint)
        http = self._settings.http
        kind = PublicServer if isinstance(application, PublicListener) else HTTPServer
        server = kind(
            application,
            ssl_options=_tls_context(tls) if tls else None,
            max_header_size=http.max_header,
            max_body_size=http.max_body,
            idle_connection_timeout=http.idle_timeout,
            body_timeout=http.body_timeout,
        )
        server.add_sockets(sockets)
        self._servers[name] = server
        self._endpoints[name] = Endpoint(endpoint.host, sockets[0].getsockname()[1])

    def stop(self, *names: str) -> None:
        """Accept no more connections on these; those that are open go on."""
        for name in names:
            self._servers[name].stop()

    async def close(self) -> None:
        """Close every connection."""
        self.stop(*self._servers)
        for server in self._servers.values():
            await server.close_all_connections()


def _bind(name: str, endpoint: Endpoint) -> list[socket.socket]:
    try:
        return bind_sockets(endpoint.port, endpoint.host or None, backlog=1024)
    except OSError as error:
        remedies = {
            errno.EADDRINUSE: "another program has it",
            errno.EACCES: "a port below 1024 needs privileges",
            errno.EADDRNOTAVAIL: "it is not an address of this machine",
        }
        reason = remedies.get(error.errno or 0, str(error))
        raise ListenError(
            f"cannot listen on {endpoint}: {reason}; change listen.{name} in config.yaml "
            f"or set DDNSD_LISTEN_{name.upper()}"
        ) from error


def _tls_context(tls: TlsSettings) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(tls.certificate, tls.key)
    return context
