"""A TCP connection as it is, for requests that no HTTP client would send."""

import asyncio
import contextlib
import socket
import struct

from tests.system.http import Reply

SECONDS = 60.0  # for each part of an answer


class Wire:
    """One connection as it is: whatever comes before a reset is read, half an answer is none."""

    def __init__(self, address: str, source: str = "") -> None:
        """`address` is `host:port`, the host an IPv4 address; `source` one of this machine to come from."""
        host, _, port = address.rpartition(":")
        self._address = (host, int(port))
        self._source = source
        self._received = b""

    async def __aenter__(self) -> "Wire":
        self._socket = socket.socket()
        self._socket.setblocking(False)
        # Closed by a reset: tens of thousands of connections would else use up the ports.
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._socket.bind((self._source, 0))
        try:
            await asyncio.get_running_loop().sock_connect(self._socket, self._address)
        except BaseException:
            self._socket.close()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        self._socket.close()

    async def send(self, octets: bytes) -> None:
        with contextlib.suppress(ConnectionResetError, BrokenPipeError):  # it may answer before all is sent
            await asyncio.get_running_loop().sock_sendall(self._socket, octets)

    def end(self) -> None:
        """Say that no more comes."""
        with contextlib.suppress(OSError):  # the other side may have ended already
            self._socket.shutdown(socket.SHUT_WR)

    async def leave(self) -> None:
        """Wait for `100 Continue`: the other side has taken the head and expects the body."""
        while b"\r\n\r\n" not in self._received:
            assert await self._more()
        assert self._received.startswith(b"HTTP/1.1 100 ")

    async def receive(self, method: str) -> Reply | None:
        """Return the next complete answer, None when there is none any more."""
        while (end := self._received.find(b"\r\n\r\n") + 4) < 4:
            if not await self._more():
                return None
        status, headers = _read_head(self._take(end))
        if status == 100:  # RFC 9110 §15.2: an answer before the answer
            return await self.receive(method)
        length = 0 if method == "HEAD" else int(headers.get("content-length", "0"))
        while len(self._received) < length:
            if not await self._more():
                return None
        return Reply(status, headers, self._take(length))

    def _take(self, length: int) -> bytes:
        taken, self._received = self._received[:length], self._received[length:]
        return taken

    async def _more(self) -> bool:
        try:
            async with asyncio.timeout(SECONDS):
                received = await asyncio.get_running_loop().sock_recv(self._socket, 65536)
        except ConnectionResetError:
            return False
        self._received += received
        return bool(received)


def _read_head(octets: bytes) -> tuple[int, dict[str, str]]:
    lines = octets.decode("latin-1").split("\r\n")
    fields = (line.partition(":") for line in lines[1:-2])
    return int(lines[0].split()[1]), {name.lower(): value.strip() for name, _, value in fields}
