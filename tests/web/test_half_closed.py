"""Clients that close their half of the connection after a request, as `nc` does: they get their answer.

RFC 9112 §9.6. From here that looks the same as a client that has gone, so it has less right to its place.
"""

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from ddnsd.model.ratelimit import Rate
from ddnsd.web.connections import TARPIT_SECONDS, ConnectionLimits, Rank
from ddnsd.web.http import HttpRequest, Routes
from tests.waiting import until
from tests.web.public_place import PublicPlace

HOST = b"Host: x\r\n"
NOW = b"GET /now HTTP/1.1\r\n" + HOST + b"\r\n"
LATE = NOW.replace(b"now", b"late")
PUBLISHING = NOW.replace(b"now", b"publishing")
NOWHERE = NOW.replace(b"now", b"nowhere")
LARGE = b"x" * (4 << 20)  # more than the buffers on the way hold


class Place(PublicPlace):
    """Answers `/now` at once, and `/late` and `/publishing` when told to."""

    def __init__(self, total: int = 100, failures: Rate | None = None) -> None:
        self.late: list[HttpRequest] = []
        now = {"GET": self._now, "POST": self._now}
        routes: Routes = {
            "/now": now,
            "/late": {"GET": self.late.append},
            "/large": {"GET": lambda exchange: exchange.reply(200, LARGE)},
            "/publishing": {"GET": self._publish},
        }
        super().__init__(routes, ConnectionLimits(total, 100), failures=failures)

    def _now(self, exchange: HttpRequest) -> None:
        exchange.reply(200, b"now" + exchange.body)

    def _publish(self, exchange: HttpRequest) -> None:
        self.late.append(exchange)
        exchange.note_publishing()

    async def send(self, octets: bytes) -> asyncio.StreamReader:
        """Send octets, and no more."""
        reader, writer = await self.connect()
        writer.write(octets)
        writer.write_eof()
        return reader

    async def answer(self, octets: bytes) -> bytes:
        """Return all that is answered to octets after which no more comes."""
        return await whole(await self.send(octets))

    async def asked(self, count: int) -> None:
        async def so_many() -> bool:
            return len(self.late) == count

        await until(so_many, 10, f"{count} wait")

    async def ranked(self, *ranks: Rank) -> None:
        async def so() -> bool:
            return Counter(map(self.connections.rank_of, self.connections)) == Counter(ranks)

        await until(so, 10, f"they wait as {ranks}")


async def whole(reader: asyncio.StreamReader) -> bytes:
    async with asyncio.timeout(20):
        return await reader.read()


@pytest.mark.parametrize(
    ("octets", "line", "body"),
    [
        (NOW, b"HTTP/1.1 200 OK", b"now"),
        (b"GET /now HTTP/1.0\r\n\r\n", b"HTTP/1.1 200 OK", b"now"),
        (b"POST /now HTTP/1.1\r\n" + HOST + b"Content-Length: 3\r\n\r\nabc", b"HTTP/1.1 200 OK", b"nowabc"),
        (
            b"POST /now HTTP/1.1\r\n" + HOST + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
            b"HTTP/1.1 200 OK",
            b"nowabc",
        ),
        (NOWHERE, b"HTTP/1.1 404 Not Found", b"}"),
        (NOW.replace(b"GET", b"PUT"), b"HTTP/1.1 405 Method Not Allowed", b"}"),
        (
            b"POST /now HTTP/1.1\r\n" + HOST + b"Content-Length: 101\r\n\r\n" + bytes(101),
            b"HTTP/1.1 413 Request Entity Too Large",
            b"}",
        ),
        (b"nonsense\r\n\r\n", b"HTTP/1.1 400 Bad Request", b""),
        (NOW.replace(b"now", b"large"), b"HTTP/1.1 200 OK", b"xxx"),
    ],
    ids=[
        "GET",
        "HTTP/1.0",
        "a body",
        "chunks",
        "no path",
        "no method",
        "too large",
        "nonsense",
        "a long answer",
    ],
)
async def test_it_gets_its_answer(octets: bytes, line: bytes, body: bytes) -> None:
    async with Place() as place:
        answer = await place.answer(octets)
        assert answer.partition(b"\r\n")[0] == line
        assert answer.endswith(body)
        await place.ranked()
        assert place.closed == []


async def test_it_gets_an_answer_that_takes_time() -> None:
    async with Place() as place:
        reader = await place.send(LATE)
        await place.asked(1)
        await place.ranked(Rank.HALF_CLOSED)
        place.late[0].reply(200, b"late")
        assert (await whole(reader)).endswith(b"late")


async def test_it_gets_the_answers_to_all_that_it_has_sent_ahead() -> None:
    async with Place() as place:
        assert (await place.answer(NOW * 9)).count(b"HTTP/1.1 200 OK") == 9
        half = await place.answer(NOW * 2 + NOW[:-2])
        assert half.count(b"HTTP/1.1 200 OK") == 2


@pytest.mark.parametrize(
    "octets", [b"", NOW[:20], b"\r\n", b"POST /now HTTP/1.1\r\nContent-Length: 9\r\n\r\nhalf"]
)
async def test_what_is_no_whole_request_is_closed_at_once(octets: bytes) -> None:
    async with Place() as place:
        assert await place.answer(octets) == b""
        await place.ranked()
        await asyncio.wait_for(place.listener.drain(), 10)


async def test_one_that_asks_too_often_is_answered_at_once_and_for_the_last_time() -> None:
    """To keep its answer back would keep a client that may have gone; and each costs it a connection."""
    async with Place(failures=Rate(0.001, 1)) as place:
        started = asyncio.get_running_loop().time()
        answer = await place.answer(NOWHERE * 9)
        assert answer.count(b"HTTP/1.1 404") == 2
        assert asyncio.get_running_loop().time() - started < TARPIT_SECONDS
        await place.ranked()
        assert len(place.listener.tarpit) == 0
        await asyncio.wait_for(place.listener.drain(), 10)


async def test_one_that_has_closed_its_half_before_is_not_kept_waiting() -> None:
    async with Place() as place:
        reader = await place.send(LATE)
        await place.ranked(Rank.HALF_CLOSED)
        place.late[0].reply(429, b"later", True)
        assert len(place.listener.tarpit) == 0
        assert (await whole(reader)).endswith(b"later")


async def test_one_that_has_gone_costs_nothing_when_it_is_answered() -> None:
    async with Place() as place:
        _, writer = await place.connect()
        writer.write(LATE)
        await place.asked(1)
        writer.close()
        await writer.wait_closed()
        await place.ranked(Rank.HALF_CLOSED)
        place.late[0].reply(200, b"late")
        await place.ranked()


async def test_who_goes_first() -> None:
    """Waited for; then half closed; then what waits for a nameserver alone; what is at work never."""
    async with Place(total=4) as place:
        publishing, _ = await place.connect(), place.late
        publishing[1].write(PUBLISHING)
        await place.asked(1)
        half_closed = await place.send(LATE)
        await place.asked(2)
        at_work = await place.connect()
        at_work[1].write(LATE)
        await place.asked(3)
        idle = await place.connect()
        await place.ranked(Rank.PUBLISHING, Rank.HALF_CLOSED, Rank.AT_WORK, Rank.AWAITED)
        newcomers = []
        for gone in (idle[0], half_closed, publishing[0]):
            newcomers.append(await place.connect())
            newcomers[-1][1].write(LATE)
            await place.asked(4 + len(newcomers) - 1)
            assert await whole(gone) == b""
        assert place.closed == ["displaced"] * 3
        await place.ranked(*[Rank.AT_WORK] * 4)
        assert await whole((await place.connect())[0]) == b""
        assert place.closed[-1] == "full"
        for exchange in place.late:
            exchange.reply(200, b"late")
        for reader, _ in (at_work, *newcomers):
            assert (await reader.readuntil(b"late")).startswith(b"HTTP/1.1 200 OK")


@pytest.mark.parametrize("first", [HttpRequest.note_publishing, None])
async def test_half_closed_is_half_closed_whatever_comes_later(first: Callable[..., Any] | None) -> None:
    async with Place() as place:
        reader, writer = await place.connect()
        writer.write(LATE)
        await place.asked(1)
        if first:
            first(place.late[0])
            await place.ranked(Rank.PUBLISHING)
        writer.write_eof()
        await place.ranked(Rank.HALF_CLOSED)
        place.late[0].note_publishing()
        await place.ranked(Rank.HALF_CLOSED)
        place.late[0].reply(200, b"late")
        assert (await whole(reader)).endswith(b"late")
