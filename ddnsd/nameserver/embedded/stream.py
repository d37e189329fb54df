"""DNS over TCP (RFC 7766)."""

import asyncio
from collections.abc import Callable

from ddnsd.nameserver.embedded.message import Peer
from ddnsd.nameserver.embedded.ratelimit import site

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
            return  # reset, or out of time (TimeoutError is one): the client's doing, nobody to tell
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
