"""A relay between a client and etcd that holds what it is told to: a lost answer, a request that comes late.

It copies bytes and knows as much of HTTP/2 (RFC 9113 §4.1) as it takes to see that a call was answered.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from tests.rigs.ports import ADDRESS

_HEADERS, _END_STREAM = 0x1, 0x1  # a frame's type; the flag of the last frame of an answer
_FRAME_HEADER = 9  # bytes
_PATIENCE = 20.0  # seconds; only a failing test waits for it


class _Frames:
    """Counts the calls that a server has answered to the end."""

    def __init__(self) -> None:
        self.answered = 0
        self._rest = b""

    def feed(self, data: bytes) -> None:
        self._rest += data
        while len(self._rest) >= _FRAME_HEADER:
            end = _FRAME_HEADER + int.from_bytes(self._rest[:3], "big")
            if len(self._rest) < end:
                return
            type, flags = self._rest[3], self._rest[4]
            self.answered += type == _HEADERS and bool(flags & _END_STREAM)
            self._rest = self._rest[end:]


class _Connection:
    """One of the client's connections, and the one to the server behind it."""

    def __init__(self, relay: "Relay", client: asyncio.StreamWriter, server: asyncio.StreamWriter) -> None:
        self.client = client
        self.server = server
        self.frames = _Frames()
        self.requests = b""  # held
        self._relay = relay

    async def copy_requests(self, reader: asyncio.StreamReader) -> None:
        while data := await reader.read(1 << 16):
            self._relay.look(data)
            if self._relay.holds_requests:
                self.requests += data
                self._relay.changed()
            else:
                self.server.write(data)

    async def copy_answers(self, reader: asyncio.StreamReader) -> None:
        while data := await reader.read(1 << 16):
            self.frames.feed(data)
            if not self._relay.holds_answers:
                self.client.write(data)
            self._relay.changed()


class Relay:
    """Made by `relay_to`. What it holds of a connection is lost when that is cut, unless it is delivered."""

    def __init__(self, port: int) -> None:
        """`port` is the server's, on the loopback."""
        self.port = 0
        self.holds_requests = False
        self.holds_answers = False
        self._to = port
        self._refuses = False
        self._awaited = b""
        self._connections: list[_Connection] = []
        self._cut: list[_Connection] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._moved = asyncio.Event()

    @property
    def endpoint(self) -> str:
        return f"http://{ADDRESS}:{self.port}"

    def hold_answers_to(self, content: bytes) -> None:
        """Hold all answers once a request with this content has come."""
        self._awaited = content

    def look(self, data: bytes) -> None:
        """Look at what a client has sent; a text that is awaited is in one piece, as all is that is short."""
        if self._awaited and self._awaited in data:
            self._awaited, self.holds_answers = b"", True

    def changed(self) -> None:
        """Let who waits look again."""
        self._moved.set()

    async def holds(self, content: bytes) -> None:
        """Wait until a request with this content is held."""
        await self._until(lambda: any(content in one.requests for one in self._connections))

    def cut(self, *, refuse: bool = False) -> None:
        """Reset the client's connections; those to the server stay. `refuse` those that come, too."""
        self._refuses = refuse
        self.holds_requests = self.holds_answers = False
        for connection in self._connections:
            connection.client.transport.abort()
        self._cut += self._connections
        self._connections = []

    async def deliver(self) -> None:
        """Give the server the requests that were held when their connection was cut; wait for its answers."""
        for connection in self._cut:
            if connection.requests:
                await self._deliver(connection)

    async def _deliver(self, connection: "_Connection") -> None:
        answered = connection.frames.answered
        connection.server.write(connection.requests)
        await self._until(lambda: connection.frames.answered > answered)

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for connection in (*self._connections, *self._cut):
            connection.client.transport.abort()
            connection.server.transport.abort()

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._refuses:
            writer.transport.abort()
            return
        from_server, to_server = await asyncio.open_connection(ADDRESS, self._to)
        connection = _Connection(self, writer, to_server)
        self._connections.append(connection)
        for copying in (connection.copy_requests(reader), connection.copy_answers(from_server)):
            task = asyncio.create_task(_quietly(copying))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(_PATIENCE):
            while not condition():
                self._moved.clear()
                await self._moved.wait()


async def _quietly(copying: Awaitable[None]) -> None:
    try:
        await copying
    except ConnectionError:
        return  # it was cut


@asynccontextmanager
async def relay_to(port: int) -> AsyncIterator[Relay]:
    """Relay to a server on the loopback."""
    relay = Relay(port)
    server = await asyncio.start_server(relay.accept, ADDRESS, 0)
    relay.port = server.sockets[0].getsockname()[1]
    try:
        yield relay
    finally:
        server.close()
        await relay.close()
