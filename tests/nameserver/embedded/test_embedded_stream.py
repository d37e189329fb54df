"""Clients on TCP: the brisk, the slow, the rude, and too many of them."""

import asyncio
import itertools
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from typing import Any

import dns.message
import pytest

from ddnsd.nameserver.embedded import EmbeddedNameserver, EmbeddedSettings
from tests.waiting import paced, settled, turn_loop

IDLE = 0.5  # seconds
POURED = 1_000_000  # queries: far more than sockets hold


@pytest.fixture
def settings(settings: EmbeddedSettings) -> EmbeddedSettings:
    return replace(settings, tcp_idle=IDLE, tcp_connections=4)


@asynccontextmanager
async def connected(
    server: EmbeddedNameserver, **options: Any
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection(*server.addresses[0], **options)
    try:
        yield reader, writer
    finally:
        writer.transport.abort()


def framed(name: str = "blog.example.com", rdtype: str = "A", id: int = 0) -> bytes:
    return dns.message.make_query(name, rdtype, id=id).to_wire(prepend_length=True)


async def receive(reader: asyncio.StreamReader) -> dns.message.Message:
    length = int.from_bytes(await reader.readexactly(2), "big")
    return dns.message.from_wire(await reader.readexactly(length))


async def ended(reader: asyncio.StreamReader) -> bool:
    """Wait for the server to end the connection; say whether it said nothing before."""
    async with asyncio.timeout(5):
        try:
            return not await reader.read()
        except ConnectionResetError:
            return True


async def test_many_queries_on_one_connection_in_one_segment(server: EmbeddedNameserver) -> None:
    async with connected(server) as (reader, writer):
        writer.write(b"".join(framed(id=number) for number in range(500)))
        for number in range(500):
            message = await receive(reader)
            assert (message.id, len(message.answer)) == (number, 1)


async def test_a_pile_of_queries_leaves_others_their_turn(server: EmbeddedNameserver) -> None:
    async with connected(server) as (pile, pile_writer), connected(server) as (reader, writer):
        pile_writer.write(framed() * 500)
        await pile.readexactly(1)
        writer.write(framed())
        assert (await receive(reader)).answer
        assert server.answers["NOERROR"] < 100


async def test_who_stops_sending_still_gets_the_answers(server: EmbeddedNameserver) -> None:
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.setblocking(False)
        await asyncio.get_running_loop().sock_connect(client, server.addresses[0])
        reader, writer = await asyncio.open_connection(sock=client, limit=1024)
        writer.write(framed("many.example.com", "TXT") * 200)
        writer.write_eof()
        await _stuck(server)
        for _ in range(200):
            assert len((await receive(reader)).answer[0]) == 20
        assert await ended(reader)
        writer.close()


async def _stuck(server: EmbeddedNameserver) -> None:
    """Wait until the server answers no more, because all buffers are full."""
    assert await settled(lambda: server.answers["NOERROR"], IDLE / 20) < 200


async def test_a_query_may_come_octet_by_octet(server: EmbeddedNameserver) -> None:
    async with connected(server) as (reader, writer):
        for octet in framed():
            writer.write(bytes([octet]))
            await writer.drain()
            await turn_loop()
        assert (await receive(reader)).answer


async def test_an_idle_connection_ends_and_a_busy_one_does_not(server: EmbeddedNameserver) -> None:
    async with connected(server) as (idle, _), connected(server) as (reader, writer):
        asked = 0
        idle_ended = asyncio.create_task(ended(idle))
        async for query in paced(itertools.repeat(framed()), IDLE / 10):
            writer.write(query)
            asked += len((await receive(reader)).answer)
            if idle_ended.done():
                break
        writer.write(framed())
        assert (await receive(reader)).answer
        assert asked > 3


async def test_half_a_query_ends_with_the_time(server: EmbeddedNameserver) -> None:
    halves = (b"\x00", b"\x00\x20", framed()[:-1], b"\xff\xff" + bytes(3000))
    async with AsyncExitStack() as stack:
        readers = []
        for half in halves:
            reader, writer = await stack.enter_async_context(connected(server))
            writer.write(half)
            readers.append(reader)
        assert await asyncio.gather(*map(ended, readers)) == [True] * len(halves)


UNANSWERABLE = {
    "an empty message": b"\x00\x00",
    "half a header": b"\x00\x0b" + bytes(11),
    "a response": b"\x00\x0c\x00\x00\x80" + bytes(9),
}


@pytest.mark.parametrize("sent", UNANSWERABLE.values(), ids=UNANSWERABLE)
async def test_what_gets_no_answer_ends_the_connection_at_once(settings: Any, sent: bytes) -> None:
    patient = await EmbeddedNameserver.start(replace(settings, tcp_idle=60))
    async with connected(patient) as (reader, writer):
        writer.write(sent)
        assert await ended(reader)
    await patient.close()


async def test_who_takes_no_answers_is_served_no_more(server: EmbeddedNameserver) -> None:
    """A client pours queries in and reads nothing: the server stops reading, and then ends it."""
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.setblocking(False)
        await asyncio.get_running_loop().sock_connect(client, server.addresses[0])
        with pytest.raises(ConnectionError):
            await _pour(client, framed("many.example.com", "TXT"))
    assert server.answers["NOERROR"] < POURED // 10
    async with connected(server) as (reader, writer):
        writer.write(framed())
        assert (await receive(reader)).answer


async def _pour(client: socket.socket, query: bytes) -> None:
    for _ in range(POURED // 1000):
        await asyncio.get_running_loop().sock_sendall(client, query * 1000)


async def test_one_too_many_ends_the_one_that_was_silent_longest(server: EmbeddedNameserver) -> None:
    async with (
        connected(server) as (first, first_writer),
        connected(server) as (second, _),
        connected(server),
        connected(server),
    ):
        first_writer.write(framed())
        assert (await receive(first)).answer
        async with connected(server) as (newest, newest_writer):
            assert await ended(second)
            for reader, writer in ((first, first_writer), (newest, newest_writer)):
                writer.write(framed())
                assert (await receive(reader)).answer


async def test_a_crowd_of_silent_connections_keeps_nobody_out(server: EmbeddedNameserver) -> None:
    address = server.addresses[0]
    crowd = await asyncio.gather(*(asyncio.open_connection(*address) for _ in range(100)))
    async with connected(server) as (reader, writer):
        writer.write(framed())
        assert (await receive(reader)).answer
    for _, writer in crowd:
        writer.transport.abort()
