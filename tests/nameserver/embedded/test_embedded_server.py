"""The nameserver as its publisher and its clients see it, over real sockets."""

import asyncio
import json
import socket
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from dataclasses import replace
from socket import SocketKind

import dns.asyncquery
import dns.flags
import dns.message
import dns.query
import pytest
from dns.rcode import Rcode as Code

from ddnsd.nameserver.embedded import EmbeddedNameserver, EmbeddedSettings
from ddnsd.nameserver.embedded.zone import BLOCK, FILE
from ddnsd.nameserver.interface import (
    Exists,
    QueryRefusedError,
    Rcode,
    RecordType,
    Replace,
    RRset,
    UnreachableError,
    Update,
)
from tests.nameserver.embedded.conftest import Ask
from tests.narrow import present
from tests.waiting import paced

A, TXT, SOA = RecordType.A, RecordType.TXT, RecordType.SOA
ZONE, BLOG = "example.com", "blog.example.com"


def change(*values: str, name: str = BLOG, zone: str = ZONE) -> Update:
    return Update(zone, (), (Replace(name, A, 60, values),))


async def serial(server: EmbeddedNameserver, zone: str = ZONE) -> int:
    soa = await server.query(zone, zone, SOA)
    assert soa is not None
    return int(soa.values[0].split()[2])


async def dig(server: EmbeddedNameserver, *arguments: str) -> str:
    host, port = server.addresses[0]
    command = ("dig", f"@{host}", "-p", str(port), "+tries=1", "+time=5", *arguments)
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    output, _ = await process.communicate()
    assert process.returncode == 0
    return output.decode()


async def test_dig(server: EmbeddedNameserver) -> None:
    assert await dig(server, "+short", BLOG) == "192.0.2.1\n"
    assert await dig(server, "+short", "+tcp", BLOG, "AAAA") == "2001:db8::1\n"
    missing = await dig(server, "none.example.com")
    assert "status: NXDOMAIN" in missing
    assert "flags: qr aa rd;" in missing
    assert "IN\tSOA\tns.example.com." in missing
    many = await dig(server, "many.example.com", "TXT")
    assert "retrying in TCP mode" in many
    assert "ANSWER: 20" in many
    assert "Transfer failed" in await dig(server, ZONE, "AXFR")
    assert "EDE: 14 (Not Ready)" in await dig(server, "+nocookie", "www.example.net")


async def test_a_client_sees_each_update(server: EmbeddedNameserver, ask: Ask) -> None:
    before = await serial(server)
    assert await server.update(change("192.0.2.7")) == Rcode.NOERROR
    assert str((await ask(BLOG)).answer[0][0]) == "192.0.2.7"
    assert await server.update(change()) == Rcode.NOERROR
    assert not (await ask(BLOG)).answer
    assert await serial(server) == before + 2


async def test_a_wildcard_and_challenges(server: EmbeddedNameserver, ask: Ask) -> None:
    challenge, wildcard = f"_acme-challenge.{BLOG}", f"*.{BLOG}"
    texts = ("b" * 255, "LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0")
    changes = (Replace(challenge, TXT, 30, texts), Replace(wildcard, A, 60, ("192.0.2.7",)))
    assert await server.update(Update(ZONE, (), changes)) == Rcode.NOERROR
    assert await dig(server, "+short", f"www.{BLOG}", f"*.{BLOG}") == "192.0.2.7\n192.0.2.7\n"
    shown = (await dig(server, "+short", challenge, "TXT")).split()
    assert sorted(shown) == sorted(f'"{text}"' for text in texts)  # they come in any order
    assert await server.query(ZONE, challenge, TXT) == RRset(challenge, TXT, 30, tuple(sorted(texts)))
    held = [rrset async for part in server.transfer(ZONE) for rrset in part]
    assert {RRset(challenge, TXT, 30, tuple(sorted(texts))), RRset(wildcard, A, 60, ("192.0.2.7",))} < set(
        held
    )
    await server.update(Update(ZONE, (), tuple(Replace(*change[:2], 0, ()) for change in changes)))
    assert (await ask(challenge, "TXT")).rcode() == Code.NXDOMAIN


async def test_a_fenced_update_of_a_deposed_leader_changes_nothing(server: EmbeddedNameserver) -> None:
    fence = "_ddnsd.example.com"
    claim = Update(ZONE, (), (Replace(fence, TXT, 0, ("new",)),))
    assert await server.update(claim) == Rcode.NOERROR
    old = change("192.0.2.66")._replace(prerequisites=(Exists(fence, TXT, ("old",)),))
    assert await server.update(old) == Rcode.NXRRSET
    assert present(await server.query(ZONE, BLOG, A)).values == ("192.0.2.1",)


async def test_query(server: EmbeddedNameserver) -> None:
    assert await server.query(ZONE, BLOG, A) == RRset(BLOG, A, 60, ("192.0.2.1",))
    assert await server.query(ZONE, BLOG, TXT) is None
    assert await server.query(ZONE, "www.example.org", A) is None


async def test_the_zones_that_it_does_not_have(server: EmbeddedNameserver, ask: Ask) -> None:
    assert await server.update(change("192.0.2.1", name="x.example.net", zone="example.net")) == Rcode.NOTAUTH
    assert await server.update(change("192.0.2.1", name="x.example.org", zone="example.org")) == Rcode.NOTAUTH
    with pytest.raises(QueryRefusedError, match=r"example\.net is not open"):
        await server.query("example.net", "example.net", SOA)
    with pytest.raises(QueryRefusedError, match=r"example\.org is not open"):
        async for _ in server.transfer("example.org"):
            pass
    assert (await ask("x.example.net")).rcode() == Code.SERVFAIL
    assert (await ask("x.example.org")).rcode() == Code.REFUSED
    await server.open("example.net", [])
    assert (await ask("x.example.net")).rcode() == Code.NXDOMAIN
    await server.leave("example.net")
    assert (await ask("x.example.net")).rcode() == Code.REFUSED


async def test_transfer_is_the_whole_zone_in_parts(
    server: EmbeddedNameserver, contents: tuple[RRset, ...]
) -> None:
    hosts = [RRset(f"h{number}.example.com", A, 60, ("192.0.2.1",)) for number in range(2500)]
    await server.open(ZONE, [*contents, *hosts])
    parts = [part async for part in server.transfer(ZONE)]
    assert max(map(len, parts)) <= 1000
    [soa, *rest] = [rrset for part in parts for rrset in part]
    assert soa == await server.query(ZONE, ZONE, SOA)
    assert sorted(rest) == sorted([*contents, *hosts])


async def test_opened_again_the_contents_are_exactly_the_new_ones(
    server: EmbeddedNameserver, contents: tuple[RRset, ...]
) -> None:
    before = await serial(server)
    await server.open(ZONE, contents)
    assert await serial(server) == before
    await server.update(change("192.0.2.9", name="other.example.com"))
    await server.open(ZONE, contents[1:])
    assert await serial(server) == before + 2
    assert await server.query(ZONE, "other.example.com", A) is None
    assert await server.query(ZONE, BLOG, A) is None


async def test_bad_contents_leave_what_is_served(server: EmbeddedNameserver) -> None:
    with pytest.raises(ValueError, match="a bad value"):
        await server.open(ZONE, [RRset("x.example.com", A, 60, ("not an address",))])
    assert await server.query(ZONE, BLOG, A) is not None


async def test_while_a_big_zone_is_loaded_the_old_one_is_served(server: EmbeddedNameserver, ask: Ask) -> None:
    hosts = [RRset(f"h{number}.example.com", A, 60, ("192.0.2.1",)) for number in range(20_000)]
    loading = asyncio.create_task(server.open(ZONE, hosts))
    answers = 0
    while not loading.done():
        answers += (await ask(BLOG)).rcode() == Code.NOERROR
    assert answers
    assert (await ask(BLOG)).rcode() == Code.NXDOMAIN
    assert (await ask("h19999.example.com")).rcode() == Code.NOERROR


async def test_the_serial_never_falls_over_restarts(
    server: EmbeddedNameserver, settings: EmbeddedSettings, contents: tuple[RRset, ...]
) -> None:
    last = await serial(server)
    for _ in range(3):  # beside the one that was never closed: as after kill -9
        again = await EmbeddedNameserver.start(settings)
        async with _closing(again):
            await again.open(ZONE, contents)
            await again.update(change("192.0.2.8"))
            assert await serial(again) > last
            last = await serial(again)


async def test_without_a_durable_serial_nothing_is_changed(
    server: EmbeddedNameserver, settings: EmbeddedSettings
) -> None:
    (settings.folder / FILE).unlink()
    settings.folder.rmdir()
    with pytest.raises(UnreachableError, match="no SOA serial can be reserved"):
        await server.open("example.net", [])
    with pytest.raises(UnreachableError):
        await _change_often(server, BLOCK + 1)
    [last] = present(await server.query(ZONE, BLOG, A)).values
    assert last == f"10.0.{(BLOCK - 2) // 250}.{(BLOCK - 2) % 250}"  # one serial of the block went to `open`
    settings.folder.mkdir()
    assert await server.update(change("192.0.2.4")) == Rcode.NOERROR
    assert json.loads((settings.folder / FILE).read_text())[ZONE] > await serial(server)


async def _change_often(server: EmbeddedNameserver, times: int) -> None:
    for number in range(times):
        await server.update(change(f"10.0.{number // 250}.{number % 250}"))


async def test_updates_beside_each_other_each_take_their_own_serial(server: EmbeddedNameserver) -> None:
    before = await serial(server)
    names = [f"x{number}.example.com" for number in range(BLOCK + 500)]
    codes = await asyncio.gather(*(server.update(change("192.0.2.1", name=name)) for name in names))
    assert set(codes) == {Rcode.NOERROR}
    assert await serial(server) == before + len(names)


async def test_a_resolver_never_sees_a_gap_or_an_older_value(server: EmbeddedNameserver) -> None:
    """Ask as fast as one thread can while the name changes 1,000 times."""
    await server.update(change("10.0.0.0"))
    stop = threading.Event()
    watching = asyncio.create_task(asyncio.to_thread(_watch, server.addresses[0], stop))
    async for number in paced(range(1, 1001), 0.001):
        assert await server.update(change(f"10.0.{number // 250}.{number % 250}")) == Rcode.NOERROR
    stop.set()
    seen = await watching
    assert seen == sorted(seen)
    assert len(set(seen)) > 10
    assert present(await server.query(ZONE, BLOG, A)).values == ("10.0.4.0",)


def _watch(address: tuple[str, int], stop: threading.Event) -> list[tuple[int, ...]]:
    seen = []
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as client:
        client.settimeout(5)
        while not stop.is_set():
            client.sendto(dns.message.make_query(BLOG, "A").to_wire(), address)
            [rrset] = dns.message.from_wire(client.recv(512)).answer
            [rdata] = rrset
            seen.append(tuple(map(int, rdata.address.split("."))))
    return seen


async def test_both_families(settings: EmbeddedSettings) -> None:
    settings = replace(settings, listen=(("127.0.0.1", 0), ("::1", 0)))
    async with _closing(await EmbeddedNameserver.start(settings, [ZONE])) as server:
        await server.open(ZONE, [])
        assert [host for host, _ in server.addresses] == ["127.0.0.1", "::1"]
        for host, port in server.addresses:
            for ask in (dns.asyncquery.udp, dns.asyncquery.tcp):
                response = await ask(dns.message.make_query(ZONE, "SOA"), host, port=port, timeout=5)
                assert response.answer


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM])
async def test_a_port_that_is_taken(settings: EmbeddedSettings, kind: SocketKind) -> None:
    with closing(socket.socket(socket.AF_INET, kind)) as other:
        other.bind(("127.0.0.1", 0))
        if kind == socket.SOCK_STREAM:
            other.listen()
        port = other.getsockname()[1]
        taken = replace(settings, listen=(("127.0.0.1", 0), ("127.0.0.1", port)))
        with pytest.raises(OSError, match="cannot listen on") as error:
            await EmbeddedNameserver.start(taken)
    for part in (f"127.0.0.1 port {port}", "in use", "choose another", "nameservers.embedded.listen"):
        assert part in str(error.value)


@pytest.mark.parametrize("host", ["192.0.2.1", "localhost", "2001:db8::1"])
async def test_an_address_that_is_not_ours(settings: EmbeddedSettings, host: str) -> None:
    with pytest.raises(OSError, match=f"{host} port 5300.*choose"):
        await EmbeddedNameserver.start(replace(settings, listen=((host, 5300),)))


async def test_closed_it_frees_the_port_and_ends_its_connections(
    server: EmbeddedNameserver, settings: EmbeddedSettings
) -> None:
    address = server.addresses[0]
    reader, writer = await asyncio.open_connection(*address)
    writer.write(dns.message.make_query(BLOG, "A").to_wire(prepend_length=True))
    await reader.readexactly(2)
    await server.close()
    await server.close()
    async with asyncio.timeout(5):
        await reader.read()
    writer.close()
    again = replace(settings, listen=(address,))
    async with _closing(await EmbeddedNameserver.start(again)) as second:
        assert second.addresses == (address,)


@asynccontextmanager
async def _closing(server: EmbeddedNameserver) -> AsyncIterator[EmbeddedNameserver]:
    try:
        yield server
    finally:
        await server.close()
