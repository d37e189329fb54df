"""A TCP connection to a nameserver: whole messages out and in (RFC 1035 §4.2.2)."""

import asyncio
from asyncio import IncompleteReadError, StreamReader, StreamWriter

from ddnsd.nameserver.interface import NoAnswerError, UnreachableError
from ddnsd.nameserver.rfc2136.settings import Rfc2136Settings


async def connect(settings: Rfc2136Settings) -> "Connection":
    """Open a connection.

    Raises:
        UnreachableError: there is none within the settings' `connect_timeout`.
    """
    try:
        async with asyncio.timeout(settings.connect_timeout):
            reader, writer = await asyncio.open_connection(settings.host, settings.port)
    except OSError as error:  # TimeoutError is one
        reason = str(error) or f"no connection within {settings.connect_timeout} s"
        raise UnreachableError(f"{settings.name}: {reason}") from error
    return Connection(settings.name, reader, writer)


class Connection:
    """One connection, for one sender and one receiver at a time."""

    def __init__(self, name: str, reader: StreamReader, writer: StreamWriter) -> None:
        """`name` is the nameserver's, for error texts."""
        self._name = name
        self._reader = reader
        self._writer = writer

    @property
    def is_usable(self) -> bool:
        """Say whether neither side is known to have closed it."""
        return not (self._writer.is_closing() or self._reader.at_eof() or self._reader.exception())

    async def send(self, message: bytes) -> None:
        """Send one message.

        Raises:
            UnreachableError: the connection was closed before; nothing was sent.
            NoAnswerError: the connection broke; part of it, or all, may have arrived.
        """
        if self._writer.is_closing():
            raise UnreachableError(f"{self._name}: the connection is closed")
        try:
            self._writer.write(len(message).to_bytes(2) + message)
            await self._writer.drain()
        except OSError as error:
            raise NoAnswerError(f"{self._name}: the connection broke: {error}") from error

    async def receive(self) -> bytes:
        """Return the next message.

        Raises:
            NoAnswerError: the connection ended before there was a whole one.
        """
        try:
            length = int.from_bytes(await self._reader.readexactly(2))
            return await self._reader.readexactly(length)
        except (IncompleteReadError, OSError) as error:
            raise NoAnswerError(f"{self._name} closed the connection") from error

    def abort(self) -> None:
        """Close it at once and send nothing more; idempotent."""
        self._writer.transport.abort()

    async def closed(self) -> None:
        """Wait until an aborted connection has let go of its socket."""
        try:
            await self._writer.wait_closed()
        except OSError:
            return  # it is closed; how it broke has been told to whoever used it
