"""DNS over UDP (RFC 1035 §4.2.1), each answer from the address that was asked (RFC 2181 §4.1).

asyncio's datagram transports do not show to which address of the machine a datagram came, and on a socket
that listens on all of them the kernel would choose the answer's by its routes. A client that gets an answer
from another address than it asked drops it. So the socket is read here, with what RFC 3542 §6 and ip(7)
call packet information.
"""

import asyncio
import ipaddress
import socket
import struct
import sys
from collections.abc import Callable

from ddnsd.nameserver.embedded.message import Peer

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
            return  # no room, no route, no such client: nobody to tell


def is_wildcard(address: str) -> bool:
    """Say whether a socket bound there takes what comes to any address."""
    return address in ("0.0.0.0", "::")  # noqa: S104 - what is asked


def follow_destinations(bound: socket.socket) -> bool:
    """Have the kernel tell of each datagram where it came to; return whether it does."""
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
