"""The listeners' HTTP servers: Tornado's, made for sockets that several processes share.

The public one has one timer for all idle connections. Tornado sets a timer for each request and takes it
back, which is a tenth of all that an "unchanged" costs. Here one look now and then serves all connections.
"""

import asyncio
import contextlib
import socket
from collections.abc import Iterable
from typing import Any

from tornado.httpserver import HTTPServer
from tornado.httputil import HTTPConnection, HTTPMessageDelegate
from tornado.ioloop import PeriodicCallback

from ddnsd.web.gate import ProxyGate
from ddnsd.web.public import Exchange, PublicListener

ON_THE_WAY = 0.05
"""Seconds that a handshake may take, or a request on a connection that was just opened or answered."""

_LOOKS = 8  # in the time that a connection may be idle
_READ = 4096  # bytes at a time: Tornado clears a buffer of that size, 64 KiB by default, for each read
_ONE_LOOK = 0.01  # seconds: the event loop has read by then what lay there
_MOST_WAITING = 4096  # connections; Linux lets no more wait by default (net.core.somaxconn)


class Server(HTTPServer):
    """Tornado's server, with its own way to accept. Takes the same settings."""

    def initialize(self, *arguments: Any, **settings: Any) -> None:
        """Set up (Tornado calls this)."""
        super().initialize(*arguments, **settings)
        self._accepting: list[socket.socket] = []
        self._begun: dict[object, float] = {}  # by connection: since when its newest request is waited for

    def add_sockets(self, sockets: Iterable[socket.socket]) -> None:
        """Accept connections on these sockets, one in each turn of the event loop.

        Tornado takes all that wait, and so would leave nothing to the other processes on the same socket:
        connections are kept, so whoever has got them all does all the work.
        """
        for each in sockets:
            self._accepting.append(each)
            asyncio.get_running_loop().add_reader(each, self._accept, each)

    def take_waiting(self) -> None:
        """Accept at once what waits now, as far as there are file descriptors."""
        for each in self._accepting:
            with contextlib.suppress(OSError):
                for _ in range(_MOST_WAITING):
                    if not self._accept(each):
                        break

    def stop(self) -> None:
        """Accept no more, and close the sockets of this process."""
        super().stop()
        for each in self._accepting:
            asyncio.get_running_loop().remove_reader(each)
            each.close()
        self._accepting.clear()

    async def quiet(self) -> None:
        """Wait until a request that may be on its way should have come.

        It is one on a connection that was opened, or answered, a moment ago; others have had their time.
        """
        now = asyncio.get_running_loop().time()
        rest = max(self._waited_since(), default=now - ON_THE_WAY) + ON_THE_WAY - now
        await asyncio.sleep(max(rest, _ONE_LOOK))

    def start_request(self, server_conn: object, request_conn: HTTPConnection) -> HTTPMessageDelegate:
        """Get ready for the connection's next request (Tornado calls this)."""
        self._begun[server_conn] = asyncio.get_running_loop().time()
        return super().start_request(server_conn, request_conn)

    def on_close(self, server_conn: object) -> None:
        """Forget a closed connection (Tornado calls this)."""
        super().on_close(server_conn)
        self._begun.pop(server_conn, None)

    def _waited_since(self) -> Iterable[float]:
        """Yield since when each connection's next request is waited for."""
        return self._begun.values()

    def _accept(self, listening: socket.socket) -> bool:
        """Accept a connection; return whether there was one."""
        try:
            connection, address = listening.accept()
        except BlockingIOError:  # another process was faster
            return False
        except ConnectionAbortedError:
            return True
        self._handle_connection(connection, address)
        return True


class PublicServer(Server):
    """Serves a `PublicListener`. Takes the same settings as `HTTPServer`."""

    def initialize(  # type: ignore[override]
        self,
        listener: PublicListener,
        idle_connection_timeout: float,
        gate: ProxyGate | None = None,
        **settings: Any,
    ) -> None:
        """`idle_connection_timeout`: seconds in which a request's head must be here, and its answer gone.

        `gate` takes the PROXY header of those connections that it expects one from.
        """
        super().initialize(listener, chunk_size=_READ, **settings)
        self.conn_params.header_timeout = None  # Tornado's timer
        self._listener = listener
        self._gate = gate
        self._timeout = idle_connection_timeout
        self._newest: dict[object, Exchange] = {}  # by connection
        self._looking = PeriodicCallback(self._close_idle, 1000 * idle_connection_timeout / _LOOKS)
        self._looking.start()

    def start_request(self, server_conn: object, request_conn: HTTPConnection) -> Exchange:
        """Get ready for the connection's next request (Tornado calls this)."""
        exchange = self._newest[server_conn] = self._listener.start_request(server_conn, request_conn)
        return exchange

    def on_close(self, server_conn: object) -> None:
        """Forget a closed connection (Tornado calls this)."""
        super().on_close(server_conn)
        self._newest.pop(server_conn, None)

    def _waited_since(self) -> Iterable[float]:
        """Yield since when each connection's next request is waited for."""
        for exchange in self._newest.values():
            if exchange.awaited_since is not None:
                yield exchange.awaited_since
        if self._gate:
            yield from self._gate.waited_since()

    def _handle_connection(self, connection: socket.socket, address: Any) -> None:
        if self._gate and self._gate.expects(address[0]):
            self._gate.receive(connection, address, self._admit)
        else:
            self._admit(connection, address)

    def _admit(self, connection: socket.socket, address: Any) -> None:
        try:
            super()._handle_connection(connection, address)
        except OSError:  # it was reset before TLS could begin: Tornado lets that out
            connection.close()

    async def close_all_connections(self) -> None:
        """Close every connection, and look for idle ones no more."""
        self._looking.stop()
        if self._gate:
            self._gate.close()
        await super().close_all_connections()

    def _close_idle(self) -> None:
        """Close what has been idle for too long, at most an eighth of the time too late."""
        oldest = asyncio.get_running_loop().time() - self._timeout
        for exchange in list(self._newest.values()):
            if exchange.awaited_since is not None and exchange.awaited_since <= oldest:
                exchange.abandon()
