"""A small real HTTP server that answers as a test says: what the real ddnsd does only when in trouble."""

import asyncio
import json
import time
from collections.abc import Mapping
from typing import NamedTuple, Self
from urllib.parse import parse_qs

from ddnsd.aio import wait_for

DETECT, UPDATE = "/api/ddns/ip", "/api/ddns/update"


class Asked(NamedTuple):
    """A request that came; `at` by the monotonic clock."""

    at: float
    line: str
    headers: Mapping[str, str]  # names in lower case
    fields: Mapping[str, str]

    @property
    def path(self) -> str:
        return self.line.split()[1]


class Reply(NamedTuple):
    status: int
    body: str
    headers: Mapping[str, str] = {}


def changed(ip: str = "192.0.2.7", old_ip: str = "") -> Reply:
    data = {"domain": "blog.example.com", "ip": ip, "record_type": "A", "old_ip": old_ip, "updated": True}
    return Reply(200, _json({"success": True, "message": "DDNS 更新成功", "data": data}))


def unchanged() -> Reply:
    data = {"domain": "blog.example.com", "ip": "192.0.2.7", "updated": False}
    return Reply(200, _json({"success": True, "message": "IP 地址未变化,无需更新", "data": data}))


def refused(status: int, error: str, **headers: str) -> Reply:
    return Reply(status, _json({"success": False, "error": error}), headers)


def seen(ip: str) -> Reply:
    """Tell the client its address."""
    data = {"ip": ip, "record_type": "AAAA" if ":" in ip else "A"}
    return Reply(200, _json({"success": True, "data": data}))


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


class Fake:
    """`async with Fake(reply, …) as fake:`; the last reply is given again and again.

    Between `hold` and `release` requests wait; `another` returns when the next one has come.
    """

    def __init__(self, *replies: Reply) -> None:
        self.asked: list[Asked] = []
        self._arrived = asyncio.Semaphore(0)
        self._replies = list(replies)
        self._released = asyncio.Event()
        self._released.set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self.release()
        self._server.close()
        await asyncio.gather(*self._tasks)
        await self._server.wait_closed()

    def hold(self) -> None:
        """Answer nothing from now on."""
        self._released.clear()

    async def another(self) -> None:
        """Wait for a request that no call of this has waited for yet."""
        await asyncio.wait_for(self._arrived.acquire(), 60)

    def release(self) -> None:
        """Answer what waits, and all that comes."""
        self._released.set()

    async def _wait(self, writer: asyncio.StreamWriter) -> None:
        await self._released.wait()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            self.asked.append(await _read(reader))
            self._arrived.release()
            await self._wait(writer)
            reply = self._replies.pop(0) if len(self._replies) > 1 else self._replies[0]
            writer.write(_encode(reply))
            await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the client has gone
        finally:
            writer.close()


class DrippingFake(Fake):
    """Sends an octet of a header now and then while requests wait, so that no single read takes long."""

    async def _wait(self, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nX: ")
        while not await wait_for(self._released, 0.1):
            writer.write(b"x")
            await writer.drain()


async def _read(reader: asyncio.StreamReader) -> Asked:
    line, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")[:-2]
    headers = {name.lower(): value.strip() for name, _, value in (each.partition(":") for each in lines)}
    body = (await reader.readexactly(int(headers.get("content-length", "0")))).decode()
    fields = {name: values[0] for name, values in parse_qs(body, strict_parsing=bool(body)).items()}
    return Asked(time.monotonic(), line, headers, fields)


def _encode(reply: Reply) -> bytes:
    body = reply.body.encode()
    headers = {"Content-Length": str(len(body)), "Connection": "close", **reply.headers}
    head = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {reply.status} X\r\n{head}\r\n".encode() + body
