"""TLS on the public listener, which is apart from the event loop's own."""

import asyncio
import contextlib
import ssl
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ddnsd.web.connections import Rank
from ddnsd.web.http import HttpRequest
from ddnsd.web.proxy_protocol import ProxyProtocol
from tests.rigs.certificates import Certificates
from tests.waiting import stays, until
from tests.web.proxy_headers import version_2
from tests.web.public_place import PATIENT, PublicPlace
from tests.web.tls_client import TlsClient, client_context, server_context

NOW = b"GET /now HTTP/1.1\r\nHost: x\r\n\r\n"
LARGE = b"x" * (4 << 20)
PROXY = "127.0.0.2"


class Place(PublicPlace):
    """Answers over TLS; what comes from `PROXY` begins with a header."""

    def __init__(self, certificates: Certificates) -> None:
        self.late: list[HttpRequest] = []
        self._authority = certificates.folder / "ca.pem"
        routes = {
            "/now": {"GET": lambda exchange: exchange.reply(200, exchange.peer.encode())},
            "/large": {"GET": lambda exchange: exchange.reply(200, LARGE)},
            "/late": {"GET": self.late.append},
        }
        proxy = ProxyProtocol(lambda peer: peer == PROXY, lambda _: None, 60)
        limits = PATIENT._replace(head=1)
        super().__init__(routes, patience=limits, proxy=proxy, tls=server_context(certificates))

    async def client(self, host: str = "127.0.0.1", first: bytes = b"") -> TlsClient:
        reader, writer = await self.connect(host)
        writer.write(first)
        client = TlsClient(reader, writer, client_context(self._authority))
        await client.shake_hands()
        return client


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("tls") / "certificates")


@pytest.fixture
async def place(certificates: Certificates) -> AsyncIterator[Place]:
    async with Place(certificates) as place:
        yield place


async def test_requests_and_a_long_answer(place: Place) -> None:
    client = await place.client()
    for _ in range(3):
        client.send(NOW)
        assert (await client.read_until(b"127.0.0.1")).startswith(b"HTTP/1.1 200 OK\r\n")
    client.send(NOW.replace(b"now", b"large").replace(b"Host", b"Connection: close\r\nHost"))
    octets, was_all = await client.read()
    assert octets.endswith(LARGE)
    assert was_all, "it says that no more comes"


async def test_who_ends_its_half_gets_its_answer(place: Place) -> None:
    client = await place.client()
    client.send(NOW.replace(b"now", b"late"))
    client.end()

    async def waits() -> bool:
        return [place.connections.rank_of(each) for each in place.connections] == [Rank.HALF_CLOSED]

    await until(waits, 10, "it has ended its half")
    place.late[0].reply(200, b"late")
    octets, was_all = await client.read()
    assert octets.endswith(b"late")
    assert was_all


async def test_it_begins_behind_a_proxys_header(place: Place) -> None:
    client = await place.client(PROXY, version_2("198.51.100.7"))
    client.send(NOW)
    assert (await client.read_until(b"198.51.100.7")).startswith(b"HTTP/1.1 200 OK\r\n")


async def test_a_new_certificate_is_for_new_connections(place: Place, tmp_path: Path) -> None:
    kept = await place.client()
    others = Certificates(tmp_path / "others")
    place.server.tls = server_context(others)
    kept.send(NOW)
    await kept.read_until(b"127.0.0.1")
    with pytest.raises(ssl.SSLCertVerificationError):
        await place.client()
    place.server.tls = None
    reader, writer = await place.connect()
    writer.write(NOW)
    assert (await reader.readuntil(b"127.0.0.1")).startswith(b"HTTP/1.1 200 OK\r\n")


@pytest.mark.parametrize("octets", [NOW, b"\x16\x03\x01\x00\x05hello", bytes(5000)])
async def test_what_is_no_tls_is_closed(place: Place, octets: bytes) -> None:
    reader, writer = await place.connect()
    writer.write(octets)
    async with asyncio.timeout(20):
        with contextlib.suppress(ConnectionResetError):
            assert b"HTTP" not in await reader.read()
    assert place.closed == []


async def test_half_a_handshake_has_the_time_of_a_head(place: Place) -> None:
    started = time.monotonic()
    reader, writer = await place.connect()
    writer.write(b"\x16\x03\x01")
    async with asyncio.timeout(20):
        assert await reader.read() == b""
    assert time.monotonic() - started >= 1
    assert place.closed == ["slow_head"]


async def test_a_connection_that_is_only_made_may_wait(place: Place) -> None:
    client = await place.client()
    await stays(lambda: place.closed == [], 1.5)
    client.send(NOW)
    await client.read_until(b"127.0.0.1")
