"""Clients that are told no again and again: each answer comes later, costs nothing, and is not lost."""

import asyncio
import itertools
import socket
import time
from collections.abc import Callable
from typing import Any

import pytest

from ddnsd.model.ratelimit import Rate
from ddnsd.web.connections import TARPIT_SECONDS, Rank, Tarpit
from ddnsd.web.http import HttpRequest
from ddnsd.web.http_connection import HttpLimits
from tests.narrow import present
from tests.waiting import PATIENCE, paced, turn_loop, until
from tests.web.public_place import MAX_BODY, PATIENT, Bystander, PublicPlace

NOWHERE = b"GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n"
NOW = b"GET /now HTTP/1.1\r\nHost: x\r\n\r\n"
POST = b"POST /now HTTP/1.1\r\nHost: x\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
LARGE = 4_000_000  # bytes of a body: below what is read for good manners, above what buffers on the way hold
LONG = 30_000  # answers that are kept back: one more is, for half a minute
AT_LEAST = TARPIT_SECONDS - 0.002  # uvloop's timers have whole milliseconds
NEVER = Rate(0.001, 2)


def _now(exchange: HttpRequest) -> None:
    exchange.reply(200, b"now")


def _limited(exchange: HttpRequest) -> None:
    exchange.reply(429, b"later", True, **{"Retry-After": "7"})


class Place(PublicPlace):
    """Lets a source fail twice."""

    def __init__(self, failures: Rate = NEVER, patience: HttpLimits = PATIENT) -> None:
        self.bodies: list[bytes] = []
        routes = {"/now": {"GET": _now, "POST": self._take}, "/limited": {"GET": _limited}}
        super().__init__(routes, failures=failures, patience=patience)

    def _take(self, exchange: HttpRequest) -> None:
        self.bodies.append(exchange.body)
        _now(exchange)

    async def ask(self, request: bytes, host: str = "127.0.0.2") -> tuple[bytes, float]:
        """Return the first line of the answer, and the seconds that it took."""
        reader, writer = await self.connect(host)
        return await ask(reader, writer, request)

    async def ranked(self, rank: Rank, number: int) -> None:
        """Return once there are so many connections, and all have their place for that."""

        async def so() -> bool:
            return [self.connections.rank_of(each) for each in self.connections] == number * [rank]

        await until(so, 10, f"{number} connections are {rank.name}")

    async def kept(self, number: int) -> None:
        async def so_many() -> bool:
            return len(self.listener.tarpit) == number

        await until(so_many, 10, f"{number} answers are kept back")


async def ask(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes
) -> tuple[bytes, float]:
    started = time.monotonic()
    writer.write(request)
    async with asyncio.timeout(20):
        head = await reader.readuntil(b"\r\n\r\n")
        await reader.readexactly(int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0]))
    return head.partition(b"\r\n")[0], time.monotonic() - started


async def test_failures_beyond_the_limit_are_answered_late() -> None:
    async with Place() as place:
        for _ in range(2):
            line, took = await place.ask(NOWHERE)
            assert (line, took < TARPIT_SECONDS) == (b"HTTP/1.1 404 Not Found", True)
        line, took = await place.ask(NOWHERE)
        assert (line, took >= AT_LEAST) == (b"HTTP/1.1 404 Not Found", True)


async def test_neither_good_requests_nor_other_sources_are_late() -> None:
    async with Place(Rate(0.001, 1)) as place:
        await place.ask(NOWHERE, "127.0.0.2")
        assert (await place.ask(NOW, "127.0.0.2"))[1] < TARPIT_SECONDS
        assert (await place.ask(NOWHERE, "127.0.0.3"))[1] < TARPIT_SECONDS


async def test_a_limited_answer_is_late_and_whole() -> None:
    async with Place() as place:
        reader, writer = await place.connect()
        started = time.monotonic()
        writer.write(b"GET /limited HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        async with asyncio.timeout(20):
            answer = await reader.read()
        assert answer.startswith(b"HTTP/1.1 429 Too Many Requests\r\n")
        assert b"\r\nRetry-After: 7\r\n" in answer
        assert answer.endswith(b"later")
        assert time.monotonic() - started >= AT_LEAST


BODIES: dict[str, Callable[[int], bytes]] = {
    "with a length": lambda size: POST + b"Content-Length: %d\r\n\r\n" % size + bytes(size),
    "in chunks": lambda size: CHUNKED + b"%x\r\n%b\r\n0\r\n\r\n" % (size, bytes(size)),
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
async def test_too_large_a_body_is_read_at_first_and_then_left_where_it_is(body: Callable[..., Any]) -> None:
    async with Place() as place:
        too_large = b"HTTP/1.1 413 Request Entity Too Large"
        for _ in range(2):
            reader, writer = await place.connect()
            line, _ = await ask(reader, writer, body(LARGE))
            assert line == too_large
            await asyncio.wait_for(writer.drain(), 10)
            assert (await ask(reader, writer, NOW))[0] == b"HTTP/1.1 200 OK", "it was read to its end"
        reader, writer = await place.connect()
        writer.write(body(LARGE))
        await place.kept(1)
        assert writer.transport.get_write_buffer_size() > 0, "nobody reads it"
        async with asyncio.timeout(20):
            assert (await reader.readline()).startswith(too_large)


async def test_a_body_as_large_as_it_may_be_is_no_failure() -> None:
    async with Place() as place:
        for _ in range(5):
            for make in BODIES.values():
                assert (await place.ask(make(MAX_BODY)))[0] == b"HTTP/1.1 200 OK"


async def test_a_body_in_crumbs_is_read_whole_and_at_leisure() -> None:
    async with Place() as place:
        reader, writer = await place.connect()
        writer.transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        writer.write(POST + b"Content-Length: %d\r\n\r\n" % MAX_BODY)
        started = time.monotonic()
        for number in range(MAX_BODY):
            writer.write(b"%d" % (number % 10))
            await turn_loop()
        async with asyncio.timeout(20):
            assert (await reader.readline()).startswith(b"HTTP/1.1 200 OK")
        assert time.monotonic() - started < 2 * MAX_BODY * 0.01
        assert place.bodies == [b"0123456789" * (MAX_BODY // 10)]


async def test_who_leaves_is_forgotten_at_once() -> None:
    async with Place() as place:
        crowd = [Bystander() for _ in range(LONG)]
        for each in crowd:
            place.listener.tarpit.keep(each, lambda: None)
        writers = [(await place.connect())[1] for _ in range(10)]
        for writer in writers:
            writer.write(b"GET /limited HTTP/1.1\r\nHost: x\r\n\r\n")
        await place.ranked(Rank.KEPT_WAITING, 10)
        for writer in writers:
            writer.close()
        await place.ranked(Rank.KEPT_WAITING, 0)
        for each in crowd:
            place.listener.tarpit.drop(each)
        assert len(place.listener.tarpit) == 0
        await asyncio.wait_for(place.listener.drain(), 10)


async def test_what_was_sent_ahead_goes_with_who_leaves() -> None:
    async with Place() as place:
        _, writer = await place.connect()
        writer.write(NOWHERE * 60)
        await place.kept(1)
        writer.close()

        async def gone() -> bool:
            return len(place.connections) == 0

        await until(gone, 10, "it is closed")
        labels = {"api": "update", "result": "limited"}
        assert present(place.registry.get_sample_value("ddnsd_requests_total", labels)) < 10
        await asyncio.wait_for(place.listener.drain(), 10)


async def test_too_large_a_head_is_left_where_it_is_and_closed_later() -> None:
    async with Place() as place:
        reader, writer = await place.connect()
        started = time.monotonic()
        writer.write(NOW[:-2] + b"X: " + b"x" * LARGE)
        await place.kept(1)
        assert writer.transport.get_write_buffer_size() > 0, "nobody reads it"
        try:
            async with asyncio.timeout(20):
                assert await reader.read() == b""
        except ConnectionResetError:
            pass
        assert time.monotonic() - started >= AT_LEAST
        assert len(place.connections) == 0


async def test_too_large_a_head_has_no_right_to_the_place() -> None:
    async with Place() as place:
        crowd = [Bystander() for _ in range(LONG)]
        for each in crowd:
            place.listener.tarpit.keep(each, lambda: None)
        _, writer = await place.connect()
        writer.write(NOW[:-2] + b"X: " + b"x" * LARGE)
        await place.ranked(Rank.KEPT_WAITING, 1)
        (connection,) = place.connections
        connection.abandon()
        await place.ranked(Rank.KEPT_WAITING, 0)
        for each in crowd:
            place.listener.tarpit.drop(each)
        assert len(place.listener.tarpit) == 0


async def test_who_is_kept_waiting_has_no_right_to_the_place() -> None:
    async with Place() as place:
        reader, writer = await place.connect()
        writer.write(b"GET /limited HTTP/1.1\r\nHost: x\r\n\r\n")
        await place.kept(1)
        (connection,) = place.connections
        assert place.connections.rank_of(connection) is Rank.KEPT_WAITING
        connection.abandon()
        await place.kept(0)
        assert await reader.read() == b""
        await place.listener.drain()


async def test_a_node_that_drains_keeps_no_answer_back() -> None:
    async with Place() as place:
        asking = [asyncio.create_task(place.ask(NOWHERE)) for _ in range(5)]
        await place.kept(3)
        await place.listener.drain()
        assert {line for line, _ in await asyncio.gather(*asking)} == {b"HTTP/1.1 404 Not Found"}
        assert (await place.ask(NOWHERE))[1] < TARPIT_SECONDS


async def test_the_more_are_kept_back_the_longer_is_each() -> None:
    slowdown, given = Tarpit(lambda _: None), []
    last: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    started = time.monotonic()  # before the first: its turn is what all others follow
    for _ in range(2000):
        slowdown.keep(Bystander(), lambda: given.append(1))
    slowdown.keep(Bystander(), lambda: last.set_result(None))
    await asyncio.wait_for(last, PATIENCE)
    assert time.monotonic() - started >= AT_LEAST + 2
    assert len(given) == 2000
    assert len(slowdown) == 0


async def test_a_head_that_never_ends_is_cut_off_and_an_idle_connection_is_not() -> None:
    async with Place(patience=PATIENT._replace(head=0.4)) as place:
        idle, kept, slow, kept_slow = [await place.connect() for _ in range(4)]
        for reader, writer in (kept, kept_slow):
            assert (await ask(reader, writer, NOW))[0] == b"HTTP/1.1 200 OK"
        for _, writer in (slow, kept_slow):
            writer.write(NOW[:10])
        for reader, _ in (slow, kept_slow):
            assert await asyncio.wait_for(reader.read(), 10) == b""
        for reader, writer in (idle, kept):
            assert (await ask(reader, writer, NOW))[0] == b"HTTP/1.1 200 OK"
        assert place.closed == ["slow_head", "slow_head"]


async def test_octet_by_octet_is_no_way_to_stay() -> None:
    async with Place(patience=PATIENT._replace(head=0.4)) as place:
        reader, writer = await place.connect()

        async def dribble() -> None:
            async for octet in paced(itertools.repeat(b"x"), 0.02):
                writer.write(octet)

        dribbling = asyncio.create_task(dribble())
        try:
            async with asyncio.timeout(10):
                assert await reader.read() == b""
        except ConnectionResetError:
            pass
        finally:
            dribbling.cancel()
