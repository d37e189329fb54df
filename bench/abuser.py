"""`python -m bench.abuser KIND HOST:PORT SECONDS`: connections that know no limit, at full speed.

It prints how often they did it.
"""

import contextlib
import itertools
import os
import socket
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from urllib.parse import urlencode

from tests.system.installation import SECRET, UPDATE

CONNECTIONS = 2  # of most kinds
ZONE, TOKEN = "mallory.example", f"{SECRET}-mallory"
HOST = f"own.{ZONE}"
DEAD_ZONE, DEAD_HOST = "dead.example", "own.dead.example"
REFUSED_ZONE, REFUSED_HOST = "refused.example", "own.refused.example"
_LARGE = bytes(4 << 20)
_HALF_OPEN = 1100
_WAITING = 256  # the default of `http.max_connections_per_source`


class Attacker:
    """One connection, opened again whenever it is closed."""

    def __init__(self, address: tuple[str, int], until: float, number: int) -> None:
        self.times = 0
        self.source = (f"127.0.0.{2 + number}", 0)
        """A loopback address of its own, for an attack that fills all that one source may have."""
        self._address = address
        self._until = until

    def run(self, acts: Callable[["Attacker"], Iterator[None]]) -> None:
        """Do it again and again until the time is over."""
        while time.monotonic() < self._until:
            with (
                contextlib.suppress(OSError),
                self.connect() as self.socket,
            ):
                self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                # It is to send, and not to fill a buffer of its own: that would only keep its core busy.
                self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
                for _ in acts(self):
                    self.times += 1
                    if time.monotonic() >= self._until:
                        return

    def connect(self) -> socket.socket:
        """Open a connection."""
        return socket.create_connection(self._address, timeout=10)

    def ask(self, **query: str) -> None:
        """Send an update and take its answer."""
        target = f"{UPDATE}?{urlencode(query)}"
        self.socket.sendall(f"GET {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        self.take()

    def take(self) -> None:
        """Take an answer, as far as it has come."""
        if not self.socket.recv(65536):
            raise ConnectionResetError

    def see_the_end(self) -> None:
        """Wait until the connection is closed."""
        with contextlib.suppress(ConnectionResetError):
            while self.socket.recv(65536):
                pass


def wrong_tokens(attacker: Attacker) -> Iterator[None]:
    """Try one token after the other."""
    while True:
        attacker.ask(domain=HOST, ip="192.0.2.1", token=os.urandom(16).hex())
        yield


def impatient(attacker: Attacker) -> Iterator[None]:
    """Try tokens, each on a connection of its own, and wait for no answer."""
    query = urlencode({"domain": HOST, "ip": "192.0.2.1", "token": os.urandom(16).hex()})
    attacker.socket.sendall(f"GET {UPDATE}?{query} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    yield


def slow_heads(attacker: Attacker) -> Iterator[None]:
    """Send a head that never ends, one octet in each packet."""
    attacker.socket.sendall(f"GET {UPDATE} HTTP/1.1\r\nHost: x\r\nX: ".encode())
    while True:
        attacker.socket.sendall(b"x")
        yield


def slow_bodies(attacker: Attacker) -> Iterator[None]:
    """Send a body that never ends, one octet in each packet."""
    head = f"POST {UPDATE} HTTP/1.1\r\nHost: x\r\nContent-Length: 60000\r\n\r\n"
    attacker.socket.sendall(head.encode())
    while True:
        attacker.socket.sendall(b"x")
        yield


def large_bodies(attacker: Attacker) -> Iterator[None]:
    """Send a body of 4 MiB."""
    head = f"POST {UPDATE} HTTP/1.1\r\nHost: x\r\nContent-Length: {len(_LARGE)}\r\n\r\n"
    while True:
        attacker.socket.sendall(head.encode() + _LARGE)
        attacker.take()
        yield


def large_heads(attacker: Attacker) -> Iterator[None]:
    """Send a head of 64 KiB, and wait until the connection is closed."""
    attacker.socket.sendall(f"GET {UPDATE} HTTP/1.1\r\nHost: x\r\nX: {'x' * 65536}".encode())
    attacker.see_the_end()
    yield


def malformed(attacker: Attacker) -> Iterator[None]:
    """Send what is no HTTP, and wait until the connection is closed."""
    attacker.socket.sendall(b"\x16\x03\x01\r\n\r\n")
    attacker.see_the_end()
    yield


def no_path(attacker: Attacker) -> Iterator[None]:
    """Send thousands of requests for nothing at once, and take no answer."""
    many = b"GET /favicon.ico HTTP/1.1\r\nHost: x\r\n\r\n" * 1000
    while True:
        attacker.socket.sendall(many)
        yield


def changes(attacker: Attacker) -> Iterator[None]:
    """Change one's own host, with a valid token."""
    for number in itertools.count():
        attacker.ask(domain=HOST, ip=f"192.0.2.{number % 250 + 1}", token=TOKEN)
        yield


def _posted(path: str, body: str) -> bytes:
    octets = body.encode()
    head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\n"
    return f"{head}Content-Length: {len(octets)}\r\n\r\n".encode() + octets


def _again(message: bytes) -> Callable[[Attacker], Iterator[None]]:
    def send(attacker: Attacker) -> Iterator[None]:
        while True:
            attacker.socket.sendall(message)
            attacker.take()
            yield

    return send


_WRONG = "nobody-has-this-token-0123"
_SIXES = ",".join(f"2001:db8::{number:x}" for number in range(4000))[:64_000]
_MARKED = ",".join(["a" + "\u0301\u0316" * 511 + "x"] * 20)
addresses = _again(_posted("/nic/update", f"hostname={HOST}&password={_WRONG}&myip={_SIXES}"))
"""64 KiB of addresses."""
names = _again(_posted("/nic/update", f"password={_WRONG}&hostname={_MARKED}"))
"""20 names of 1,024 code points, most of them combining marks."""
escapes = _again(_posted(UPDATE, f"token={_WRONG}&domain={'%' * 64_000}"))
"""64,000 percent signs."""
fields = _again(b"GET /api/ddns/ip HTTP/1.1\r\nHost: x\r\n" + b"a:\r\n" * 3900 + b"\r\n")
"""3,900 empty header fields, where no token is asked for."""
_LABELS = ",".join(f"n{number}" for number in range(20))
labels = _again(_posted("/update", f"token={TOKEN}&ip=192.0.2.1&domains={_LABELS}"))
"""20 first labels of hosts that are not there, with a valid token of an account with thousands."""


def networks(attacker: Attacker) -> Iterator[None]:
    """Try tokens from another /64 of one /48 each time, as a proxy tells."""
    for number in itertools.count():
        query = urlencode({"domain": HOST, "ip": "192.0.2.1", "token": os.urandom(16).hex()})
        told = f"X-Forwarded-For: 2001:db8:1:{number % 65536:x}::1"
        attacker.socket.sendall(f"GET {UPDATE}?{query} HTTP/1.1\r\nHost: x\r\n{told}\r\n\r\n".encode())
        attacker.take()
        yield


def nowhere(attacker: Attacker) -> Iterator[None]:
    """Try tokens from a source that two headers disagree about."""
    disagreeing = "X-Forwarded-For: 192.0.2.9\r\nForwarded: for=192.0.2.8"
    while True:
        query = urlencode({"domain": HOST, "ip": "192.0.2.1", "token": os.urandom(16).hex()})
        attacker.socket.sendall(f"GET {UPDATE}?{query} HTTP/1.1\r\nHost: x\r\n{disagreeing}\r\n\r\n".encode())
        attacker.take()
        yield


def waiting(attacker: Attacker) -> Iterator[None]:
    """Have as many connections as one source may have wait for a dead nameserver, with a valid token."""
    address = attacker.socket.getpeername()[:2]
    with contextlib.ExitStack() as stack:
        crowd = [
            stack.enter_context(socket.create_connection(address, 20, attacker.source))
            for _ in range(_WAITING)
        ]
        for number in itertools.count():
            query = urlencode({"domain": DEAD_HOST, "ip": f"192.0.2.{number % 250 + 1}", "token": TOKEN})
            for each in crowd:
                each.sendall(f"GET {UPDATE}?{query} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            for each in crowd:
                each.recv(65536)
                yield


def refused(attacker: Attacker) -> Iterator[None]:
    """Ask again and again for a host whose record the nameserver refuses, with a valid token."""
    while True:
        attacker.ask(domain=REFUSED_HOST, ip="192.0.2.1", token=TOKEN)
        yield


def half_open(attacker: Attacker) -> Iterator[None]:
    """Hold 1,100 connections with half a request; open those again that are closed, 200 a second."""
    held: deque[socket.socket] = deque()
    with contextlib.ExitStack() as stack:
        stack.callback(_close, held)
        while True:
            if len(held) >= _HALF_OPEN:
                held.popleft().close()
                time.sleep(0.005)
            held.append(attacker.connect())
            held[-1].sendall(b"GET / HTTP/1.1\r\n")
            yield None


def dns_connections(attacker: Attacker) -> Iterator[None]:
    """Open 3,200 connections a second to the nameserver, and send nothing on them."""
    held: deque[socket.socket] = deque()
    began = time.monotonic()
    with contextlib.ExitStack() as stack:
        stack.callback(_close, held)
        for number in itertools.count():
            time.sleep(max(0.0, began + number / 3200 - time.monotonic()))
            held.append(attacker.connect())
            if len(held) > 300:
                held.popleft().close()
            yield None


KINDS: Mapping[str, Callable[[Attacker], Iterator[None]]] = {
    "wrong-tokens": wrong_tokens,
    "impatient": impatient,
    "slow-heads": slow_heads,
    "slow-bodies": slow_bodies,
    "large-heads": large_heads,
    "large-bodies": large_bodies,
    "malformed": malformed,
    "pipelined": no_path,
    "changes": changes,
    "addresses": addresses,
    "names": names,
    "escapes": escapes,
    "fields": fields,
    "labels": labels,
    "networks": networks,
    "nowhere": nowhere,
    "waiting": waiting,
    "refused": refused,
    "half-open-health": half_open,
    "half-open-admin": half_open,
    "dns-connections": dns_connections,
}
LISTENERS = {"half-open-health": "health", "half-open-admin": "admin", "dns-connections": "dns"}
"""Where those go that do not go to the public listener."""
_NUMBERS = {"refused": 8, **dict.fromkeys(LISTENERS, 1)}
"""How many connections do it, where it is not two."""
PROXIED = ("networks", "nowhere")
"""Those that come through a trusted proxy, which this machine then is to all clients."""
FLOODS = ("impatient", "malformed")
"""Those that do not stay with their two connections, but open thousands in a second."""


def _close(held: Iterable[socket.socket]) -> None:
    for each in held:
        each.close()


def main() -> None:
    """Run as many of a kind as there are connections."""
    kind, endpoint, seconds = sys.argv[1:]
    host, _, port = endpoint.rpartition(":")
    until = time.monotonic() + float(seconds)
    number = _NUMBERS.get(kind, CONNECTIONS)
    attackers = [Attacker((host, int(port)), until, each) for each in range(number)]
    threads = [threading.Thread(target=each.run, args=[KINDS[kind]]) for each in attackers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(sum(each.times for each in attackers))


if __name__ == "__main__":
    main()
