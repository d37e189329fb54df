"""Links between a node and what it calls: TCP connections that can be delayed, held in one direction, reset.

A held direction loses nothing, as in a real partition: what was sent arrives once it is open again, however
late. A process that is stopped, or a place that is cut off, is a matter of `tests.system.cluster`.
"""

import asyncio
import contextlib
import socket
import struct
from enum import StrEnum
from typing import Self

_CHUNK = 65536  # bytes
_PATIENCE = 1.0  # seconds that a side may take for the last of what was sent
_QUEUE = 64  # chunks on their way, before their sender has to wait


class Way(StrEnum):
    """A direction of a link."""

    OUT = "out"  # from the node
    BACK = "back"


class Link:
    """`async with Link(host, target) as link:` listens at `host`, and forwards what comes to the target."""

    def __init__(self, host: str, target: tuple[str, int]) -> None:
        self._host = host
        self._target = target
        self._delay = 0.0
        self._open = {way: asyncio.Event() for way in Way}
        self._held = dict.fromkeys(Way, 0)
        self._writers: set[asyncio.StreamWriter] = set()
        self._serving: set[asyncio.Task[None]] = set()
        for event in self._open.values():
            event.set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, self._host, 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for event in self._open.values():
            event.set()
        while self._serving:
            self.reset()
            await asyncio.wait(self._serving, timeout=0.1)

    @property
    def port(self) -> int:
        return int(self._server.sockets[0].getsockname()[1])

    def delay(self, seconds: float) -> None:
        """Let everything arrive so much later, each way; 0 for at once."""
        self._delay = seconds

    def hold(self, *ways: Way) -> None:
        """Let nothing arrive that goes these ways, until as many calls of `release`."""
        for way in ways:
            self._held[way] += 1
            self._open[way].clear()

    def release(self, *ways: Way) -> None:
        """Take back one `hold` of these ways."""
        for way in ways:
            self._held[way] -= 1
            if not self._held[way]:
                self._open[way].set()

    def reset(self) -> None:
        """End all connections at once, for both sides."""
        for writer in tuple(self._writers):
            _reset(writer)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)
        try:
            there, beyond = await asyncio.open_connection(*self._target)
        except OSError:
            _reset(writer)
            return
        self._writers |= {writer, beyond}
        pumps = [
            asyncio.create_task(self._pump(reader, beyond, Way.OUT)),
            asyncio.create_task(self._pump(there, writer, Way.BACK)),
        ]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_EXCEPTION)
        finally:
            for pump in pumps:
                pump.cancel()
            await asyncio.gather(*pumps, return_exceptions=True)
            for each in (writer, beyond):
                await _end(each)
                self._writers.discard(each)

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, way: Way) -> None:
        """Forward one direction of a connection to its end.

        Raises:
            OSError: one of the two sides has reset it.
        """
        queue: asyncio.Queue[tuple[float, bytes | None]] = asyncio.Queue(_QUEUE)
        reading = asyncio.create_task(self._read(reader, queue))
        try:
            while True:
                due, data = await queue.get()
                await asyncio.sleep(max(0.0, due - asyncio.get_running_loop().time()))
                await self._open[way].wait()
                if data is None:
                    raise ConnectionResetError
                if not data:
                    writer.write_eof()
                    return
                writer.write(data)
                await writer.drain()
        finally:
            reading.cancel()

    async def _read(
        self, reader: asyncio.StreamReader, queue: asyncio.Queue[tuple[float, bytes | None]]
    ) -> None:
        """Put what comes into the queue, with when it is due: b"" is the end, None a reset."""
        data: bytes | None = b"-"
        while data:
            try:
                data = await reader.read(_CHUNK)
            except OSError:
                data = None
            await queue.put((asyncio.get_running_loop().time() + self._delay, data))


async def _end(writer: asyncio.StreamWriter) -> None:
    """Close it, and let it send what it has, but not for ever."""
    writer.close()
    try:
        async with asyncio.timeout(_PATIENCE):
            await writer.wait_closed()
    except OSError:  # TimeoutError is an OSError
        _reset(writer)


def _reset(writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        linger = struct.pack("ii", 1, 0)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    writer.transport.abort()
