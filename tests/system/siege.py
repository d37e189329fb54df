"""Connections that are opened to do harm: they take up places, and do not go by themselves."""

import contextlib
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Self

from tests.system.installation import UPDATE, Installation

HEAD = f"POST {UPDATE} HTTP/1.1\r\nHost: x\r\n"
NOWHERE = b"GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n"
KINDS = {
    "nothing": b"",
    "half a head": HEAD.encode(),
    "half a body": f"{HEAD}Content-Length: 60000\r\n\r\nhalf".encode(),
    "half a chunk": f"{HEAD}Transfer-Encoding: chunked\r\n\r\n5000\r\nhalf".encode(),
    "too large a head": f"{HEAD}X: {'y' * 100_000}".encode(),
    "too large a body": f"{HEAD}Content-Length: 4000000\r\n\r\n".encode() + bytes(1_000_000),
    "many requests, no answer read": NOWHERE * 5000,
}


class Siege:
    """Opens connections to a listener, all from one address; leaving it closes them."""

    def __init__(self, ddnsd: Installation, source: str, listener: str = "public") -> None:
        host, _, port = ddnsd.addresses[listener].rpartition(":")
        self._address = (host, int(port))
        self._source = source
        self._open: list[tuple[socket.socket, bytes]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for each, _rest in self._open:
            each.close()

    def attack(self, octets: bytes) -> None:
        """Open a connection and send what goes out at once."""
        each = socket.socket()
        each.bind((self._source, 0))
        each.connect(self._address)
        each.setblocking(False)
        self._open.append((each, octets))
        self.press()

    def press(self) -> None:
        """Send more of what did not go out yet."""
        self._open = [(each, self._send(each, rest)) for each, rest in self._open]

    def standing(self) -> int:
        """Return how many connections the other side has not closed."""
        return sum(self._stands(each) for each, _ in self._open)

    def _send(self, each: socket.socket, rest: bytes) -> bytes:
        with contextlib.suppress(BlockingIOError):
            try:
                return rest[each.send(rest) :] if rest else rest
            except OSError:  # closed by the other side
                return b""
        return rest

    def _stands(self, each: socket.socket) -> bool:
        try:
            return each.recv(1, socket.MSG_PEEK) != b""
        except BlockingIOError:
            return True
        except OSError:
            return False


def resident(ddnsd: Installation) -> int:
    """Return how much memory the process takes, in bytes."""
    lines = Path(f"/proc/{ddnsd.pid}/status").read_text().splitlines()
    (found,) = _numbers(lines, "VmRSS")
    return found * 1024


def _numbers(lines: list[str], name: str) -> Iterator[int]:
    return (int(line.split()[1]) for line in lines if line.startswith(f"{name}:"))
