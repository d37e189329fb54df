"""A `tornado.web.Application` on our own server: pages, cookies, streams, whatever its handlers ask for."""

import asyncio
import json
import socket
import struct
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import pytest
from tornado.iostream import StreamClosedError
from tornado.testing import bind_unused_port
from tornado.web import Application, RequestHandler, stream_request_body

from ddnsd.web.connections import ConnectionLimits, Connections, Rank
from ddnsd.web.http_server import HttpServer
from ddnsd.web.proxy_protocol import ProxyProtocol
from tests.rigs.certificates import Certificates
from tests.waiting import paced, settled, turn_loop, until
from tests.web.proxy_headers import version_1
from tests.web.public_place import PATIENT
from tests.web.tls_client import TlsClient, client_context, server_context

HOST = b"Host: x\r\n"
LARGE = 8 << 20  # octets: more than the buffers on the way hold


class Page(RequestHandler):
    def get(self) -> None:
        self.set_signed_cookie("session", "alice")
        self.set_cookie("theme", "dark")
        self.write(f"<p>{self.request.protocol} {self.request.remote_ip} {self.get_argument('q', '')}</p>")

    def post(self) -> None:
        files = {name: [file["body"].decode() for file in each] for name, each in self.request.files.items()}
        self.write({"arguments": {name: self.get_argument(name) for name in self.request.arguments}, **files})


class Events(RequestHandler):
    """Server-sent events, until the client leaves."""

    open = 0

    async def get(self) -> None:
        self.set_header("Content-Type", "text/event-stream")
        Events.open += 1
        try:
            async for number in paced(range(1000), 0.01):
                self.write(f"data: {number}\n\n")
                await self.flush()
        except StreamClosedError:
            pass
        finally:
            Events.open -= 1


class Large(RequestHandler):
    """An answer in parts, each when the client has taken the one before."""

    written = 0

    async def get(self) -> None:
        for _ in range(LARGE >> 16):
            self.write(b"x" * 65536)
            await self.flush()
            Large.written += 65536


class Gone(RequestHandler):
    """Waits for ever; it is told when the client has gone."""

    gone = asyncio.Event()

    async def get(self) -> None:
        await asyncio.Event().wait()

    def on_connection_close(self) -> None:
        super().on_connection_close()
        Gone.gone.set()


@stream_request_body
class Upload(RequestHandler):
    """Takes a body part by part, one at a time."""

    def prepare(self) -> None:
        self.size = self.at_once = 0
        if self.request.headers.get("Authorization") != "good":
            self.send_error(401)

    def data_received(self, chunk: bytes) -> Awaitable[None] | None:
        return self._take(chunk)

    async def _take(self, chunk: bytes) -> None:
        self.at_once += 1
        assert self.at_once == 1
        await turn_loop()
        self.size += len(chunk)
        self.at_once -= 1

    def put(self) -> None:
        self.write(str(self.size))


class Wrong(RequestHandler):
    """Breaks its word."""

    def get(self, how: str) -> None:
        if how == "crash":
            raise RuntimeError("a bug")
        self.set_header("Content-Length", "5" if how == "short" else "1")
        self.write("abc")


def application() -> Application:
    return Application(
        [
            *(("/", Page), ("/events", Events), ("/large", Large), ("/gone", Gone), ("/upload", Upload)),
            ("/wrong/(.*)", Wrong),
        ],
        cookie_secret="a-secret",
        log_function=lambda _: None,
    )


class Served:
    def __init__(self, **settings: Any) -> None:
        self.connections = Connections(ConnectionLimits(64, 64), lambda _: False, lambda _: None)
        limits = PATIENT._replace(max_body=1 << 20, idle=5)
        self.server = HttpServer(application(), limits, self.connections, **settings)
        listening, self.port = bind_unused_port()
        self.server.add_sockets([listening])

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.port)

    async def answer(self, octets: bytes) -> tuple[int, dict[str, list[str]], bytes]:
        """Send octets and no more; return the answer's status, headers, and body as it came."""
        reader, writer = await self.connect()
        writer.write(octets)
        writer.write_eof()
        async with asyncio.timeout(20):
            head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        writer.close()
        first, *lines = head.decode().split("\r\n")
        headers: dict[str, list[str]] = {}
        for name, _, value in (line.partition(": ") for line in lines):
            headers.setdefault(name.lower(), []).append(value)
        return int(first.split()[1]), headers, body


@asynccontextmanager
async def serving(**settings: Any) -> AsyncIterator[Served]:
    served = Served(**settings)
    yield served
    served.server.stop()
    await served.server.close()


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    async with serving() as served:
        yield served


async def test_a_page_with_cookies(served: Served) -> None:
    status, headers, body = await served.answer(b"GET /?q=a%20b HTTP/1.1\r\n" + HOST + b"\r\n")
    assert (status, body) == (200, b"<p>http 127.0.0.1 a b</p>")
    assert [cookie.partition("=")[0] for cookie in headers["set-cookie"]] == ["session", "theme"]
    (etag,) = headers["etag"]
    head, _, none = await served.answer(b"HEAD / HTTP/1.1\r\n" + HOST + b"\r\n")
    assert (head, none) == (405, b"")
    again = f"GET /?q=a%20b HTTP/1.1\r\nIf-None-Match: {etag}\r\n".encode() + HOST + b"\r\n"
    status, headers, body = await served.answer(again)
    assert (status, body, "content-length" in headers) == (304, b"", False)


async def test_forms(served: Served) -> None:
    form = b"a=1&b=%C3%A4"
    head = b"POST / HTTP/1.1\r\n" + HOST + b"Content-Type: application/x-www-form-urlencoded\r\n"
    _, _, body = await served.answer(head + b"Content-Length: %d\r\n\r\n" % len(form) + form)
    assert json.loads(body) == {"arguments": {"a": "1", "b": "ä"}}
    parts = b'--z\r\nContent-Disposition: form-data; name="f"; filename="n"\r\n\r\nxyz\r\n--z--\r\n'
    head = b"POST / HTTP/1.1\r\n" + HOST + b"Content-Type: multipart/form-data; boundary=z\r\n"
    _, _, body = await served.answer(head + b"Content-Length: %d\r\n\r\n" % len(parts) + parts)
    assert json.loads(body) == {"arguments": {}, "f": ["xyz"]}


@pytest.mark.parametrize("version", [b"1.1", b"1.0"])
async def test_server_sent_events(served: Served, version: bytes) -> None:
    reader, writer = await served.connect()
    writer.write(b"GET /events HTTP/%b\r\n" % version + HOST + b"\r\n")
    async with asyncio.timeout(20):
        head = await reader.readuntil(b"\r\n\r\n")
        assert (b"\r\nTransfer-Encoding: chunked\r\n" in head) is (version == b"1.1")
        for number in range(5):
            await reader.readuntil(b"data: %d\n\n" % number)
    assert Events.open == 1
    writer.close()

    async def ended() -> bool:
        return Events.open == 0 and len(served.connections) == 0

    await until(ended, 20, "the stream has ended with its client")


async def test_what_the_client_does_not_take_is_not_written(served: Served) -> None:
    Large.written = 0
    reader, writer = await served.connect()
    transport = cast(asyncio.Transport, writer.transport)
    transport.pause_reading()
    writer.write(b"GET /large HTTP/1.1\r\n" + HOST + b"\r\n")
    await until(lambda: Large.written > 0, what="it has begun")
    assert await settled(lambda: Large.written, 0.1) < LARGE
    transport.resume_reading()
    async with asyncio.timeout(20):
        await _until_end(reader)
    assert Large.written == LARGE
    writer.close()


async def _until_end(reader: asyncio.StreamReader) -> None:
    tail = b""
    while not tail.endswith(b"\r\n0\r\n\r\n"):
        tail = (tail + await reader.read(65536))[-7:]


async def test_a_handler_is_told_when_its_client_has_gone(served: Served) -> None:
    Gone.gone = asyncio.Event()
    _, writer = await served.connect()
    writer.write(b"GET /gone HTTP/1.1\r\n" + HOST + b"\r\n")

    async def at_work() -> bool:
        return [served.connections.rank_of(each) for each in served.connections] == [Rank.AT_WORK]

    await until(at_work, 10, "it is there")
    client = writer.get_extra_info("socket")
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()  # by a reset; to end one half alone is no way to leave
    await asyncio.wait_for(Gone.gone.wait(), 10)


async def test_a_body_part_by_part(served: Served) -> None:
    body = b"x" * 900_000
    good = b"PUT /upload HTTP/1.1\r\nAuthorization: good\r\n" + HOST
    assert (await served.answer(good + b"Content-Length: %d\r\n\r\n" % len(body) + body))[2] == b"900000"
    chunks = b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body)
    assert (await served.answer(good + b"Transfer-Encoding: chunked\r\n\r\n" + chunks))[2] == b"900000"


@pytest.mark.parametrize("expect", [b"", b"Expect: 100-continue\r\n"])
async def test_a_stranger_is_refused_before_the_body(served: Served, expect: bytes) -> None:
    reader, writer = await served.connect()
    writer.write(b"PUT /upload HTTP/1.1\r\nContent-Length: 900000\r\n" + expect + HOST + b"\r\n")
    async with asyncio.timeout(20):
        assert (await reader.read()).startswith(b"HTTP/1.1 401 Unauthorized\r\n")
    writer.close()


@pytest.mark.parametrize(
    "octets",
    [
        b"GET / HTTP/1.1\r\n\r\n",  # no host, of which Tornado makes URLs
        b"POST / HTTP/1.1\r\n" + HOST + b"Content-Length: 2000000\r\n\r\n",
        b"PUT /upload HTTP/1.1\r\nAuthorization: good\r\n" + HOST + b"Content-Length: 2000000\r\n\r\n",
        b"POST / HTTP/1.1\r\n" + HOST + b"Content-Type: multipart/form-data\r\nContent-Length: 1\r\n\r\nx",
    ],
)
async def test_what_it_refuses_ends_the_connection_alone(served: Served, octets: bytes) -> None:
    status, _, _ = await served.answer(octets)
    assert status in (400, 413)
    assert (await served.answer(b"GET / HTTP/1.1\r\n" + HOST + b"\r\n"))[0] == 200


@pytest.mark.logs_errors
@pytest.mark.parametrize("how", ["crash", "short", "long"])
async def test_a_handler_that_breaks_its_word_breaks_nothing_else(served: Served, how: str) -> None:
    reader, writer = await served.connect()
    writer.write(f"GET /wrong/{how} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    async with asyncio.timeout(20):
        answer = await reader.read() if how != "crash" else await reader.readuntil(b"</html>")
    assert answer.startswith(b"HTTP/1.1 500 ") if how == "crash" else not answer.endswith(b"abcde")
    assert (await served.answer(b"GET / HTTP/1.1\r\n" + HOST + b"\r\n"))[0] == 200
    writer.close()


async def test_behind_a_proxy_and_tls(tmp_path: Path) -> None:
    certificates = Certificates(tmp_path / "certificates")
    proxy = ProxyProtocol(lambda _: True, lambda _: None, 60)
    async with serving(proxy=proxy, tls=server_context(certificates)) as served:
        reader, writer = await served.connect()
        writer.write(version_1("198.51.100.7"))
        client = TlsClient(reader, writer, client_context(certificates.folder / "ca.pem"))
        await client.shake_hands()
        client.send(b"GET / HTTP/1.1\r\n" + HOST + b"\r\n")
        assert (await client.read_until(b"</p>")).endswith(b"<p>https 198.51.100.7 </p>")
        writer.close()
