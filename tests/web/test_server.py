"""Connections whose next request does not come."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import uvloop

from ddnsd.web.http import HttpRequest
from tests.waiting import hold_up, paced, stays, until
from tests.web.public_place import PATIENT, PublicPlace

IDLE = 0.5
LARGE = b"x" * (32 << 20)  # more than all buffers on the way hold
REQUEST = b"GET %s HTTP/1.1\r\nHost: x\r\n\r\n"


def _at_once(exchange: HttpRequest) -> None:
    exchange.reply(200, b"now")


def _large(exchange: HttpRequest) -> None:
    exchange.reply(200, LARGE)


def _late(exchange: HttpRequest) -> None:
    asyncio.get_running_loop().call_later(3 * IDLE, exchange.reply, 200, b"late")


@pytest.fixture
async def connect() -> AsyncIterator[Callable[..., Any]]:
    """Opens connections to a running server."""
    routes = {"/now": {"GET": _at_once}, "/large": {"GET": _large}, "/late": {"GET": _late}}
    async with PublicPlace(routes, patience=PATIENT._replace(idle=IDLE)) as place:
        yield place.connect


async def _ended(reader: asyncio.StreamReader) -> bytes:
    async with asyncio.timeout(20 * IDLE):
        return await reader.read()


async def test_a_connection_that_asks_nothing_is_closed(connect: Callable[..., Any]) -> None:
    reader, _ = await connect()
    assert await _ended(reader) == b""


async def test_a_head_that_trickles_in_is_closed(connect: Callable[..., Any]) -> None:
    reader, writer = await connect()
    writer.write(REQUEST[:20])
    assert await _ended(reader) == b""


async def test_a_connection_is_kept_between_requests_and_closed_when_no_more_come(
    connect: Callable[..., Any],
) -> None:
    reader, writer = await connect()
    async for request in paced([REQUEST % b"/now"] * 4, IDLE / 2):
        writer.write(request)
        assert (await reader.readuntil(b"now")).startswith(b"HTTP/1.1 200 OK")
    assert await _ended(reader) == b""


async def test_an_answer_that_is_not_taken_is_given_up(connect: Callable[..., Any]) -> None:
    reader, writer = await connect()
    writer.write(REQUEST % b"/large")
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200 OK")
    writer.transport.pause_reading()
    await stays(lambda: not reader.at_eof(), 3 * IDLE)
    writer.transport.resume_reading()
    assert len(await _ended(reader)) < len(LARGE)


async def test_a_request_may_wait_longer_for_its_answer(connect: Callable[..., Any]) -> None:
    reader, writer = await connect()
    writer.write(REQUEST % b"/late")
    assert (await _ended(reader)).endswith(b"late")


async def test_what_waits_when_it_stops_is_answered() -> None:
    place = PublicPlace({"/now": {"GET": _at_once}})
    listener, server = place.listener, place.server
    # without a turn of the event loop
    clients = [socket.create_connection(("127.0.0.1", place.port)) for _ in range(20)]
    server.take_waiting()
    server.stop()
    for client in clients:
        client.sendall(REQUEST % b"/now")  # only after it was accepted
    await server.quiet()
    await listener.drain()
    await server.close()
    for client in clients:
        with client:
            assert client.recv(4096).endswith(b"now")


def test_a_request_that_came_while_the_process_was_stopped_is_answered() -> None:
    """Its time is over when the process goes on, and uvloop looks at timers before it reads."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_held_up())


async def _held_up() -> None:
    loop = asyncio.get_running_loop()

    def stop() -> None:  # as SIGSTOP does, of a loop that waits for what comes
        loop.remove_reader(near)
        asks.sendall(REQUEST % b"/now")
        hold_up(2 * IDLE)

    near, far = socket.socketpair()
    async with PublicPlace({"/now": {"GET": _at_once}}, patience=PATIENT._replace(idle=IDLE)) as place:
        with near, far, _connection(place) as asks, _connection(place) as silent:
            await until(lambda: len(place.connections) == 2, what="both are accepted")
            loop.add_reader(near, stop)
            far.send(b"x")
            async with asyncio.timeout(20 * IDLE):
                asks.setblocking(False)
                silent.setblocking(False)
                assert (await loop.sock_recv(asks, 4096)).endswith(b"now")
                assert await loop.sock_recv(silent, 4096) == b""


def _connection(place: PublicPlace) -> socket.socket:
    return socket.create_connection(("127.0.0.1", place.port))
