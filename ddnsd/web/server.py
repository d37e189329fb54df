"""The listeners' HTTP servers: Tornado's, made for sockets that several processes share."""

import asyncio
import contextlib
import errno
import os
import socket
from collections.abc import Iterable
from typing import Any

import structlog
from tornado.httpserver import HTTPServer
from tornado.httputil import HTTPConnection, HTTPMessageDelegate

_log = structlog.get_logger(__name__)

ON_THE_WAY = 0.05
"""Seconds that a handshake may take, or a request on a connection that was just opened or answered."""

_ONE_LOOK = 0.01  # seconds: the event loop has read by then what lay there
_NO_ROOM = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_PAUSE = 0.5  # seconds
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
        except OSError as error:
            if error.errno not in _NO_ROOM:
                raise
            self._pause(listening, error)
            return False
        self._handle_connection(connection, address)
        return True

    def _pause(self, listening: socket.socket, error: OSError) -> None:
        """Accept nothing for a moment: whoever connects waits, and the event loop does not spin."""
        _log.warning("accept.failed", reason=os.strerror(error.errno or 0), remedy="raise `ulimit -n`")
        loop = asyncio.get_running_loop()
        loop.remove_reader(listening)
        loop.call_later(_PAUSE, self._resume, listening)

    def _resume(self, listening: socket.socket) -> None:
        if listening in self._accepting:
            asyncio.get_running_loop().add_reader(listening, self._accept, listening)
