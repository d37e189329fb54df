"""The HTTP servers: for many clients, some slow, some hostile, on sockets that several processes share.

Each listener, public, admin or health, is one of these. One look now and then serves all connections that
wait for their clients; none has a timer of its own.
"""

import asyncio
import contextlib
import errno
import os
import socket
import ssl
from collections.abc import Iterable
from typing import Any

import structlog
from tornado.httputil import HTTPServerConnectionDelegate

from ddnsd.web.connections import Connections, Rank
from ddnsd.web.http_connection import HttpConnection, HttpLimits
from ddnsd.web.proxy_protocol import ProxyProtocol

_log = structlog.get_logger(__name__)

ON_THE_WAY = 0.05
"""Seconds that a handshake may take, or a request on a connection that was just opened or answered."""

_LOOKS = 8  # in the shortest of the times that a client is waited for
_ONE_LOOK = 0.01  # seconds: the event loop has read by then what lay there
_NO_ROOM = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_PAUSE = 0.5  # seconds
_READ_SECONDS = 0.1  # in which what lies in all sockets is read
_MOST_WAITING = 4096  # connections; Linux lets no more wait by default (net.core.somaxconn)


class HttpServer:
    """Serves a delegate, such as a `tornado.web.Application`."""

    def __init__(
        self,
        delegate: HTTPServerConnectionDelegate,
        limits: HttpLimits,
        connections: Connections,
        *,
        too_large: bytes = b"",
        proxy: ProxyProtocol | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        """`too_large` is what a request is told in JSON whose body cannot be read; without it that is none.

        `proxy` takes the PROXY header of those connections that it expects one from.

        `tls` may be set to another context, or None, for the connections that are accepted from then on.
        """
        self.delegate = delegate
        self.limits = limits
        self.connections = connections
        self.keeps_connections = True
        """Whether a connection may have another request; if not, it ends with its next answer."""
        self.too_large = too_large
        self.tls = tls
        self._proxy = proxy
        self._accepting: list[socket.socket] = []
        self._open: set[HttpConnection] = set()
        self._beginning: set[asyncio.Task[Any]] = set()
        self._empty = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        shortest = min(limits.idle, limits.head, limits.body, *([proxy.timeout] if proxy else []))
        self._interval = shortest / _LOOKS
        self._looking = self._loop.call_later(self._interval, self._close_late)

    def add_sockets(self, sockets: Iterable[socket.socket]) -> None:
        """Accept connections on these sockets, one in each turn of the event loop.

        To take all that wait would leave nothing to the other processes on the same socket: connections are
        kept, so the one that has got them all would do all the work.
        """
        for each in sockets:
            self._accepting.append(each)
            self._loop.add_reader(each, self._accept, each)

    def take_waiting(self) -> None:
        """Accept at once what waits now, as far as there are file descriptors."""
        for each in self._accepting:
            with contextlib.suppress(OSError):
                for _ in range(_MOST_WAITING):
                    if not self._accept(each):
                        break

    def stop(self) -> None:
        """Accept no more, and close the sockets of this process."""
        for each in self._accepting:
            self._loop.remove_reader(each)
            each.close()
        self._accepting.clear()

    async def quiet(self) -> None:
        """Wait until a request that may be on its way should have come.

        It is one on a connection that was opened, or answered, a moment ago; others have had their time.
        """
        now = self._loop.time()
        rest = max(self._waited_since(), default=now - ON_THE_WAY) + ON_THE_WAY - now
        await asyncio.sleep(max(rest, _ONE_LOOK))
        self.connections.queue.take_all()

    async def close(self) -> None:
        """Close every connection, and return when all are; an answer that its client takes goes out."""
        self._looking.cancel()
        for each in tuple(self._open):
            each.close()
        if self._beginning:
            await asyncio.wait(self._beginning)
        while self._open:
            self._empty.clear()
            await self._empty.wait()

    def admits(self, connection: HttpConnection, client: str) -> bool:
        """Say whether a connection may stay whose PROXY header names this client."""
        self.connections.leave(connection)
        source = self.connections.make_room(client)
        if source is None:
            return False
        self.connections.enter(connection, source)
        self.connections.rank(connection, Rank.AWAITED)
        return True

    def forget(self, connection: HttpConnection) -> None:
        """Note that a connection is closed."""
        self.connections.leave(connection)
        self._open.discard(connection)
        self.delegate.on_close(connection)
        if not self._open:
            self._empty.set()

    def _waited_since(self) -> Iterable[float]:
        """Yield since when each connection's next request is waited for."""
        for each in self._open:
            if each.awaited_since is not None:
                yield each.awaited_since

    def _accept(self, listening: socket.socket) -> bool:
        """Accept a connection; return whether there was one."""
        try:
            accepted, address = listening.accept()
        except BlockingIOError:  # another process was faster
            return False
        except ConnectionAbortedError:
            return True
        except OSError as error:
            if error.errno not in _NO_ROOM:
                raise
            self._pause(listening, error)
            return False
        accepted.setblocking(False)
        self._admit(accepted, address[0])
        return True

    def _admit(self, accepted: socket.socket, peer: str) -> None:
        source = self.connections.make_room(peer)
        if source is None:
            accepted.close()
            return
        with contextlib.suppress(OSError):  # it has been reset
            accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        header = None
        if self._proxy and self._proxy.expects(peer):
            header = self._proxy.begin(peer, self._loop.time())
        connection = HttpConnection(self, peer, self.tls, header)
        self._open.add(connection)
        self.connections.enter(connection, source)
        if header is None:
            self.connections.rank(connection, Rank.AWAITED)
        beginning = self._loop.create_task(self._begin(accepted, connection))
        self._beginning.add(beginning)
        beginning.add_done_callback(self._beginning.discard)

    async def _begin(self, accepted: socket.socket, connection: HttpConnection) -> None:
        try:
            await self._loop.connect_accepted_socket(lambda: connection.stream, accepted)
        except OSError as error:  # it was reset before anything could be read
            accepted.close()
            connection.stream.connection_lost(error)

    def _pause(self, listening: socket.socket, error: OSError) -> None:
        """Accept nothing for a moment: clients wait, and the event loop does not spin."""
        _log.warning("accept.failed", reason=os.strerror(error.errno or 0), remedy="raise `ulimit -n`")
        self._loop.remove_reader(listening)
        self._loop.call_later(_PAUSE, self._resume, listening)

    def _resume(self, listening: socket.socket) -> None:
        if listening in self._accepting:
            self._loop.add_reader(listening, self._accept, listening)

    def _close_late(self) -> None:
        """Close those that have been waited for too long, at most an eighth of the shortest time too late.

        Not at once where this comes late itself, as the process was stopped: what clients have sent meanwhile
        lies in their sockets, and is read before the next look.
        """
        if self._loop.time() > self._looking.when() + self._interval:
            self._looking = self._loop.call_later(min(_READ_SECONDS, self._interval), self._close_all_late)
        else:
            self._close_all_late()

    def _close_all_late(self) -> None:
        now = self._loop.time()
        for each in tuple(self._open):
            each.close_if_late(now)
        self._looking = self._loop.call_later(self._interval, self._close_late)
