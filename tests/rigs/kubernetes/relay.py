"""Passing on what comes, and what comes back."""

import asyncio
import contextlib
from collections.abc import Callable

_CHUNK = 65536


async def relay(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, target: tuple[str, int] | None
) -> None:
    """Connect two streams until either side ends; without a target, or if it refuses, reset."""
    try:
        if target is None:
            writer.transport.abort()
            return
        there_reader, there_writer = await asyncio.open_connection(*target)
    except OSError:
        writer.transport.abort()
        return
    await asyncio.gather(_copy(reader, there_writer), _copy(there_reader, writer))


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while chunk := await reader.read(_CHUNK):
            writer.write(chunk)
            await writer.drain()
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()


class DatagramRelay(asyncio.DatagramProtocol):
    """Passes each datagram on by a socket of its own, and the one that answers it back."""

    def __init__(self, choose: Callable[[], tuple[str, int] | None]) -> None:
        self._choose = choose
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]
        self._transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        target = self._choose()
        if target is not None:
            self._asking = asyncio.ensure_future(self._pass(data, addr, target))

    async def _pass(self, data: bytes, addr: tuple[str, int], target: tuple[str, int]) -> None:
        assert self._transport is not None
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[bytes] = loop.create_future()
        socket, _ = await loop.create_datagram_endpoint(lambda: _Once(answer), remote_addr=target)
        try:
            socket.sendto(data)
            self._transport.sendto(await asyncio.wait_for(answer, 5), addr)
        except (OSError, TimeoutError):
            return
        finally:
            socket.close()


class _Once(asyncio.DatagramProtocol):
    def __init__(self, answer: asyncio.Future[bytes]) -> None:
        self._answer = answer

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if not self._answer.done():
            self._answer.set_result(data)

    def error_received(self, exc: Exception) -> None:
        if not self._answer.done():
            self._answer.set_exception(exc)
