"""A TCP peer that behaves as a test says: what no real nameserver can be made to do."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress

from ddnsd.nameserver.rfc2136 import Rfc2136Settings
from tests.narrow import present

Behaviour = Callable[[bytes, asyncio.StreamWriter], Awaitable[None]]


class Peer:
    """Calls `behaviour` with each request that comes in. It may write anything, or close."""

    def __init__(self, behaviour: Behaviour) -> None:
        self._behaviour = behaviour
        self._writers: list[asyncio.StreamWriter] = []
        self._serving: set[asyncio.Task[None]] = set()
        self.port = 0
        self.requests: list[bytes] = []

    @property
    def connections(self) -> int:
        """How many there have been."""
        return len(self._writers)

    def settings(self, *, timeout: float = 0.3, idle_timeout: float = 3.0, key: str = "") -> Rfc2136Settings:
        """What reaches it; unsigned unless there is the name of a key."""
        return Rfc2136Settings(
            name="peer",
            host="127.0.0.1",
            port=self.port,
            key_name=key,
            key_algorithm="hmac-sha256",
            key_secret=b"k" * 32,
            timeout=timeout,
            idle_timeout=idle_timeout,
        )

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        self._serving.add(present(asyncio.current_task()))
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                length = int.from_bytes(await reader.readexactly(2))
                self.requests.append(await reader.readexactly(length))
                await self._behaviour(self.requests[-1], writer)
        writer.close()

    async def close(self) -> None:
        """Close all connections and wait until nobody serves one."""
        self.drop_connections()
        if self._serving:
            await asyncio.wait(self._serving)

    def drop_connections(self) -> None:
        """Close all connections, as a nameserver that restarts."""
        for writer in self._writers:
            writer.close()


@asynccontextmanager
async def peer(behaviour: Behaviour) -> AsyncIterator[Peer]:
    """Run a peer on a free port."""
    running = Peer(behaviour)
    server = await asyncio.start_server(running.serve, "127.0.0.1", 0)
    running.port = server.sockets[0].getsockname()[1]
    try:
        yield running
    finally:
        server.close()
        await running.close()
        await server.wait_closed()


def send(writer: asyncio.StreamWriter, octets: bytes) -> None:
    """Write to a client, unless it has left meanwhile: uvloop does not take that lightly."""
    if not writer.is_closing():
        writer.write(octets)


def framed(message: bytes) -> bytes:
    """Return a message as it goes over TCP."""
    return len(message).to_bytes(2) + message


def acknowledge(request: bytes) -> bytes:
    """Return the answer NOERROR to a request: its header alone, with QR set."""
    return request[:2] + bytes((request[2] | 0x80, 0)) + bytes(8)
