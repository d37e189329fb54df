"""Octets that two programs could take for different requests: each is one request here, or none.

RFC 9112 §11.2. What is none is answered by an empty 400, and nothing that follows it is looked at.
"""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import pytest

from ddnsd.web import replies
from ddnsd.web.http import HttpRequest
from tests.waiting import stays, turn_loop
from tests.web.public_place import PublicPlace

HOST = b"Host: x\r\n"
GET = b"GET /a HTTP/1.1\r\n"
POST = b"POST /a HTTP/1.1\r\n" + HOST
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"
NEXT = b"GET /next HTTP/1.1\r\n" + HOST + b"\r\n"
LAST = b"GET /last HTTP/1.1\r\n" + HOST + b"Connection: close\r\n\r\n"

Seen = tuple[str, str, bytes]  # method, target and body


class Case(NamedTuple):
    """`sent` is followed by `LAST`. With no `seen` it is refused, and what follows it is not looked at."""

    sent: bytes
    seen: tuple[Seen, ...] = ()
    follows: bool = True  # whether `LAST` is looked at after what was seen


REFUSED = {
    "two lengths": POST + b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
    "one length twice": POST + b"Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
    "a list of lengths": POST + b"Content-Length: 3, 3\r\n\r\nabc",
    "no length": POST + b"Content-Length:\r\n\r\nabc",
    "a length with a sign": POST + b"Content-Length: +3\r\n\r\nabc",
    "a negative length": POST + b"Content-Length: -3\r\n\r\nabc",
    "a hexadecimal length": POST + b"Content-Length: 0x3\r\n\r\nabc",
    "a length with an underscore": POST + b"Content-Length: 1_0\r\n\r\n0123456789",
    "a length and chunks": POST + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunks and a length": POST + b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
    "chunks, then a length in a trailer": CHUNKED + b"0\r\nContent-Length: 5\r\n\r\n",
    "chunks, and another coding": POST + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "another coding, and chunks": POST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "chunks twice": POST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "an unknown coding": POST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "a coding behind a control": POST + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
    "chunks in HTTP/1.0": b"POST /a HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunks behind an upgrade": POST
    + b"Connection: upgrade\r\nUpgrade: h2c\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a folded field": GET + HOST + b"X: y\r\n z\r\n\r\n",
    "a fold before all fields": GET + b" X: y\r\n" + HOST + b"\r\n",
    "bare LF": b"GET /a HTTP/1.1\nHost: x\n\n",
    "bare LF after a field": GET + b"Host: x\nX: y\r\n\r\n",
    "bare LF at the end": GET + HOST + b"\n",
    "bare CR in a field": GET + b"Host: x\rX: y\r\n\r\n",
    "bare CR in the request line": b"GET /a\rb HTTP/1.1\r\n" + HOST + b"\r\n",
    "NUL in a field": GET + b"Host: x\0\r\n\r\n",
    "NUL in a name": GET + HOST + b"X\0: y\r\n\r\n",
    "NUL in the target": b"GET /a\0 HTTP/1.1\r\n" + HOST + b"\r\n",
    "a control in a field": GET + b"Host: x\x01\r\n\r\n",
    "a blank before the colon": GET + b"Host : x\r\n\r\n",
    "a name of no token": GET + HOST + b"X(y): z\r\n\r\n",
    "no name": GET + HOST + b": y\r\n\r\n",
    "no colon": GET + HOST + b"y\r\n\r\n",
    "two hosts": GET + HOST + b"host: y\r\n\r\n",
    "a chunk without its size": CHUNKED + b"\r\nabc\r\n0\r\n\r\n",
    "a chunk that is longer": CHUNKED + b"3\r\nabcd\r\n0\r\n\r\n",
    "a chunk that ends with LF": CHUNKED + b"3\r\nabc\n0\r\n\r\n",
    "a size that ends with LF": CHUNKED + b"3\nabc\r\n0\r\n\r\n",
    "a size with a blank": CHUNKED + b"3 \r\nabc\r\n0\r\n\r\n",
    "a size with 0x": CHUNKED + b"0x3\r\nabc\r\n0\r\n\r\n",
    "a size with a sign": CHUNKED + b"-3\r\nabc\r\n0\r\n\r\n",
    "a size beyond 64 bits": CHUNKED + b"F" * 17 + b"\r\nabc\r\n0\r\n\r\n",
    "an extension that ends with LF": CHUNKED + b"3;x\nabc\r\n0\r\n\r\n",
    "an extension without an end": CHUNKED + b"3;" + b"x" * 5000 + b"\r\nabc\r\n0\r\n\r\n",
    "HTTP/0.9": b"GET /a\r\n\r\n",
    "HTTP/0.9 by name": b"GET /a HTTP/0.9\r\n\r\n",
    "HTTP/1.2": b"GET /a HTTP/1.2\r\n" + HOST + b"\r\n",
    "HTTP/2.0": b"GET /a HTTP/2.0\r\n" + HOST + b"\r\n",
    "HTTP/2's preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "another protocol": b"GET /a RTSP/1.0\r\n\r\n",
    "lower case": b"GET /a http/1.1\r\n" + HOST + b"\r\n",
    "two blanks": b"GET  /a HTTP/1.1\r\n" + HOST + b"\r\n",
    "a blank in the target": b"GET /a b HTTP/1.1\r\n" + HOST + b"\r\n",
    "a blank at the end": b"GET /a HTTP/1.1 \r\n" + HOST + b"\r\n",
    "a tab": b"GET\t/a HTTP/1.1\r\n" + HOST + b"\r\n",
    "a method of no token": b"GE(T /a HTTP/1.1\r\n" + HOST + b"\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\n",
}
TAKEN = {
    "a plain one": Case(GET + HOST + b"\r\n", (("GET", "/a", b""),)),
    "without a host": Case(GET + b"\r\n", (("GET", "/a", b""),)),
    "empty lines before it": Case(b"\r\n\r\n" + GET + HOST + b"\r\n", (("GET", "/a", b""),)),
    "a body in a GET": Case(GET + HOST + b"Content-Length: 3\r\n\r\nabc", (("GET", "/a", b"abc"),)),
    "a length with zeros": Case(POST + b"Content-Length: 0003\r\n\r\nabc", (("POST", "/a", b"abc"),)),
    "a length between blanks": Case(POST + b"Content-Length:\t3 \r\n\r\nabc", (("POST", "/a", b"abc"),)),
    "a request in a body": Case(
        POST + b"Content-Length: %d\r\n\r\n%b" % (len(NEXT), NEXT), (("POST", "/a", NEXT),)
    ),
    "a request in a chunk": Case(
        CHUNKED + b"%x\r\n%b\r\n0\r\n\r\n" % (len(NEXT), NEXT), (("POST", "/a", NEXT),)
    ),
    "a request behind the chunks": Case(
        CHUNKED + b"3\r\nabc\r\n0\r\n\r\n" + NEXT, (("POST", "/a", b"abc"), ("GET", "/next", b""))
    ),
    "chunks in capitals": Case(
        POST + b"TRANSFER-ENCODING: CHUNKED\r\n\r\n3\r\nabc\r\n0\r\n\r\n", (("POST", "/a", b"abc"),)
    ),
    "chunks with extensions": Case(
        CHUNKED + b'3;a="b;c"\r\nabc\r\n00000;d\r\n\r\n', (("POST", "/a", b"abc"),)
    ),
    "chunks with trailers": Case(
        CHUNKED + b"3\r\nabc\r\n0\r\nX-Forwarded-For: 192.0.2.1\r\n\r\n", (("POST", "/a", b"abc"),)
    ),
    "chunks of one octet": Case(CHUNKED + b"1\r\nx\r\n" * 90 + b"0\r\n\r\n", (("POST", "/a", b"x" * 90),)),
    "many at once": Case((GET + HOST + b"\r\n") * 50, (("GET", "/a", b""),) * 50),
    "an upgrade that is not taken": Case(
        GET + HOST + b"Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n", (("GET", "/a", b""),)
    ),
    "an upgrade with a body": Case(
        POST + b"Connection: Upgrade\r\nUpgrade: h2c\r\nContent-Length: 3\r\n\r\nabc",
        (("POST", "/a", b"abc"),),
    ),
    "a tunnel": Case(b"CONNECT /a HTTP/1.1\r\n" + HOST + b"\r\n", (("CONNECT", "/a", b""),), False),
    "an absolute target": Case(b"GET http://x/a?b HTTP/1.1\r\n" + HOST + b"\r\n", (("GET", "/a?b", b""),)),
    "raw UTF-8": Case(b"GET /\xc3\xa4?\xff HTTP/1.1\r\n" + HOST + b"\r\n", (("GET", "/\xc3\xa4?\xff", b""),)),
    "an unknown method": Case(b"BREW /a HTTP/1.1\r\n" + HOST + b"\r\n", (("BREW", "/a", b""),)),
    "HTTP/1.0": Case(b"GET /a HTTP/1.0\r\n\r\n", (("GET", "/a", b""),), False),
    "HTTP/1.0, kept": Case(b"GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", (("GET", "/a", b""),)),
    "the end in a list": Case(
        GET + HOST + b"Connection: keep-alive, close\r\n\r\n", (("GET", "/a", b""),), False
    ),
}
CASES = {**{name: Case(sent) for name, sent in REFUSED.items()}, **TAKEN}


class Everything(dict[str, Any]):
    """Has one value under every key."""

    def __init__(self, value: Any) -> None:
        super().__init__()
        self._value = value

    def __contains__(self, key: object) -> bool:
        return True

    def get(self, key: str, default: Any = None) -> Any:
        return self._value


class Place(PublicPlace):
    """Answers whatever is asked with 200, and notes what it was."""

    def __init__(self) -> None:
        super().__init__(Everything(Everything(self._note)))
        self.seen: list[Seen] = []

    def _note(self, exchange: HttpRequest) -> None:
        target = exchange.path + ("?" + exchange.query if exchange.query else "")
        self.seen.append((exchange.method, target, exchange.body))
        exchange.reply(200, b"{}")


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    async with Place() as place:
        yield place


async def _answers(place: Place, octets: bytes, step: int) -> list[tuple[int, bytes]]:
    """Send octets, so many at once, and no more; return what is answered: each status and body."""
    reader, writer = await place.connect()
    for at in range(0, len(octets), step):
        writer.write(octets[at : at + step])
        if step < len(octets):
            await turn_loop()
    answers = []
    async with asyncio.timeout(60):
        while line := await reader.readline():
            head = b""
            while (field := await reader.readline()) != b"\r\n":
                head += field
            length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0] or 0)
            answers.append((int(line.split()[1]), await reader.readexactly(length)))
    return answers


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
async def test_it_is_one_request_or_none(place: Place, case: Case) -> None:
    answers = await _answers(place, case.sent + LAST, 1 << 20)
    if case.seen:
        last = (("GET", "/last", b""),) if case.follows else ()
        assert tuple(place.seen) == case.seen + last
        assert answers == len(place.seen) * [(200, b"{}")]
    else:
        assert answers == [(400, b"")]
        assert place.seen == []


async def test_of_a_head_with_too_many_fields_nothing_is_read(place: Place) -> None:
    many = GET + HOST + b"X: y\r\n" * 600 + b"\r\n"
    assert await _answers(place, many + LAST, 1 << 20) == []
    assert place.seen == []


@pytest.mark.parametrize("case", TAKEN.values(), ids=TAKEN)
async def test_it_does_not_matter_how_it_is_cut(place: Place, case: Case) -> None:
    """Sent in parts that end within each line, whatever TCP makes of them."""
    if len(case.sent) < 1000:  # the others would take seconds: crumbs are read at leisure
        await _answers(place, case.sent + LAST, 7)
        last = (("GET", "/last", b""),) if case.follows else ()
        assert tuple(place.seen) == case.seen + last


async def test_a_length_that_cannot_be_counted_is_too_large(place: Place) -> None:
    answers = await _answers(place, POST + b"Content-Length: %b\r\n\r\n" % (b"9" * 30), 1 << 20)
    assert answers == [(413, replies.failure(replies.TOO_LARGE))]


async def test_a_huge_chunk_is_too_large_once_it_is(place: Place) -> None:
    reader, writer = await place.connect()
    writer.write(CHUNKED + b"FFFFFFFFFFFFFFF\r\n" + bytes(50))
    await stays(lambda: place.seen == [], 0.05)
    writer.write(bytes(9 << 20))
    async with asyncio.timeout(60):
        assert (await reader.readline()).startswith(b"HTTP/1.1 413 ")
    assert place.seen == []


async def test_a_client_that_waits_for_leave_gets_it_and_no_other_does(place: Place) -> None:
    head = POST + b"Content-Length: 3\r\nExpect: 100-Continue\r\n\r\n"
    reader, writer = await place.connect()
    writer.write(head)
    async with asyncio.timeout(60):
        assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        writer.write(b"abc")
        assert (await reader.readuntil(b"{}")).startswith(b"HTTP/1.1 200 ")
        writer.write(head + b"abc")  # it does not wait
        assert (await reader.readuntil(b"{}")).startswith(b"HTTP/1.1 200 ")
        writer.write(head.replace(b"HTTP/1.1", b"HTTP/1.0") + b"abc")
        assert (await reader.readuntil(b"{}")).startswith(b"HTTP/1.1 200 ")


async def test_what_is_said_of_the_connection(place: Place) -> None:
    reader, writer = await place.connect()
    kept = b"GET /a HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n"
    async with asyncio.timeout(60):
        writer.write(GET + HOST + b"\r\n")
        assert b"onnection" not in await reader.readuntil(b"{}")
        writer.write(kept)
        assert b"\r\nConnection: keep-alive\r\n" in await reader.readuntil(b"{}")
        writer.write(b"HEAD /a HTTP/1.1\r\n" + HOST + b"\r\n")
        head = await reader.readuntil(b"\r\n\r\n")
        assert b"\r\nContent-Length: 2\r\n" in head
        writer.write(LAST)
        assert b"\r\nConnection: close\r\n" in await reader.read()
