"""The PROXY protocol on the real process, sent by HAProxy and by hand."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import pytest_asyncio

from ddnsd.model.request import Refusal
from tests.rigs.certificates import Certificates
from tests.rigs.haproxy import HaproxyRig
from tests.system.http import Reply
from tests.system.installation import SECRET, UPDATE, Installation, example
from tests.system.load import UPDATED
from tests.system.wire import Wire
from tests.waiting import paced, turn_loop
from tests.web.proxy_headers import UNKNOWN, binary, extension, version_1, version_2

BLOG = "blog.example.com"
PROXY = "127.0.0.1"
FORWARDED = "X-Forwarded-For: 203.0.113.1, 198.51.100.7"
LISTEN = {"public": f"{PROXY}:0", "admin": f"{PROXY}:0", "health": f"{PROXY}:0", "proxy_protocol": True}
UPDATE_OWN = f"GET {UPDATE}?domain={BLOG}&token={SECRET} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
HEADERS = pytest.mark.parametrize("option", ["send-proxy", "send-proxy-v2", "send-proxy-v2-ssl-cn"])

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def proxied(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Installation]:
    """Behind a proxy at 127.0.0.1, and one before that at 127.0.0.9."""
    folder = tmp_path_factory.mktemp("proxied")
    async with Installation(folder, listen=LISTEN, trusted_proxies=[PROXY, "127.0.0.9"]) as ddnsd:
        await ddnsd.apply(*example())
        yield ddnsd


async def ask(ddnsd: Installation, header: bytes, *lines: str) -> Reply | None:
    async with Wire(ddnsd.addresses["public"]) as wire:
        await wire.send(
            header + UPDATE_OWN.encode() + "".join(f"{line}\r\n" for line in (*lines, "")).encode()
        )
        return await wire.receive("GET")


async def body(address: str, client: tuple[str, int] | None = None, tls: ssl.SSLContext | None = None) -> str:
    """Update over a connection from this client to an address; return what is answered."""
    host, _, port = address.rpartition(":")
    async with asyncio.timeout(30):
        reader, writer = await asyncio.open_connection(
            host.strip("[]"), int(port), ssl=tls, local_addr=client
        )
        writer.write(f"{UPDATE_OWN}\r\n".encode())
        answer = await reader.read()
        writer.close()
    return answer.decode().rpartition("\r\n")[2]


@HEADERS
async def test_clients_of_both_families_through_haproxy(proxied: Installation, option: str) -> None:
    hosts = (PROXY, "[::1]")
    with HaproxyRig([proxied.addresses["public"]], option=option, hosts=hosts) as haproxy:
        v4, v6 = haproxy.addresses
        assert '"ip":"127.0.0.5"' in await body(v4, ("127.0.0.5", 0))
        assert '"ip":"::1"' in await body(v6)


@HEADERS
async def test_tls_behind_the_header(tmp_path: Path, option: str) -> None:
    files = Certificates(tmp_path / "tls").folder
    tls = {"certificate": str(files / "server.pem"), "key": str(files / "server.key")}
    context = ssl.create_default_context(cafile=files / "ca.pem")
    async with Installation(tmp_path, listen={**LISTEN, "tls": tls}, trusted_proxies=[PROXY]) as ddnsd:
        await ddnsd.apply(*example())
        with HaproxyRig([ddnsd.addresses["public"]], option=option, mode="tcp") as haproxy:
            answer = await body(haproxy.address, ("127.0.0.5", 0), context)
        assert (UPDATED in answer, '"ip":"127.0.0.5"' in answer) == (True, True)
        assert '"level": "error"' not in ddnsd.log()


@pytest.mark.parametrize("header", [UNKNOWN, binary(0x20, 0x00, extension(0x04, bytes(7)))])
async def test_a_proxys_own_address_is_never_published(proxied: Installation, header: bytes) -> None:
    reply = await ask(proxied, header)
    assert reply is not None
    assert (reply.status, reply.message) == Refusal.INVALID_IP.value


async def test_a_proxy_before_the_proxy(proxied: Installation) -> None:
    """The header's source is a trusted proxy itself, so it is believed whom that names."""
    for make in (version_1, version_2):
        reply = await ask(proxied, make("127.0.0.9"), FORWARDED)
        assert reply is not None
        assert reply.json["data"]["ip"] == "198.51.100.7"
        reply = await ask(proxied, make("198.51.100.8"), FORWARDED)
        assert reply is not None
        assert reply.json["data"]["ip"] == "198.51.100.8"


async def test_the_end_of_a_node_loses_no_request_behind_a_header(tmp_path: Path) -> None:
    """Connections that were accepted when it is told to leave, and have shown no header yet."""
    async with (
        Installation(tmp_path, listen=LISTEN, trusted_proxies=[PROXY]) as ddnsd,
        AsyncExitStack() as stack,
    ):
        await ddnsd.apply(*example())
        ddnsd.freeze()
        wires = [await stack.enter_async_context(Wire(ddnsd.addresses["public"])) for _ in range(20)]
        for number, wire in enumerate(wires):
            await wire.send(version_2(f"198.51.100.{number}") + f"{UPDATE_OWN}\r\n".encode())
        ending = asyncio.create_task(ddnsd.terminate())
        await turn_loop()
        ddnsd.thaw()
        replies = [await wire.receive("GET") for wire in wires]
        assert {reply and reply.message for reply in replies} == {UPDATED}
        assert await ending == 0


async def test_haproxys_own_checks_are_served(proxied: Installation) -> None:
    """They come with `LOCAL`, and it takes the server out when they fail."""
    option = "send-proxy-v2 check inter 100ms fall 1 rise 1000"
    before = len(proxied.events("proxy_header.refused"))
    with HaproxyRig([proxied.addresses["public"]], option=option) as haproxy:
        async for _ in paced(range(20), 0.02):
            assert '"ip":"127.0.0.5"' in await body(haproxy.address, ("127.0.0.5", 0))
    assert len(proxied.events("proxy_header.refused")) == before


async def test_who_sends_no_header_is_counted(proxied: Installation) -> None:
    name = 'ddnsd_proxy_headers_refused_total{reason="malformed"}'
    before = await proxied.metric(name)
    assert await ask(proxied, b"") is None
    assert await proxied.metric(name) == before + 1
    (*_, told) = proxied.events("proxy_header.refused")
    assert (told["peer"], told["reason"], told["level"]) == (PROXY, "malformed", "debug")


async def test_the_header_is_off_by_default(tmp_path: Path) -> None:
    async with Installation(tmp_path, trusted_proxies=[PROXY]) as ddnsd:
        await ddnsd.apply(*example())
        header, none = await ask(ddnsd, version_1("198.51.100.7")), await ask(ddnsd, b"", FORWARDED)
        assert header is not None
        assert none is not None
        assert (header.status, none.message) == (400, UPDATED)
