"""DNS over UDP (RFC 1035 §4.2.1) and TCP (RFC 7766): each message is answered and counted.

An answer by UDP leaves from the address that was asked (RFC 2181 §4.1). asyncio's datagram transports do not
show to which address of the machine a datagram came, and on a socket that listens on all of them the kernel
would choose the answer's by its routes; a client that gets an answer from another address drops it. So the
socket is read here, with what RFC 3542 §6 and ip(7) call packet information.
"""

import asyncio
import ipaddress
import socket
import struct
import sys
import time
from collections import Counter
from collections.abc import Callable

import structlog

from ddnsd.nameserver.embedded.answer import (
    LIMITED,
    NO_POLICY,
    NOBODY,
    Peer,
    Policy,
    ServedZones,
    fail,
    respond,
)
from ddnsd.nameserver.embedded.ratelimit import site

_LONGEST = 65_535  # octets of a datagram
_AT_ONCE = 64  # datagrams in one turn of the event loop
_IP_PKTINFO = 8  # <linux/in.h>; Python has a name for it from 3.14 on
_PKTINFO_4 = struct.Struct("@i4s4s")  # struct in_pktinfo: interface, local address, destination in the header
_PKTINFO_6 = struct.Struct("@16si")  # struct in6_pktinfo: address, interface
_ROOM = socket.CMSG_SPACE(max(_PKTINFO_4.size, _PKTINFO_6.size))

Ancillary = tuple[int, int, bytes]
Respond = Callable[[bytes, Peer], bytes | None]


class DatagramService:
    """Answers each datagram of a bound socket at once, until `close`.

    Answers that the socket does not take are dropped: a resolver asks again, a queue would only make
    everybody's answer late.
    """

    def __init__(self, bound: socket.socket, respond: Respond) -> None:
        self._socket = bound
        self._respond = respond
        self._own = bound.getsockname()[0] if bound.family in (socket.AF_INET, socket.AF_INET6) else ""
        self._follows = is_wildcard(self._own) and follow_destinations(bound)
        asyncio.get_running_loop().add_reader(bound, self._read)

    def close(self) -> None:
        """Stop answering; idempotent."""
        if self._socket.fileno() >= 0:
            asyncio.get_running_loop().remove_reader(self._socket)
            self._socket.close()

    def _read(self) -> None:
        for _ in range(_AT_ONCE):
            try:
                wire, ancillary, _, client = self._socket.recvmsg(_LONGEST, _ROOM if self._follows else 0)
            except BlockingIOError:
                return
            except OSError:
                continue  # an ICMP error of an answer before: its address may be forged
            asked, route = _destination(ancillary) if self._follows else (self._own, ())
            response = self._respond(wire, Peer(client[0] if client else "", asked))
            if response is not None:
                self._send(response, route, client)

    def _send(self, response: bytes, route: tuple[Ancillary, ...], client: object) -> None:
        try:
            self._socket.sendmsg((response,), route, 0, client)  # type: ignore[arg-type]  # what recvmsg said
        except OSError:
            return  # no room, no route, no such client: nobody to report it to


def is_wildcard(address: str) -> bool:
    """Say whether a socket bound there takes what comes to any address."""
    return address in ("0.0.0.0", "::")  # noqa: S104 - what is asked


def follow_destinations(bound: socket.socket) -> bool:
    """Have the kernel report for each datagram where it came to; return whether it does."""
    if bound.family == socket.AF_INET6 and hasattr(socket, "IPV6_RECVPKTINFO"):
        bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
        return True
    if bound.family == socket.AF_INET and sys.platform == "linux":
        bound.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)
        return True
    return False


def _destination(ancillary: list[Ancillary]) -> tuple[str, tuple[Ancillary, ...]]:
    """Return the address of this machine that was asked, and what makes an answer leave from there."""
    for level, kind, data in ancillary:
        if (level, kind) == (socket.IPPROTO_IP, _IP_PKTINFO):
            _, local, _ = _PKTINFO_4.unpack_from(
                data
            )  # the header's may be a broadcast address, which sends nothing
            answer = _PKTINFO_4.pack(0, local, bytes(4))
            return socket.inet_ntop(socket.AF_INET, local), ((level, kind, answer),)
        if (level, kind) == (socket.IPPROTO_IPV6, socket.IPV6_PKTINFO):
            local, interface = _PKTINFO_6.unpack_from(data)
            address = ipaddress.IPv6Address(local)
            if address.is_multicast:
                return "", ()
            # An address of the link needs its interface; others take the route back, wherever it leads.
            answer = _PKTINFO_6.pack(local, interface if address.is_link_local else 0)
            return str(address), ((level, kind, answer),)
    return "", ()


BUFFER = 16 * 1024  # octets of unread queries, and of unsent answers, per connection (about)
_LENGTH = 2  # octets before each message (RFC 1035 §4.2.2)


class StreamService:
    """Answers the queries of each connection one by one, in their order, as fast as it takes them.

    A client that sends half a query, or takes no answers, is gone after `idle` seconds. Beyond `most`
    connections, or `most_of_one` of one source (an IPv4 address, an IPv6 /64), one goes that was answered
    longest ago: of the source itself where it has its share, else of the one that has the most.
    """

    def __init__(
        self,
        respond: Callable[[bytes, Peer], bytes | None],
        *,
        idle: float,
        most: int,
        most_of_one: int,
    ) -> None:
        self._respond = respond
        self._idle = idle
        self._most = most
        self._most_of_one = most_of_one
        self._tasks: dict[asyncio.StreamWriter, asyncio.Task[None] | None] = {}
        self._places: dict[bytes, dict[asyncio.StreamWriter, None]] = {}  # by source, longest silent first

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection until it ends."""
        writer.transport.set_write_buffer_limits(high=BUFFER)
        peer = _peer(writer)
        source = site(peer.source)
        places = self._take_place(source, writer)
        try:
            while await self._exchange(reader, writer, peer):
                if writer in places:  # else it has been given to another one
                    del places[writer]
                    places[writer] = None
            await self._finish(writer)
        except OSError:
            return  # reset, or out of time (TimeoutError is one): the client's doing
        finally:
            self._tasks.pop(writer, None)
            self._leave_place(source, writer)
            writer.transport.abort()

    async def close(self) -> None:
        """End all connections. Their tasks see it and return; cancelled, asyncio 3.11 would log them."""
        tasks = [task for task in self._tasks.values() if task is not None]
        for writer in self._tasks:
            writer.transport.abort()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _take_place(self, source: bytes, writer: asyncio.StreamWriter) -> dict[asyncio.StreamWriter, None]:
        """Give a new connection its place among its source's, which are returned."""
        self._tasks[writer] = asyncio.current_task()
        places = self._places.setdefault(source, {})
        places[writer] = None
        if len(places) > self._most_of_one:
            self._displace(source)
        elif sum(map(len, self._places.values())) > self._most:
            self._displace(max(self._places, key=lambda each: len(self._places[each])))
        return places

    def _displace(self, source: bytes) -> None:
        """End the connection of a source that was silent longest."""
        writer = next(iter(self._places[source]))
        self._leave_place(source, writer)
        writer.transport.abort()  # its own task sees that, and ends

    def _leave_place(self, source: bytes, writer: asyncio.StreamWriter) -> None:
        places = self._places.get(source, {})
        places.pop(writer, None)
        if not places:
            self._places.pop(source, None)

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, peer: Peer) -> bool:
        """Answer the next query; say whether there may be another."""
        async with asyncio.timeout(self._idle):
            query = await _receive(reader)
            response = self._respond(query, peer) if query is not None else None
            if response is None:
                return False
            writer.write(len(response).to_bytes(_LENGTH, "big") + response)
            await writer.drain()
        await asyncio.sleep(0)  # a pile of queries that came in one segment is not answered in one turn
        return True

    async def _finish(self, writer: asyncio.StreamWriter) -> None:
        """Send what is left to a client that has only stopped asking (RFC 7766 §6.2.4).

        `writer.close` would send it too, but a transport that it has closed cannot be aborted any more
        without an AttributeError (asyncio 3.11), and so not at the end of its time.
        """
        if writer.is_closing():
            return
        async with asyncio.timeout(self._idle):
            writer.transport.set_write_buffer_limits(high=0)
            await writer.drain()


def _peer(writer: asyncio.StreamWriter) -> Peer:
    """Return the two ends of a connection; one that is reset already has none."""
    source, asked = (writer.get_extra_info(name) or ("",) for name in ("peername", "sockname"))
    return Peer(source[0], asked[0])


async def _receive(reader: asyncio.StreamReader) -> bytes | None:
    """Return the next message, None at the end of the stream or in the middle of a message."""
    try:
        length = int.from_bytes(await reader.readexactly(_LENGTH), "big")
        return await reader.readexactly(length)
    except asyncio.IncompleteReadError:
        return None


_log = structlog.get_logger(__name__)
_QUIET = 60.0  # seconds between two log lines about faults


class Responder:
    """Answers messages from the zones, which may change between any two."""

    def __init__(self, zones: ServedZones, policy: Policy = NO_POLICY) -> None:
        self._zones = zones
        self._policy = policy
        self._logged = -_QUIET  # monotonic seconds
        self.answers: Counter[str] = Counter()
        """How many messages were answered since the start, by code; ``dropped``: not at all, ``limited``:
        not, as the client got too many, ``fault``: a bug, which was answered SERVFAIL.
        """

    def respond(self, wire: bytes, peer: Peer = NOBODY, *, is_datagram: bool) -> bytes | None:
        """Return the response, None if none is to be sent. Raises nothing."""
        try:
            response = respond(self._zones, wire, peer, self._policy, is_datagram=is_datagram)
        except Exception:  # noqa: BLE001 - whatever a stranger sends, the others are still answered
            self.answers["fault"] += 1
            self._report(wire)
            response = fail(wire)
        if response is LIMITED:
            self.answers["limited"] += 1
            return None
        self.answers["dropped" if response is None else response.rcode.name] += 1
        return None if response is None else response.wire

    def _report(self, wire: bytes) -> None:
        """Log the fault that is being handled, but do not let a stranger fill the log."""
        now = time.monotonic()
        if now - self._logged >= _QUIET:
            self._logged = now
            _log.exception("a DNS message met a bug", message=wire[:512].hex(), faults=self.answers["fault"])
