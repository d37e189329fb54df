"""A small HTTP client over kept connections, so that a test sees each answer's bytes as a client does."""

import asyncio
from collections.abc import Mapping
from typing import Any, NamedTuple
from urllib.parse import urlencode

import msgspec


class Reply(NamedTuple):
    status: int
    headers: Mapping[str, str]  # names in lower case
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        found: dict[str, Any] = msgspec.json.decode(self.body)
        return found

    @property
    def message(self) -> str:
        return self.json.get("message") or self.json.get("error") or ""


class Client:
    """Connections to one `host:port`, opened as needed. Not for servers that answer without a length."""

    def __init__(self, address: str) -> None:
        self._host, _, port = address.rpartition(":")
        self._port = int(port)
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []
        self._is_closed = False

    async def get(self, path: str, **query: str) -> Reply:
        return await self.send("GET", f"{path}?{urlencode(query)}" if query else path)

    async def send(
        self, method: str, target: str, headers: Mapping[str, str] | None = None, body: bytes = b""
    ) -> Reply:
        head = {"Host": self._host, "Content-Length": str(len(body)), **(headers or {})}
        lines = "".join(f"{name}: {value}\r\n" for name, value in head.items())
        return await self.raw(f"{method} {target} HTTP/1.1\r\n{lines}\r\n".encode() + body)

    async def raw(self, message: bytes) -> Reply:
        reader, writer = (
            self._idle.pop()
            if self._idle
            else await asyncio.open_connection(self._host.strip("[]"), self._port, limit=2**20)
        )
        try:
            writer.write(message)
            reply = await _read_reply(reader)
        except BaseException:
            writer.close()
            raise
        if self._is_closed or reply.headers.get("connection") == "close":
            writer.close()
        else:
            self._idle.append((reader, writer))
        return reply

    async def close(self) -> None:
        """Close what is idle now, and what is at work once it has its answer."""
        self._is_closed = True
        for _, writer in self._idle:
            writer.close()
        self._idle.clear()


async def _read_reply(reader: asyncio.StreamReader) -> Reply:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:-2])}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Reply(int(head[0].split()[1]), headers, body)
