"""The sockets that a nameserver listens on."""

import asyncio
import errno
import socket
from collections.abc import Callable
from contextlib import suppress

from ddnsd.nameserver.embedded.datagram import DatagramService
from ddnsd.nameserver.embedded.message import Peer, Transport
from ddnsd.nameserver.embedded.settings import EmbeddedSettings
from ddnsd.nameserver.embedded.stream import BUFFER, StreamService

Address = tuple[str, int]  # host and port
Respond = Callable[[bytes, Transport, Peer], bytes | None]

_KERNEL_BUFFERS = {  # octets to send, and received
    socket.SOCK_DGRAM: (1 << 20, 1 << 20),  # a burst of some thousand queries waits instead of being lost
    socket.SOCK_STREAM: (1 << 16, 1 << 16),  # of each connection; left alone they would grow to megabytes
}
_BACKLOG = 128  # TCP connections that wait to be accepted
_ATTEMPTS = 20  # to find a port that is free for both UDP and TCP
_REMEDIES = {
    errno.EADDRINUSE: "another program listens there (`ss -lnup; ss -lntp` names it): stop it, or choose "
    "another port",
    errno.EACCES: "ports below 1024 need the capability CAP_NET_BIND_SERVICE: grant it, or choose "
    "another port",
    errno.EADDRNOTAVAIL: "this machine does not have the address: choose one of `ip address`",
}


class ListenError(Exception):
    """An address cannot be listened on. The message names it, the reason and the remedy."""


class Listeners:
    """UDP and TCP on each address of the settings."""

    def __init__(self, settings: EmbeddedSettings, respond: Respond) -> None:
        self._settings = settings
        self._respond = respond
        self._datagrams: list[DatagramService] = []
        self._servers: list[asyncio.Server] = []
        self._streams = StreamService(
            lambda wire, peer: respond(wire, Transport.TCP, peer),
            idle=settings.tcp_idle,
            most=settings.tcp_connections,
            most_of_one=settings.tcp_connections_per_source,
        )

    @property
    def addresses(self) -> tuple[Address, ...]:
        """The addresses listened on, in the settings' order, with their actual ports."""
        return tuple(server.sockets[0].getsockname()[:2] for server in self._servers)

    async def open(self) -> None:
        """Listen on every address, or on none.

        Raises:
            ListenError: one of them is not to be had.
        """
        try:
            for address in self._settings.listen:
                await self._listen(*self._bind(address))
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Stop listening, end the connections; idempotent."""
        for service in self._datagrams:
            service.close()
        for server in self._servers:
            server.close()
        await self._streams.close()
        self._datagrams.clear()
        self._servers.clear()

    async def _listen(self, datagrams: socket.socket, streams: socket.socket) -> None:
        self._datagrams.append(
            DatagramService(datagrams, lambda wire, peer: self._respond(wire, Transport.UDP, peer))
        )
        self._servers.append(
            await asyncio.start_server(self._streams.serve, sock=streams, limit=BUFFER, backlog=_BACKLOG)
        )

    def _bind(self, address: Address) -> tuple[socket.socket, socket.socket]:
        try:
            return _bind_both(address)
        except OSError as error:
            host, port = address
            reason = error.strerror or str(error)
            remedy = _REMEDIES.get(error.errno or 0, "choose a numeric address of this machine")
            raise ListenError(
                f"the nameserver {self._settings.name!r} cannot listen on {host} port {port} (UDP and TCP): "
                f"{reason}: {remedy} (nameservers.{self._settings.name}.listen)"
            ) from error


def _bind_both(address: Address) -> tuple[socket.socket, socket.socket]:
    """Return a UDP and a TCP socket on the same port; of port 0: one that both have free."""
    for _ in range(_ATTEMPTS if address[1] == 0 else 0):
        with suppress(OSError):
            return _bind_pair(address)
    return _bind_pair(address)


def _bind_pair(address: Address) -> tuple[socket.socket, socket.socket]:
    datagrams = _bound(address, socket.SOCK_DGRAM)
    try:
        return datagrams, _bound((address[0], datagrams.getsockname()[1]), socket.SOCK_STREAM)
    except OSError:
        datagrams.close()
        raise


def _bound(address: Address, kind: socket.SocketKind) -> socket.socket:
    flags = socket.AI_NUMERICHOST | socket.AI_PASSIVE
    family, _, _, _, where = socket.getaddrinfo(*address, type=kind, flags=flags)[0]
    bound = socket.socket(family, kind)
    try:
        if family == socket.AF_INET6:  # so that [::] and 0.0.0.0 can stand side by side
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if kind == socket.SOCK_STREAM:  # past connections in TIME_WAIT; on UDP it would let two servers in
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        send, receive = _KERNEL_BUFFERS[kind]
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, send)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive)
        bound.setblocking(False)
        bound.bind(where)
        if kind == socket.SOCK_STREAM:
            bound.listen(_BACKLOG)  # here already, because a port can also be lost between the two
    except OSError:
        bound.close()
        raise
    return bound
