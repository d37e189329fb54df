"""Connections of proxies, with a PROXY header and with none."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from ddnsd.web.http import HttpRequest
from ddnsd.web.proxy_protocol import ProxyProtocol
from tests.waiting import paced, stays, until
from tests.web.proxy_headers import SIGNATURE, UNKNOWN, binary, version_1, version_2
from tests.web.public_place import PublicPlace

TIMEOUT = 0.5
REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
PROXY, STRANGER = "127.0.0.1", "127.0.0.2"


class Place:
    """A server behind a gate that expects headers from `PROXY`; it answers each request with its peer."""

    def __init__(self) -> None:
        self.refusals: list[str] = []
        self.gate = ProxyProtocol(lambda peer: peer == PROXY, self.refusals.append, TIMEOUT)
        self._place = PublicPlace({"/": {"GET": _tell_peer}}, proxy=self.gate)
        self.server = self._place.server

    async def connect(self, host: str = PROXY) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection(PROXY, self._place.port, local_addr=(host, 0))

    async def peer(self, *parts: bytes, host: str = PROXY) -> str:
        """Send the parts one after the other; return the last line of what is answered, "" for nothing."""
        reader, writer = await self.connect(host)
        async for part in paced(parts, 0.001):  # a segment of its own, as a rule
            writer.write(part)
        try:
            async with asyncio.timeout(20):
                return (await reader.read()).decode().rpartition("\r\n")[2]
        except ConnectionResetError:
            return ""
        finally:
            writer.close()


def _tell_peer(exchange: HttpRequest) -> None:
    exchange.reply(200, exchange.peer.encode())


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    place = Place()
    yield place
    place.server.stop()
    await place.server.close()
    assert list(place.gate.waited_since()) == []


@pytest.mark.parametrize(
    ("header", "peer"),
    [
        (version_1("198.51.100.7"), "198.51.100.7"),
        (version_1("2001:db8::7"), "2001:db8::7"),
        (version_2("198.51.100.7", bytes(1000)), "198.51.100.7"),
        (version_2("2001:db8::7"), "2001:db8::7"),
        (UNKNOWN, PROXY),
        (binary(0x20, 0x00), PROXY),
    ],
)
async def test_the_headers_source_is_the_peer_however_it_comes(
    place: Place, header: bytes, peer: str
) -> None:
    assert await place.peer(header + REQUEST) == peer
    assert await place.peer(header, REQUEST) == peer
    assert await place.peer(header[:8], header[8:-1], header[-1:] + REQUEST[:1], REQUEST[1:]) == peer
    assert await place.peer(*(bytes((octet,)) for octet in header[:60]), header[60:] + REQUEST) == peer
    assert place.refusals == []


async def test_a_kept_connection_shows_its_header_once(place: Place) -> None:
    reader, writer = await place.connect()
    writer.write(version_2("198.51.100.7"))
    for pause in (0, 2 * TIMEOUT):
        await stays(lambda: place.refusals == [], pause)
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        async with asyncio.timeout(20):
            assert (await reader.readuntil(b"198.51.100.7")).startswith(b"HTTP/1.1 200")
    writer.close()


async def test_who_is_no_proxy_is_served_as_he_is_and_his_header_is_none(place: Place) -> None:
    assert await place.peer(REQUEST, host=STRANGER) == STRANGER
    assert await place.peer(version_1("198.51.100.7") + REQUEST, host=STRANGER) == ""


@pytest.mark.parametrize(
    "octets", [REQUEST, b"\x16\x03\x01", b"PROXY TCP5 a b\r\n", 300 * b"x", binary(0x21, 0x11, bytes(9999))]
)
async def test_a_proxy_without_a_header_is_not_served(place: Place, octets: bytes) -> None:
    assert await place.peer(octets, REQUEST) == ""
    assert place.refusals == ["malformed"], "at once: not late"


@pytest.mark.parametrize("beginning", [b"", b"PROXY TCP4 ", SIGNATURE, binary(0x21, 0x11, bytes(4000))[:90]])
async def test_a_header_that_does_not_come_in_time_is_given_up(place: Place, beginning: bytes) -> None:
    used = time.process_time()
    assert await place.peer(beginning) == ""
    assert place.refusals == ["late"]
    assert time.process_time() - used < TIMEOUT / 2, "it waits without work"


async def test_who_dribbles_is_cut_off_and_leaves_nothing(place: Place) -> None:
    writers = [(await place.connect())[1] for _ in range(50)]
    tasks = len(asyncio.all_tasks())
    header = binary(0x21, 0x11, bytes(4000))
    async for count in paced(range(2000), 0.005):
        for writer in writers:
            if not writer.transport.is_closing():
                writer.write(header[count : count + 1])
        if len(place.refusals) == len(writers):
            break
    assert place.refusals == len(writers) * ["late"]
    assert list(place.gate.waited_since()) == []
    assert len(asyncio.all_tasks()) <= tasks
    for writer in writers:
        writer.close()


async def test_half_a_header_is_counted_and_a_look_at_the_port_is_not(place: Place) -> None:
    for octets in (b"", b"PROXY TCP4"):
        _, writer = await place.connect()
        writer.write(octets)
        writer.close()

    async def ended() -> bool:
        return place.refusals == ["incomplete"] and not list(place.gate.waited_since())

    await until(ended, 10, "both have ended")


async def test_who_has_shown_no_header_yet_is_closed_with_the_server(place: Place) -> None:
    reader, writer = await place.connect()

    async def waits() -> bool:
        return len(list(place.gate.waited_since())) == 1

    await until(waits, 10, "it waits")
    place.server.stop()
    await place.server.close()
    assert await reader.read() == b""
    assert place.refusals == []
    writer.close()
