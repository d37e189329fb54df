"""The sockets of the HTTP listeners: bound before anything else is made, shared by all workers.

They listen only once a worker is ready: until then a client is refused, and tries the next address.
"""

import contextlib
import ctypes
import errno
import socket
import struct
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from ddnsd.config import ListenAddress, Settings

LISTENERS = ("public", "admin", "health")
_BACKLOG = 1024
_SO_ATTACH_FILTER = 26  # <asm-generic/socket.h>; Python has no name for it
# Classic BPF, socket(7): drop what opens a connection (SYN without ACK, in the 14th octet of the TCP
# header), let the rest pass, which handshakes under way need. Each: code, jump if true, if false, operand.
_NO_SYN = (
    (0x30, 0, 0, 13),  # load the octet
    (0x54, 0, 0, 0x12),  # and SYN | ACK
    (0x15, 0, 1, 0x02),  # SYN alone?
    (0x06, 0, 0, 0),  # drop
    (0x06, 0, 0, 0xFFFFFFFF),  # pass
)

SocketAddress = tuple[Any, ...]  # as ip(7) and ipv6(7) have it: host, port, and two more for IPv6


class Bound(NamedTuple):
    """A listener's sockets, one for each of its addresses; `endpoint` has the actual port."""

    name: str
    endpoint: ListenAddress
    sockets: Sequence[socket.socket]

    def listen(self) -> None:
        """Let clients connect; what another worker has done already, does no harm.

        Raises:
            OSError: another program has begun to listen there since it was bound.
        """
        for each in self.sockets:
            try:
                each.listen(_BACKLOG)
            except OSError as error:
                raise _listen_error(self.name, self.endpoint, error) from error

    def turn_away(self) -> None:
        """Answer no further connection in any worker; handshakes under way complete.

        A client that connects in this moment tries again a second later, and is refused by then. Without
        this, what connects while the sockets are closed is reset: it cannot know whether it was heard.
        """
        if sys.platform == "linux":
            for each in self.sockets:
                with contextlib.suppress(OSError):  # a sandbox that has no filters: a little is lost there
                    _attach(each, _NO_SYN)

    def close(self) -> None:
        """Close this process's sockets; those of other workers stay."""
        for each in self.sockets:
            each.close()


def bind_listeners(settings: Settings, names: Iterable[str] = LISTENERS) -> Mapping[str, Bound]:
    """Bind these HTTP listeners, all or none.

    Raises:
        OSError: an address is taken, not this machine's, or needs privileges.
    """
    listen = settings.listen
    endpoints = {"public": listen.public, "admin": listen.admin, "health": listen.health}
    with contextlib.ExitStack() as stack:
        bound = {name: _bind(name, endpoints[name], stack) for name in names}
        stack.pop_all()
    return bound


def _bind(name: str, endpoint: ListenAddress, stack: contextlib.ExitStack) -> Bound:
    try:
        found = socket.getaddrinfo(
            endpoint.host or None, endpoint.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        sockets = _bind_each(sorted({(family, address) for family, *_, address in found}), stack)
    except OSError as error:
        raise _listen_error(name, endpoint, error) from error
    return Bound(name, ListenAddress(endpoint.host, sockets[0].getsockname()[1]), sockets)


def _bind_each(
    addresses: Sequence[tuple[socket.AddressFamily, SocketAddress]], stack: contextlib.ExitStack
) -> Sequence[socket.socket]:
    """Bind a socket to each address of one name, all at the same port.

    Those that this machine does not have, as `localhost` may name the IPv6 of one without IPv6, are left
    out while there are others.
    """
    sockets: list[socket.socket] = []
    for at, (family, address) in enumerate(addresses, 1):
        host, port, *scope = address
        if sockets:
            port = sockets[0].getsockname()[1]  # where any free one was asked for
        try:
            sockets.append(_bind_one(family, (host, port, *scope), stack))
        except OSError as error:
            is_last = at == len(addresses) and not sockets
            if is_last or error.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                raise
    return sockets


def _bind_one(
    family: socket.AddressFamily, address: SocketAddress, stack: contextlib.ExitStack
) -> socket.socket:
    made = stack.enter_context(socket.socket(family))
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if family == socket.AF_INET6:
        made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)  # IPv4 has a socket of its own
    made.setblocking(False)
    made.bind(address)
    return made


def _attach(listening: socket.socket, program: Sequence[tuple[int, int, int, int]]) -> None:
    code = ctypes.create_string_buffer(b"".join(struct.pack("=HBBI", *step) for step in program))
    listening.setsockopt(
        socket.SOL_SOCKET, _SO_ATTACH_FILTER, struct.pack("HP", len(program), ctypes.addressof(code))
    )


def _listen_error(name: str, endpoint: ListenAddress, error: OSError) -> OSError:
    remedies = {
        errno.EADDRINUSE: "another program has it",
        errno.EACCES: "a port below 1024 needs privileges",
        errno.EADDRNOTAVAIL: "it is not an address of this machine",
    }
    reason = remedies.get(error.errno or 0, str(error))
    return OSError(
        f"cannot listen on {endpoint}: {reason}; change listen.{name} in config.yaml "
        f"or set DDNSD_LISTEN_{name.upper()}"
    )
