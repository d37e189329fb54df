"""A TCP proxy before an API server, which counts connections."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from tests.waiting import until

_ADDRESS = "127.0.0.1"
_PATIENCE = 5.0  # seconds for connections to close


@dataclass
class CountingProxy:
    """Made by `counting`."""

    target: str  # HOST:PORT
    url: str = ""
    accepted: int = 0
    _copying: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def open(self) -> int:
        """How many connections there are now."""
        return len(self._copying)

    async def until_open(self, count: int) -> None:
        """Wait until there are so many connections."""
        await until(lambda: self.open == count, _PATIENCE, f"{count} connections")

    async def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Copy both ways until one side closes."""
        task = asyncio.current_task()
        assert task is not None
        self.accepted += 1
        self._copying.add(task)
        host, _, port = self.target.rpartition(":")
        try:
            from_server, to_server = await asyncio.open_connection(host, int(port))
            ways = [asyncio.create_task(_copy(*way)) for way in ((reader, to_server), (from_server, writer))]
            try:
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for way in ways:
                    way.cancel()
                await asyncio.gather(*ways, return_exceptions=True)
                to_server.transport.abort()
        except asyncio.CancelledError:
            return  # asyncio's server would log it
        finally:
            writer.transport.abort()
            self._copying.discard(task)

    async def close(self) -> None:
        """Cut the connections that are left."""
        for task in self._copying:
            task.cancel()
        await asyncio.gather(*self._copying, return_exceptions=True)


@asynccontextmanager
async def counting(target: str) -> AsyncIterator[CountingProxy]:
    """Proxy connections of HTTPS to an address, HOST:PORT."""
    proxy = CountingProxy(target)
    server = await asyncio.start_server(proxy.accept, _ADDRESS, 0)
    proxy.url = f"https://{_ADDRESS}:{server.sockets[0].getsockname()[1]}"
    try:
        yield proxy
    finally:
        server.close()
        await proxy.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
