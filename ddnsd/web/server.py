"""The public listener's HTTP server: Tornado's, with one timer for all idle connections.

Tornado sets a timer for each request and takes it back, which is a tenth of all that an "unchanged"
costs. Here one look now and then serves all connections.
"""

import asyncio
from typing import Any

from tornado.httpserver import HTTPServer
from tornado.httputil import HTTPConnection
from tornado.ioloop import PeriodicCallback

from ddnsd.web.public import Exchange, PublicListener

_LOOKS = 8  # in the time that a connection may be idle
_READ = 4096  # bytes at a time: Tornado clears a buffer of that size, 64 KiB by default, for each read


class PublicServer(HTTPServer):
    """Serves a `PublicListener`. Takes the same settings as `HTTPServer`."""

    def initialize(self, listener: PublicListener, idle_connection_timeout: float, **settings: Any) -> None:  # type: ignore[override]
        """`idle_connection_timeout`: seconds in which a request's head must be here, and its answer gone."""
        super().initialize(listener, chunk_size=_READ, **settings)
        self.conn_params.header_timeout = None  # Tornado's timer
        self._listener = listener
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

    async def close_all_connections(self) -> None:
        """Close every connection, and look for idle ones no more."""
        self._looking.stop()
        await super().close_all_connections()

    def _close_idle(self) -> None:
        """Close what has been idle for too long, at most an eighth of the time too late."""
        oldest = asyncio.get_running_loop().time() - self._timeout
        for exchange in list(self._newest.values()):
            if exchange.awaited_since is not None and exchange.awaited_since <= oldest:
                exchange.abandon()
