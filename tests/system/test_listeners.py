"""The listeners of the real process: TLS, proxies, limits, health; whom slow and oversized requests hurt."""

import asyncio
import itertools
import re
import ssl
import subprocess
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import pytest_asyncio

from ddnsd.model.request import Refusal
from tests.narrow import present
from tests.system.http import Client
from tests.system.installation import SECRET, UPDATE, Installation, example
from tests.system.wire import Wire

ROOT = Path(__file__).parents[2]
BLOG = "blog.example.com"
QUERY = f"{UPDATE}?{urlencode({'domain': BLOG, 'token': SECRET})}"

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def proxied(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Installation]:
    """Behind a proxy on this machine, for short requests and public addresses only."""
    async with Installation(
        tmp_path_factory.mktemp("proxied"),
        trusted_proxies=["127.0.0.0/8"],
        addresses={"private": "refuse"},
        http={"max_header": 2048, "max_body": 2048},
    ) as installation:
        await installation.apply(*example())
        yield installation


@pytest.mark.parametrize(
    ("headers", "ip"),
    [
        ({"X-Forwarded-For": "198.51.100.9"}, "198.51.100.9"),
        ({"X-Forwarded-For": "203.0.113.5, 198.51.100.8"}, "198.51.100.8"),
        ({"X-Forwarded-For": "198.51.100.7, 127.0.0.1, 127.3.2.1"}, "198.51.100.7"),
        ({"Forwarded": 'for=203.0.113.5, for="[2001:db8::7]:4711";proto=https'}, "2001:db8::7"),
        ({"X-Forwarded-For": "198.51.100.6", "Forwarded": "for=198.51.100.6"}, "198.51.100.6"),
    ],
)
async def test_the_client_behind_a_trusted_proxy(
    proxied: Installation, headers: dict[str, str], ip: str
) -> None:
    reply = await proxied.public.send("GET", QUERY, headers)
    assert reply.json["data"]["ip"] == ip


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-Forwarded-For": "127.0.0.1"},
        {"X-Forwarded-For": "198.51.100.9, unknown"},
        {"X-Real-IP": "198.51.100.9"},
        {"X-Forwarded-For": "198.51.100.9", "Forwarded": "for=198.51.100.8"},
    ],
)
async def test_the_address_of_a_proxy_is_never_published(
    proxied: Installation, headers: dict[str, str]
) -> None:
    reply = await proxied.public.send("GET", QUERY, headers)
    assert (reply.status, reply.message) == Refusal.INVALID_IP.value


async def test_private_addresses_can_be_refused(proxied: Installation) -> None:
    for private in ("192.168.1.1", "fd00::1", "100.64.0.1", "::ffff:10.0.0.1"):
        assert (await proxied.update(BLOG, private)).message == Refusal.INVALID_IP.message
    assert (await proxied.update(BLOG, "192.0.2.1")).status == 200


async def test_slow_requests_stop_nobody_and_are_closed(tmp_path: Path) -> None:
    head = f"POST {UPDATE} HTTP/1.1\r\nHost: x\r\n"
    halves = (head, f"{head}Content-Length: 9\r\n\r\nhalf", f"{head}Transfer-Encoding: chunked\r\n\r\n5\r\n")
    async with (
        Installation(tmp_path, http={"idle_timeout": 2, "body_timeout": 2}) as ddnsd,
        AsyncExitStack() as stack,
    ):
        await ddnsd.apply(*example())
        addresses = 40 * [ddnsd.addresses["public"], ddnsd.addresses["admin"]]
        slow = [await stack.enter_async_context(Wire(address)) for address in addresses for _ in halves]
        for wire, half in zip(slow, itertools.cycle(halves), strict=False):
            await wire.send(half.encode())
        for number in range(20):
            assert (await ddnsd.update(BLOG, f"192.0.2.{number}")).json["data"]["updated"]
        for wire in slow:
            while reply := await wire.receive("POST"):
                assert reply.status == 401, "the admin listener refuses a stranger before the body"


async def test_an_oversized_head_is_no_request(proxied: Installation) -> None:
    async with Wire(proxied.addresses["public"]) as wire:
        await wire.send(f"GET {QUERY} HTTP/1.1\r\nHost: x\r\nX: {'y' * 4096}\r\n\r\n".encode())
        assert await wire.receive("GET") is None


@pytest.mark.parametrize("size", [2049, 100_000, 4_000_000])
async def test_an_oversized_body_is_read_and_answered(proxied: Installation, size: int) -> None:
    client = Client(proxied.addresses["public"])
    reply = await client.send("POST", UPDATE, {}, b"x" * size)
    await client.close()
    assert (reply.status, reply.json["success"]) == (413, False)


@pytest.mark.parametrize("length", ["2049", "999999999999", "9" * 1500])
async def test_a_client_that_waits_for_leave_is_told_at_once(proxied: Installation, length: str) -> None:
    async with Wire(proxied.addresses["public"]) as wire:
        head = f"POST {UPDATE} HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n"
        await wire.send(f"{head}Content-Length: {length}\r\n\r\n".encode())
        assert present(await wire.receive("POST")).status == 413


async def test_an_endless_body_is_cut_off(proxied: Installation) -> None:
    async with Wire(proxied.addresses["public"]) as wire:
        await wire.send(f"POST {UPDATE} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
        await wire.send(b"10000\r\n%b\r\n" % (b"a" * 65536) * 200)
        assert (reply := await wire.receive("POST")) is None or reply.status == 413


@pytest.mark.parametrize(
    ("method", "target", "status"),
    [
        ("HEAD", "/healthz", 200),
        ("HEAD", QUERY, 405),
        ("GET", f"http://ddns.example{QUERY}&ip=192.0.2.1", 200),
        ("GET", f"HTTPS://user@[::1]:8443{QUERY}&ip=192.0.2.1", 200),
        ("GET", "http://[", 404),
        ("OPTIONS", "*", 404),
        ("CONNECT", "ddns.example:443", 404),
    ],
)
async def test_every_form_of_a_request_line(
    proxied: Installation, method: str, target: str, status: int
) -> None:
    async with Wire(proxied.addresses["public"]) as wire:
        await wire.send(f"{method} {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        reply = present(await wire.receive(method))
    assert reply.status == status
    assert reply.headers["content-type"] == "application/json; charset=utf-8"
    assert method == "HEAD" or reply.json["success"] is (status == 200)


async def test_health(proxied: Installation) -> None:
    assert (await proxied.public.get("/healthz")).body == b'{"success":true}'
    assert (await proxied.health.get("/healthz")).body == b'{"healthy":true}'
    assert (await proxied.health.get("/readyz")).body == b'{"ready":true,"reasons":[]}'
    metrics = await proxied.health.get("/metrics")
    every_node = (ROOT / "docs" / "metrics.md").read_text().partition("\n## ")[0]
    documented = re.findall(r"^\| `(\w+)`", every_node, re.MULTILINE)
    assert len(documented) > 10
    for name in documented:
        assert re.search(rf"^{name}(_count)?[ {{]", metrics.body.decode(), re.MULTILINE), name


async def test_each_listener_has_its_own_paths_only(proxied: Installation) -> None:
    admin = Client(proxied.addresses["admin"])
    for client, paths in (
        (proxied.health, ("/api/v1/status", UPDATE, "/")),
        (proxied.public, ("/api/v1/status", "/readyz", "/metrics")),
    ):
        for path in paths:
            reply = await client.get(path)
            assert (reply.status, reply.json["success"]) == (404, False)
    for path in (UPDATE, "/healthz", "/metrics"):
        assert (await admin.get(path)).status == 401
    await admin.close()


async def test_nothing_here_is_worth_an_error_in_the_log(proxied: Installation) -> None:
    assert '"level": "error"' not in proxied.log()


def make_certificate(folder: Path, name: str) -> tuple[Path, Path]:
    """Make a certificate for 127.0.0.1 that signs itself; return it and its key."""
    certificate, key = folder / f"{name}.pem", folder / f"{name}.key"
    kind = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2"
    subject = "-subj /CN=ddnsd -addext subjectAltName=IP:127.0.0.1"
    command = [*kind.split(), *subject.split(), "-keyout", str(key), "-out", str(certificate)]
    subprocess.run(command, check=True, capture_output=True)
    return certificate, key


async def test_tls(tmp_path: Path) -> None:
    certificate, key = make_certificate(tmp_path, "ours")
    listen: dict[str, Any] = dict.fromkeys(("public", "admin", "health"), "127.0.0.1:0")
    listen["tls"] = {"certificate": str(certificate), "key": str(key)}
    async with Installation(tmp_path, listen=listen) as ddnsd:
        await ddnsd.apply(*example())
        host, _, port = ddnsd.addresses["public"].rpartition(":")
        context = ssl.create_default_context(cafile=certificate)
        async with Wire(ddnsd.addresses["public"]) as plain, asyncio.timeout(30):
            reader, writer = await asyncio.open_connection(host, int(port), ssl=context)
            await plain.send(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert await plain.receive("GET") is None
            writer.write(
                f"GET {QUERY}&ip=192.0.2.1 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode()
            )
            assert b'"success":true' in await reader.read()
            writer.close()
        assert '"level": "error"' not in ddnsd.log()


async def test_who_resets_before_tls_begins(tmp_path: Path) -> None:
    certificate, key = make_certificate(tmp_path, "ours")
    listen: dict[str, Any] = dict.fromkeys(("public", "admin", "health"), "127.0.0.1:0")
    listen["tls"] = {"certificate": str(certificate), "key": str(key)}
    async with Installation(tmp_path, listen=listen) as ddnsd:
        ddnsd.freeze()
        async with Wire(ddnsd.addresses["public"]) as wire:
            await wire.send(b"anything")
        ddnsd.thaw()
        host, _, port = ddnsd.addresses["public"].rpartition(":")
        context = ssl.create_default_context(cafile=certificate)
        _, writer = await asyncio.open_connection(host, int(port), ssl=context)
        writer.close()
        assert '"level": "error"' not in ddnsd.log()


async def test_a_certificate_and_a_key_that_do_not_belong_together(tmp_path: Path) -> None:
    certificate, _ = make_certificate(tmp_path, "ours")
    _, key = make_certificate(tmp_path, "theirs")
    tls = {"certificate": str(certificate), "key": str(key)}
    status, said = await Installation(tmp_path, listen={"tls": tls}).fail()
    assert status == 1
    assert f"listen.tls: {certificate} and {key} do not load together" in said
