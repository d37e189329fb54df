"""How the real process starts, why it does not, how it stops, and what it never writes down."""

import asyncio
import itertools
import os
import signal
import socket
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.system.hostile import CANARY
from tests.system.http import Client
from tests.system.installation import SECRET, UPDATE, Installation, example
from tests.system.load import NOT_PUBLISHED
from tests.system.wire import Wire
from tests.waiting import until

BLOG = "blog.example.com"
# Wherever people may write a token by mistake.
TARGETS = (
    f"{UPDATE}?token={CANARY}",
    f"{UPDATE}?domain={CANARY}&token=x",
    f"{UPDATE}/?token={CANARY}",
    f"/{CANARY}",
    f"/api/v1/tokens/{CANARY}?secret={CANARY}",
)
HEADERS = (
    f"Authorization: Bearer {CANARY}",
    f"Authorization: {CANARY}\0",
    f"Cookie: token={CANARY}",
    f"X-{CANARY} : y",
)


@pytest.fixture
def taken() -> Iterator[Any]:
    """Listens on a free port, and answers nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield listening.getsockname()[1]


async def ready(ddnsd: Installation) -> bool:
    client = Client(ddnsd.addresses["health"])
    try:
        return (await client.get("/readyz")).status == 200
    finally:
        await client.close()


async def drains(ddnsd: Installation) -> None:
    """Send SIGTERM, and wait until it is taken note of."""
    os.kill(ddnsd.pid, signal.SIGTERM)

    async def draining() -> bool:
        return not await ready(ddnsd)

    await until(draining, 10, "not ready while it drains")


@pytest.mark.parametrize(
    ("listener", "target", "answer"),
    [("public", UPDATE, (400, "close")), ("admin", "/api/v1/apply", (200, "close"))],
)
async def test_what_was_accepted_is_answered(
    tmp_path: Path, listener: str, target: str, answer: tuple[Any, ...]
) -> None:
    async with Installation(tmp_path) as ddnsd, Wire(ddnsd.addresses[listener]) as wire:
        token = (ddnsd.data / "admin-token").read_text().strip()
        head = (
            f"POST {target} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nExpect: 100-continue\r\n"
        )
        await wire.send(f"{head}Content-Type: application/json\r\nContent-Length: 2\r\n\r\n".encode())
        await wire.leave()
        await drains(ddnsd)
        with pytest.raises(ConnectionRefusedError):
            await Client(ddnsd.addresses[listener]).get("/")
        await wire.send(b"[]")
        reply = await wire.receive("POST")
        assert reply is not None
        assert (reply.status, reply.headers.get("connection")) == answer
        assert await ddnsd.ended() == 0


async def test_who_waits_for_the_nameserver_is_answered(tmp_path: Path, taken: int) -> None:
    key = tmp_path / "key"
    key.touch(0o600)
    key.write_text(b64encode(bytes(32)).decode())
    silent = {
        "kind": "rfc2136",
        "address": "127.0.0.1",
        "port": taken,
        "key": {"name": "ddnsd", "secret_file": str(key)},
    }
    async with Installation(tmp_path, nameservers={"default": silent}, publish={"timeout": 3}) as ddnsd:
        await ddnsd.apply(*example())
        update = asyncio.create_task(ddnsd.update(BLOG, "192.0.2.1"))

        async def committed() -> bool:
            shown = (await ddnsd.admin("GET", f"hosts/{BLOG}")).json
            return "A" in shown["status"]

        await until(committed, 10, "the change is committed")
        await drains(ddnsd)
        reply = await update
        assert (reply.status, reply.message, reply.headers["connection"]) == (500, NOT_PUBLISHED, "close")
        assert await ddnsd.ended() == 0
        await ddnsd.start()
        assert (await ddnsd.admin("GET", f"hosts/{BLOG}")).json["status"]["A"]["ip"] == "192.0.2.1"


@pytest.mark.parametrize("listener", ["public", "admin", "health"])
async def test_a_port_that_is_taken(tmp_path: Path, taken: int, listener: str) -> None:
    listen = dict.fromkeys(("public", "admin", "health"), "127.0.0.1:0")
    status, said = await Installation(tmp_path, listen=listen | {listener: f"127.0.0.1:{taken}"}).fail()
    assert status == 1
    assert f"cannot listen on 127.0.0.1:{taken}: another program has it" in said
    assert f"listen.{listener}" in said
    assert f"DDNSD_LISTEN_{listener.upper()}" in said


async def test_a_port_that_is_taken_from_the_nameserver(tmp_path: Path, taken: int) -> None:
    embedded = {"kind": "embedded", "listen": f"127.0.0.1:{taken}"}
    status, said = await Installation(tmp_path, nameservers={"default": embedded}).fail()
    assert status == 1
    assert f"127.0.0.1 port {taken}" in said
    assert "nameservers.default.listen" in said
    assert "Traceback" not in said


async def test_one_process_to_a_data_folder(tmp_path: Path) -> None:
    async with Installation(tmp_path) as ddnsd:
        before = ddnsd.addresses
        status, said = await Installation(tmp_path).fail()
        assert status == 1
        assert f"{ddnsd.data / 'store'} is in use by another process (pid {ddnsd.pid})" in said
        assert ddnsd.addresses == before
        assert await ready(ddnsd)


async def test_the_admin_token_is_made_once(tmp_path: Path) -> None:
    token = tmp_path / "elsewhere" / "token"
    async with Installation(tmp_path, admin={"token_file": str(token)}) as ddnsd:
        first = token.read_text()
        assert token.stat().st_mode & 0o777 == 0o600
        assert not (ddnsd.data / "admin-token").exists()
        assert await ddnsd.terminate() == 0
        await ddnsd.start()
        assert token.read_text() == first
        client = Client(ddnsd.addresses["admin"])
        status = await client.send("GET", "/api/v1/status", {"Authorization": f"Bearer {first.strip()}"})
        await client.close()
        assert status.json["version"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"short\n", "shorter than 16 characters: delete the file to have a new one made"),
        (b"", "shorter than"),
        (b"\xff" * 40, "the admin token's file"),
    ],
)
async def test_an_admin_token_that_is_none(tmp_path: Path, content: bytes, message: str) -> None:
    token = tmp_path / "token"
    token.write_bytes(content)
    status, said = await Installation(tmp_path, admin={"token_file": str(token)}).fail()
    assert status == 1
    assert message in said
    assert str(token) in said
    assert "short\\n" not in said
    assert token.read_bytes() == content


async def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    wrong: dict[str, Any] = {
        "listen": {"public": "127.0.0.1", "admin": "127.0.0.1:8081", "health": "127.0.0.1:8081"},
        "publish": {"timeout": -1, "btach": 3},
        "trusted_proxies": ["10.0.0.0/33"],
        "log": {"level": "loud"},
    }
    installation = Installation(tmp_path, environ={"DDNSD_HTTP_MAX_BODY": "much"}, **wrong)
    for command in (("serve", "--config"), ("check",)):
        status, said = await installation.fail(*command)
        assert status == 1
        places = ("listen.public", "publish.timeout", "publish.btach", "trusted_proxies", "log.level")
        for place in (*places, "DDNSD_HTTP_MAX_BODY"):
            assert place in said, said
    assert not installation.data.exists(), "nothing is done before all is right"
    assert (await Installation(tmp_path).fail("check"))[0] == 0


@pytest.mark.parametrize("format", ["json", "console"])
async def test_no_token_in_the_log(tmp_path: Path, format: str) -> None:
    async with Installation(tmp_path, log={"format": format, "level": "debug"}) as ddnsd:
        await ddnsd.apply(*example())
        assert (await ddnsd.update(BLOG, "192.0.2.1")).status == 200
        for listener, target, header in itertools.product(("public", "admin", "health"), TARGETS, HEADERS):
            request = f"GET {target} HTTP/1.1\r\nHost: x\r\n{header}\r\nConnection: close\r\n\r\n"
            async with Wire(ddnsd.addresses[listener]) as wire:
                await wire.send(request.encode())
                while await wire.receive("GET"):
                    pass
        assert await ddnsd.terminate() == 0
        log = ddnsd.log()
        assert "update.refused" in log
        assert "admin.request" in log
        for secret in (CANARY, SECRET, (ddnsd.data / "admin-token").read_text().strip()):
            assert secret.lower() not in log.lower()
