"""The sockets that a nameserver listens on.

The embedded nameserver: zones in memory, answered on UDP and TCP, changed by the publisher only.
"""

import asyncio
import errno
import socket
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Self

import structlog

from ddnsd.aio import Slice
from ddnsd.nameserver.embedded.answer import Policy
from ddnsd.nameserver.embedded.cookies import Cookies
from ddnsd.nameserver.embedded.ratelimit import ResponseRates
from ddnsd.nameserver.embedded.settings import EmbeddedSettings
from ddnsd.nameserver.embedded.transports import BUFFER, DatagramService, Responder, StreamService
from ddnsd.nameserver.embedded.zone import Serials, Zone
from ddnsd.nameserver.interface import (
    LoadedNameserver,
    QueryRefusedError,
    Rcode,
    RecordType,
    RRset,
    UnreachableError,
    Update,
)

HostPort = tuple[str, int]  # host and port

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


class Listeners:
    """UDP and TCP on each address of the settings."""

    def __init__(self, settings: EmbeddedSettings, responder: Responder) -> None:
        self._settings = settings
        self._responder = responder
        self._datagrams: list[DatagramService] = []
        self._servers: list[asyncio.Server] = []
        self._streams = StreamService(
            partial(responder.respond, is_datagram=False),
            idle=settings.tcp_idle,
            most=settings.tcp_connections,
            most_of_one=settings.tcp_connections_per_source,
        )

    @property
    def addresses(self) -> tuple[HostPort, ...]:
        """The addresses listened on, in the settings' order, with their actual ports."""
        return tuple(server.sockets[0].getsockname()[:2] for server in self._servers)

    async def open(self) -> None:
        """Listen on every address, or on none.

        Raises:
            OSError: one of them cannot be listened on; the message says why, and the remedy.
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
        respond = partial(self._responder.respond, is_datagram=True)
        self._datagrams.append(DatagramService(datagrams, respond))
        self._servers.append(
            await asyncio.start_server(self._streams.serve, sock=streams, limit=BUFFER, backlog=_BACKLOG)
        )

    def _bind(self, address: HostPort) -> tuple[socket.socket, socket.socket]:
        try:
            return _bind_both(address)
        except OSError as error:
            host, port = address
            reason = error.strerror or str(error)
            remedy = _REMEDIES.get(error.errno or 0, "choose a numeric address of this machine")
            raise OSError(
                f"the nameserver {self._settings.name!r} cannot listen on {host} port {port} (UDP and TCP): "
                f"{reason}: {remedy} (nameservers.{self._settings.name}.listen)"
            ) from error


def _bind_both(address: HostPort) -> tuple[socket.socket, socket.socket]:
    """Return a UDP and a TCP socket on the same port; of port 0: one that both have free."""
    for _ in range(_ATTEMPTS if address[1] == 0 else 0):
        with suppress(OSError):
            return _bind_pair(address)
    return _bind_pair(address)


def _bind_pair(address: HostPort) -> tuple[socket.socket, socket.socket]:
    datagrams = _bound(address, socket.SOCK_DGRAM)
    try:
        return datagrams, _bound((address[0], datagrams.getsockname()[1]), socket.SOCK_STREAM)
    except OSError:
        datagrams.close()
        raise


def _bound(address: HostPort, kind: socket.SocketKind) -> socket.socket:
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


PART = 200  # RRsets transferred in one turn of the event loop
_TRANSFERS = 4  # at once
_log = structlog.get_logger(__name__)


class EmbeddedNameserver(LoadedNameserver):
    """A `Nameserver` of this process, for an installation of one machine.

    It holds nothing but the serials on disk: `open` loads a zone from the store. What a query gets:
    for a zone that is open, the data; for one that is expected but not open yet, SERVFAIL, after which
    a resolver tries again or elsewhere; for all else REFUSED. Nothing that comes over the network can
    change a zone or transfer it. Closing it ends the service: only its owner does that, at the end.
    """

    def __init__(
        self, settings: EmbeddedSettings, serials: Serials, hidden: Callable[[str], str] = lambda _zone: ""
    ) -> None:
        """Use `start`."""
        self._settings = settings
        self._serials = serials
        self._zones: dict[str, Zone | None] = {}  # None: expected, not open
        rates = ResponseRates(settings.responses_per_second)
        self._responder = Responder(self._zones, Policy(settings.addresses, hidden, Cookies(), rates))
        self._listeners = Listeners(settings, self._responder)

    @classmethod
    async def start(
        cls,
        settings: EmbeddedSettings,
        zones: Iterable[str] = (),
        hidden: Callable[[str], str] = lambda _zone: "",
    ) -> Self:
        """Return a nameserver that listens and expects the zones.

        `hidden` returns the one name in a zone that is not answered to clients, "" if there is none.

        Raises:
            ValueError: its file of serials is damaged.
            OSError: an address cannot be listened on.
        """
        server = cls(settings, await Serials.load(settings.folder), hidden)
        server.expect(zones)
        try:
            await server._listeners.open()
        except BaseException:
            server._serials.close()
            raise
        _log.info("nameserver.listening", nameserver=settings.name, addresses=server.addresses)
        return server

    @property
    def addresses(self) -> tuple[HostPort, ...]:
        """The addresses it listens on, in the settings' order, with their actual ports."""
        return self._listeners.addresses

    @property
    def max_transfers(self) -> int:
        """How many transfers it takes at once."""
        return _TRANSFERS

    @property
    def answers(self) -> Mapping[str, int]:
        """How many messages from the network it answered, by code (see `Responder.answers`)."""
        return self._responder.answers

    def expect(self, zones: Iterable[str]) -> None:
        """Take the zones for its own; those not open yet answer SERVFAIL. Call it before they are opened."""
        for zone in zones:
            self._zones.setdefault(zone)

    async def leave(self, zone: str) -> None:
        """Forget a zone that was deleted or moved away: from now on REFUSED. Its serials are remembered."""
        self._zones.pop(zone, None)

    async def open(self, zone: str, contents: Sequence[RRset]) -> None:
        """Serve the zone with exactly these contents, from one moment to the next.

        The serial grows unless the same was served before. Until it returns, what was served stays.

        Raises:
            UnreachableError: no serial could be reserved on disk.
            ValueError: the contents are not valid.
        """
        fresh = Zone(zone, self._settings.authority, serial=0)
        async for rrset in Slice().each(contents):
            fresh.load((rrset,))
        await self._reserve(zone)
        served = self._zones.get(zone)
        if served is None or not served.same_contents(fresh):
            fresh.serial = self._serials.take(zone)
            self._zones[zone] = fresh

    async def update(self, update: Update) -> Rcode:
        """Change the zone as RFC 2136 says; NOTAUTH if it is not open.

        Raises:
            UnreachableError: no serial could be reserved on disk; nothing was changed.
        """
        if self._zones.get(update.zone) is not None:
            await self._reserve(update.zone)
        zone = self._zones.get(update.zone)  # again: it may be another now, or gone
        if zone is None:
            return Rcode.NOTAUTH
        return zone.apply(update, partial(self._serials.take, update.zone))

    async def query(self, zone: str, name: str, type: RecordType) -> RRset | None:
        """Return the RRset that is served.

        Raises:
            QueryRefusedError: the zone is not open.
        """
        return self._opened(zone).rrset(name, type)

    async def transfer(self, zone: str) -> AsyncIterator[Sequence[RRset]]:
        """Yield the zone, its SOA first, in parts of at most 200 RRsets.

        Raises:
            QueryRefusedError: the zone is not open.
        """
        slice = Slice()
        for part in self._opened(zone).rrsets(PART):
            yield part
            await slice.pause()

    async def close(self) -> None:
        """Stop answering; idempotent."""
        await self._listeners.close()
        self._serials.close()

    def _opened(self, zone: str) -> Zone:
        opened = self._zones.get(zone)
        if opened is None:
            raise QueryRefusedError(f"nameserver {self._settings.name!r}: the zone {zone} is not open here")
        return opened

    async def _reserve(self, zone: str) -> None:
        """Make sure of a serial for the step that follows, in which nobody else can take it."""
        try:
            while not self._serials.ready(zone):
                await self._serials.reserve(zone)
        except OSError as error:
            raise UnreachableError(
                f"nameserver {self._settings.name!r}: no SOA serial can be reserved in "
                f"{self._settings.folder}: {error.strerror or error}"
            ) from error
