"""Whatever strangers send, the nameserver goes on answering, and has nothing to say about it."""

import asyncio
import logging
import random
import struct
import time
from collections.abc import Callable, Iterator

import dns.asyncquery
import dns.message
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import pytest
from structlog.testing import capture_logs

from ddnsd.nameserver.embedded import EmbeddedNameserver, EmbeddedSettings
from ddnsd.nameserver.embedded.answer import MAX_QUERY, respond
from ddnsd.nameserver.interface import RRset

QUERIES = tuple(
    dns.message.make_query(name, rdtype, use_edns=edns).to_wire()
    for name in ("blog.example.com", "none.example.com", "www.example.net", "many.example.com", ".")
    for rdtype in ("A", "TXT", "SOA", "ANY", "AXFR")
    for edns in (False, 0, 1)
)


def _random(source: random.Random) -> bytes:
    return source.randbytes(source.choice((0, 1, 11, 12, 13, 17, 30, 100, 512, 1400)))


def _flipped(source: random.Random) -> bytes:
    wire = bytearray(source.choice(QUERIES))
    for _ in range(source.randint(1, 6)):
        wire[source.randrange(len(wire))] = source.randrange(256)
    return bytes(wire)


def _cut(source: random.Random) -> bytes:
    wire = source.choice(QUERIES)
    return wire[: source.randrange(len(wire))]


def _counts(source: random.Random) -> bytes:
    wire = source.choice(QUERIES)
    return (
        wire[:4] + struct.pack("!4H", *(source.choice((0, 1, 2, 255, 65535)) for _ in range(4))) + wire[12:]
    )


def _pointers(source: random.Random) -> bytes:
    """Return a query whose name is made of compression pointers: forward, backward, to themselves."""
    pointers = (0xC000 | source.randrange(120) for _ in range(source.randint(1, 50)))
    return QUERIES[0][:12] + b"".join(struct.pack("!H", pointer) for pointer in pointers) + b"\0\1\0\1"


def _options(source: random.Random) -> bytes:
    """Return a query with an OPT record of random content (RFC 6891)."""
    data = source.randbytes(source.choice((0, 3, 4, 8, 40)))
    header = struct.pack("!BHHIH", 0, 41, source.randrange(65536), source.getrandbits(32), len(data))
    return QUERIES[0][:11] + b"\1" + QUERIES[0][12:] + header + data


def _records(source: random.Random) -> bytes:
    """Return a query with a record of any type and random content in the additional section."""
    data = source.randbytes(source.randrange(60))
    rdtype = source.choice((1, 2, 6, 16, 24, 28, 33, 41, 46, 47, 50, 64, 249, 250, source.randrange(65536)))
    header = struct.pack("!HHIH", rdtype, source.choice((1, 255, 254)), 0, len(data))
    return QUERIES[0][:11] + b"\1" + QUERIES[0][12:] + b"\xc0\x0c" + header + data


MAKERS: tuple[Callable[[random.Random], bytes], ...] = (
    _random,
    _flipped,
    _cut,
    _counts,
    _pointers,
    _options,
    _records,
)


def hostile(count: int, seed: int) -> Iterator[bytes]:
    """Yield so many hostile messages, the same ones for the same seed."""
    source = random.Random(seed)
    for number in range(count):
        yield MAKERS[number % len(MAKERS)](source)


class _Deaf(asyncio.DatagramProtocol):
    """A client that ignores the answers."""


async def fuzz(server: EmbeddedNameserver, count: int, seed: int) -> None:
    """Send so many hostile messages, most on UDP, every eighth on TCP: a broken frame, or as it is."""
    loop = asyncio.get_running_loop()
    udp, _ = await loop.create_datagram_endpoint(_Deaf, remote_addr=server.addresses[0])
    try:
        for number, message in enumerate(hostile(count, seed)):
            if number % 8 == 0:
                await _pour(server, message, whole=number % 16 == 0)
            else:
                udp.sendto(message)
            if number % 50 == 0:
                await _ask(server)
    finally:
        udp.abort()


async def _pour(server: EmbeddedNameserver, message: bytes, *, whole: bool) -> None:
    _, writer = await asyncio.open_connection(*server.addresses[0])
    writer.write((len(message).to_bytes(2, "big") if whole else b"") + message)
    if whole:
        writer.close()
    else:
        writer.transport.abort()


async def _ask(server: EmbeddedNameserver) -> None:
    """Ask something sensible both ways; the right answer comes after all that was sent before."""
    query = dns.message.make_query("blog.example.com", "A")
    for ask in (dns.asyncquery.udp, dns.asyncquery.tcp):
        host, port = server.addresses[0]
        message = await ask(query, host, port=port, timeout=10)
        assert [str(rdata) for rdata in message.answer[0]] == ["192.0.2.1"]


@pytest.mark.faults
async def test_the_server_survives(
    server: EmbeddedNameserver, caplog: pytest.LogCaptureFixture, rounds: Callable[[int, int], int]
) -> None:
    count = rounds(4_000, 100_000)
    with capture_logs() as logs, caplog.at_level(logging.WARNING):
        await fuzz(server, count, seed=20_261_123)
        await _ask(server)
    assert sum(server.answers.values()) > count * 3 // 4  # they did arrive
    assert server.answers["FORMERR"] > count // 10
    assert server.answers["fault"] == 0
    assert not logs
    assert not caplog.records


def test_every_answer_to_a_hostile_message_can_be_read() -> None:
    zones = {"example.com": None}
    for message in hostile(5_000, seed=7):
        response = respond(zones, message, is_datagram=True)
        if response is not None:
            assert response.wire[:2] == message[:2]
            assert dns.message.from_wire(response.wire).flags & dns.flags.QR


@pytest.mark.parametrize("hops", [50, (MAX_QUERY - 100) // 2, 8000])
def test_a_chain_of_pointers_costs_little(hops: int) -> None:
    """Names that jump from pointer to pointer, one per record: the work must not multiply."""
    question = QUERIES[0][12:]
    first = 12 + len(question)
    chain = struct.pack("!H", 0xC00C) + b"".join(
        struct.pack("!H", 0xC000 | first + 2 * hop) for hop in range(hops - 1)
    )
    record = struct.pack("!HHHIH", 0xC000 | first + 2 * (hops - 1), 65280, 1, 0, 0)
    for records in (2, 2000):
        wire = struct.pack("!6H", 1, 0, 1, 0, 0, records) + question + chain + record * records
        start = time.process_time()
        respond({}, wire[:65535], is_datagram=False)
        assert time.process_time() - start < 0.05


def test_a_stranger_s_record_does_not_spoil_dnspython() -> None:
    """A record of class ANY makes `dns.message.from_wire` forget how its type is read in class IN."""
    record = struct.pack("!BHHIH", 0, dns.rdatatype.LOC, dns.rdataclass.ANY, 0, 0)
    respond({}, QUERIES[0][:11] + b"\1" + QUERIES[0][12:] + record, is_datagram=True)
    text = "52 22 23.000 N 4 53 32.000 E -2.00m 0.00m 10000.00m 10.00m"
    assert hasattr(dns.rdata.from_text("IN", "LOC", text), "latitude")


async def test_a_bug_is_answered_counted_and_logged_once(
    settings: EmbeddedSettings, contents: tuple[RRset, ...]
) -> None:
    """A look-up that breaks is a bug that nobody knows yet."""

    def hidden(zone: str) -> str:
        raise RuntimeError(zone)

    server = await EmbeddedNameserver.start(settings, ["example.com"], hidden)
    await server.open("example.com", contents)
    try:
        with capture_logs() as logs:
            reader, writer = await asyncio.open_connection(*server.addresses[0])
            for _ in range(5):
                writer.write(dns.message.make_query("blog.example.com", "A").to_wire(prepend_length=True))
                length = int.from_bytes(await reader.readexactly(2), "big")
                assert dns.message.from_wire(await reader.readexactly(length)).rcode() == dns.rcode.SERVFAIL
            writer.close()
        assert server.answers["fault"] == 5
        assert [log["event"] for log in logs] == ["a DNS message met a bug"]
    finally:
        await server.close()
