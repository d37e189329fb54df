"""DNS over TCP (RFC 7766)."""

import asyncio
from collections.abc import Callable
from itertools import islice

BUFFER = 16 * 1024  # octets of unread queries, and of unsent answers, per connection (about)
_LENGTH = 2  # octets before each message (RFC 1035 §4.2.2)


class StreamService:
    """Answers the queries of each connection one by one, in their order, as fast as it takes them.

    A client that sends half a query, or takes no answers, is gone after `idle` seconds; beyond
    `most` connections the one that was answered longest ago goes.
    """

    def __init__(self, respond: Callable[[bytes], bytes | None], *, idle: float, most: int) -> None:
        self._respond = respond
        self._idle = idle
        self._most = most
        self._connections: dict[asyncio.StreamWriter, asyncio.Task[None] | None] = {}  # longest silent first

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection until it ends."""
        writer.transport.set_write_buffer_limits(high=BUFFER)
        self._connections[writer] = asyncio.current_task()
        self._make_room()
        try:
            while await self._exchange(reader, writer):
                self._connections[writer] = self._connections.pop(writer)
            await self._finish(writer)
        except OSError:
            return  # reset, or out of time (TimeoutError is one): the client's doing, nobody to tell
        finally:
            self._connections.pop(writer, None)
            writer.transport.abort()

    async def close(self) -> None:
        """End all connections. Their tasks see it and return; cancelled, asyncio 3.11 would log them."""
        tasks = [task for task in self._connections.values() if task is not None]
        for writer in self._connections:
            writer.transport.abort()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _make_room(self) -> None:
        surplus = len(self._connections) - self._most
        for writer in list(islice(self._connections, max(surplus, 0))):
            writer.transport.abort()  # its own task sees that, and ends

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer the next query; say whether there may be another."""
        async with asyncio.timeout(self._idle):
            query = await _receive(reader)
            response = self._respond(query) if query is not None else None
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


async def _receive(reader: asyncio.StreamReader) -> bytes | None:
    """Return the next message, None at the end of the stream or in the middle of a message."""
    try:
        length = int.from_bytes(await reader.readexactly(_LENGTH), "big")
        return await reader.readexactly(length)
    except asyncio.IncompleteReadError:
        return None
