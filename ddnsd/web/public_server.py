"""The public listener's HTTP server: for many clients, some of them slow, some of them hostile.

It has one timer for all connections that wait for their clients. Tornado sets a timer for each request and
takes it back, which is a tenth of all that an "unchanged" costs. Here one look now and then serves all.
"""

import asyncio
import socket
from collections.abc import Iterable
from typing import Any, NamedTuple

from tornado.httputil import HTTPConnection
from tornado.ioloop import PeriodicCallback
from tornado.iostream import IOStream
from tornado.netutil import ssl_wrap_socket

from ddnsd.web.exchange import Exchange
from ddnsd.web.gate import ProxyGate
from ddnsd.web.public import PublicListener
from ddnsd.web.server import Server
from ddnsd.web.streams import SecureStream, Stream

_LOOKS = 8  # in the shorter of the two times
_READ = 4096  # bytes at a time: Tornado clears a buffer of that size, 64 KiB by default, for each read


class Patience(NamedTuple):
    """Seconds that a client is waited for."""

    idle: float
    """Until its request's head has begun, or its answer is taken."""

    head: float
    """From then until the head is complete."""


class PublicServer(Server):
    """Serves a `PublicListener`. Takes the same settings as `HTTPServer`."""

    def initialize(  # type: ignore[override]
        self,
        listener: PublicListener,
        patience: Patience,
        gate: ProxyGate | None = None,
        **settings: Any,
    ) -> None:
        """`gate` takes the PROXY header of those connections that it expects one from."""
        super().initialize(listener, chunk_size=_READ, **settings)
        self.conn_params.header_timeout = None  # Tornado's timer
        self._listener = listener
        self._gate = gate
        self._patience = patience
        self._clients = listener.connections
        self._looking = PeriodicCallback(self._close_late, 1000 * min(patience) / _LOOKS)
        self._looking.start()

    def start_request(self, server_conn: object, request_conn: HTTPConnection) -> Exchange:
        """Get ready for the connection's next request (Tornado calls this)."""
        return self._listener.start_request(server_conn, request_conn)

    def on_close(self, server_conn: object) -> None:
        """Forget a closed connection (Tornado calls this)."""
        super().on_close(server_conn)
        self._listener.on_close(server_conn)

    def _waited_since(self) -> Iterable[float]:
        """Yield since when each connection's next request is waited for."""
        for exchange in self._clients:
            if exchange.awaited_since is not None:
                yield exchange.awaited_since
        if self._gate:
            yield from self._gate.waited_since()

    def _handle_connection(self, connection: socket.socket, address: Any) -> None:
        if not (self._gate and self._gate.expects(address[0])):
            self._admit(connection, address)
        elif self._clients.make_room(address[0], self._gate.waiting):
            self._gate.receive(connection, address, self._admit)
        else:
            connection.close()

    def _admit(self, connection: socket.socket, address: Any) -> None:
        if not self._clients.make_room(address[0], self._gate.waiting if self._gate else 0):
            connection.close()
            return
        try:
            self.handle_stream(self._stream(connection), address)
        except OSError:  # it was reset before TLS could begin
            connection.close()

    def _stream(self, connection: socket.socket) -> IOStream:
        if self.ssl_options is None:
            return Stream(connection, self._give_up, read_chunk_size=_READ)
        wrapped = ssl_wrap_socket(
            connection, self.ssl_options, server_side=True, do_handshake_on_connect=False
        )
        return SecureStream(wrapped, self._give_up, read_chunk_size=_READ)

    def _give_up(self, stream: IOStream) -> None:
        """Close a connection with too large a head; later, for until then it sends nothing else."""
        self._listener.slowdown.keep(stream, stream.close)

    async def close_all_connections(self) -> None:
        """Close every connection, and look for late ones no more."""
        self._looking.stop()
        if self._gate:
            self._gate.close()
        await super().close_all_connections()

    def _close_late(self) -> None:
        """Close who has been waited for too long, at most an eighth of the shorter time too late."""
        now = asyncio.get_running_loop().time()
        for exchange in self._clients:
            if exchange.awaited_since is None:
                continue
            exchange.look_for_head(now)
            if exchange.head_since is not None and exchange.head_since <= now - self._patience.head:
                self._clients.dismiss(exchange, "slow_head")
            elif exchange.awaited_since <= now - self._patience.idle:
                exchange.abandon()
