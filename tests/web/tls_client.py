"""A client of TLS that is in charge of each octet: it may end its half, and go on to read."""

import asyncio
import contextlib
import ssl
from pathlib import Path

from tests.rigs.certificates import Certificates


def server_context(certificates: Certificates) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificates.folder / "server.pem", certificates.folder / "server.key")
    return context


def client_context(authority: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(authority))


class TlsClient:
    """One connection, which is open already."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, context: ssl.SSLContext
    ) -> None:
        self._reader, self._writer = reader, writer
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname="127.0.0.1")

    async def shake_hands(self) -> None:
        while True:
            try:
                self._tls.do_handshake()
            except ssl.SSLWantReadError:
                self._flush()
                await self._more()
            else:
                break
        self._flush()

    def send(self, octets: bytes) -> None:
        self._tls.write(octets)
        self._flush()

    def end(self) -> None:
        """Say that no more comes (RFC 8446 §6.1)."""
        with contextlib.suppress(ssl.SSLWantReadError):
            self._tls.unwrap()
        self._flush()

    async def read(self) -> tuple[bytes, bool]:
        """Return all that comes, and whether the server has said that it was all."""
        octets = b""
        while True:
            try:
                part = self._tls.read(65536)
            except ssl.SSLZeroReturnError:
                return octets, True
            except ssl.SSLWantReadError:
                if not await self._more():
                    return octets, False
                continue
            if not part:
                return octets, True
            octets += part

    async def read_until(self, end: bytes) -> bytes:
        octets = b""
        while not octets.endswith(end):
            try:
                octets += self._tls.read(65536)
            except ssl.SSLWantReadError:
                assert await self._more(), octets
        return octets

    async def _more(self) -> bool:
        async with asyncio.timeout(20):
            octets = await self._reader.read(65536)
        self._incoming.write(octets)
        return octets != b""

    def _flush(self) -> None:
        self._writer.write(self._outgoing.read())
