"""A configuration that is changed while the program runs."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.narrow import present
from tests.rigs.volume import Volume
from tests.system.http import Client, Reply
from tests.system.installation import Installation, example
from tests.system.load import UPDATED
from tests.system.mounted import Mounted, noticed
from tests.system.test_listeners import make_certificate
from tests.system.wire import Wire
from tests.waiting import paced, until

BLOG = "blog.example.com"


@pytest_asyncio.fixture
async def ddnsd(tmp_path: Path) -> AsyncIterator[Mounted]:
    async with Mounted(tmp_path) as ddnsd:
        await ddnsd.apply(*example())
        yield ddnsd


async def test_a_config_map_is_replaced(ddnsd: Mounted) -> None:
    assert (await ddnsd.update(BLOG, "192.168.0.1")).message == UPDATED
    forwarded = {"X-Forwarded-For": "192.0.2.7"}
    query = f"/api/ddns/update?domain={BLOG}&token={ddnsd.secret}"
    async with noticed(ddnsd):
        ddnsd.config |= {
            "addresses": {"private": "refuse"},
            "trusted_proxies": ["127.0.0.0/8"],
            "log": {"format": "json", "level": "info"},
        }
        ddnsd.write_config()
    assert (await ddnsd.update(BLOG, "192.168.0.2")).status == 400
    assert (await ddnsd.public.send("GET", query, forwarded)).json["data"]["ip"] == "192.0.2.7"
    (applied,) = ddnsd.events("config.applied")
    assert applied["settings"] == ["trusted_proxies", "addresses.private", "log.level"]
    debug = ddnsd.log().count('"level": "debug"')
    await ddnsd.update(BLOG, "192.0.2.7")
    assert ddnsd.log().count('"level": "debug"') == debug
    assert await ddnsd.metric("ddnsd_config_reload_success") == 1


async def test_a_broken_configuration_changes_nothing_and_is_told(ddnsd: Mounted) -> None:
    ddnsd.config["addresses"] = {"private": "refuse"}
    good = ddnsd.config["publish"] = {"batch": 100}
    async with noticed(ddnsd, "config.refused"):
        ddnsd.config["publish"] = {"batch": "many"}
        ddnsd.write_config()
    (refused,) = ddnsd.events("config.refused")
    assert refused["level"] == "error"
    assert (refused["file"], refused["setting"]) == (str(ddnsd.config_path), "publish.batch")
    assert refused["value"] == "'many'"
    assert "write a whole number" in refused["remedy"]
    assert (await ddnsd.update(BLOG, "192.168.0.1")).message == UPDATED
    assert await ddnsd.metric("ddnsd_config_reload_success") == 0

    async def is_told() -> bool:
        return any("publish.batch: 'many'" in warning for warning in (await ddnsd.status())["warnings"])

    await until(is_told, 5, "the refusal in the status")
    async with noticed(ddnsd):
        ddnsd.config["publish"] = good
        ddnsd.write_config()
    assert (await ddnsd.update(BLOG, "192.168.0.2")).status == 400
    assert await ddnsd.metric("ddnsd_config_reload_success") == 1

    async def is_over() -> bool:
        found: bool = (await ddnsd.status())["warnings"] == []
        return found

    await until(is_over, 5, "no warning any more")


async def test_a_deleted_file_is_refused_until_it_is_back(ddnsd: Mounted) -> None:
    text = ddnsd.config_path.read_text()
    async with noticed(ddnsd, "config.refused"):
        ddnsd.volume.write({})
    assert (await ddnsd.update(BLOG, "192.0.2.1")).message == UPDATED
    async with noticed(ddnsd):
        ddnsd.write_text(text)


async def test_what_needs_a_restart_is_told_and_all_else_is_applied(ddnsd: Mounted) -> None:
    public = ddnsd.config["listen"]["public"]
    async with noticed(ddnsd, "config.needs_restart"):
        ddnsd.config["listen"]["public"] = "127.0.0.1:1"
        ddnsd.config["nameservers"]["second"] = {"kind": "embedded", "listen": "127.0.0.1:0"}
        ddnsd.config["addresses"] = {"private": "refuse"}
        ddnsd.write_config()
    (told,) = ddnsd.events("config.needs_restart")
    assert told["settings"] == ["listen.public", "nameservers.second"]
    assert (await ddnsd.update(BLOG, "192.168.0.1")).status == 400
    assert await ddnsd.metric("ddnsd_config_waiting_for_restart") == 2

    async def is_shown() -> bool:
        warnings = (await ddnsd.status())["warnings"]
        return any("needs a restart to take over listen.public, names" in warning for warning in warnings)

    await until(is_shown, 5, "the restart in the status")
    async with noticed(ddnsd):
        ddnsd.config["listen"]["public"] = public
        del ddnsd.config["nameservers"]["second"]
        ddnsd.write_config()
    assert await ddnsd.metric("ddnsd_config_waiting_for_restart") == 0


async def test_a_file_that_is_written_slowly_is_read_when_it_is_whole(tmp_path: Path) -> None:
    async with Installation(tmp_path) as ddnsd:
        whole = ddnsd.config_path.read_text() + "addresses: {private: refuse}\n"
        async with noticed(ddnsd):
            with ddnsd.config_path.open("w") as file:
                async for start in paced(range(0, len(whole), 20), 0.1):
                    file.write(whole[start : start + 20])
                    file.flush()
        assert ddnsd.events("config.refused") == []
        assert [event["settings"] for event in ddnsd.events("config.applied")] == [["addresses.private"]]


async def test_a_signal_means_look_now_and_the_environment_wins(tmp_path: Path) -> None:
    environ = {"DDNSD_LOG_LEVEL": "warning"}
    async with Installation(tmp_path, environ=environ) as ddnsd:
        ddnsd.config["log"]["level"] = "error"
        ddnsd.config["drain"] = {"timeout": 0.5}
        ddnsd.config["publish"] = {"batch": "many"}
        async with noticed(ddnsd, "config.refused"):
            ddnsd.write_config()
            ddnsd.hang_up()
        ddnsd.config["listen"]["public"] = "127.0.0.1:1"
        ddnsd.config["publish"] = {"batch": 100}
        async with noticed(ddnsd, "config.needs_restart"):  # a warning: the level is still the variable's
            ddnsd.write_config()
            ddnsd.hang_up()


@pytest.mark.parametrize("is_on_at_start", [True, False])
async def test_a_certificate_is_replaced(tmp_path: Path, is_on_at_start: bool) -> None:
    pairs = [make_certificate(tmp_path, name) for name in ("first", "second")]
    files = [{"tls.crt": pair[0].read_bytes(), "tls.key": pair[1].read_bytes()} for pair in pairs]
    volume = Volume(tmp_path / "tls", files[0])
    tls = {"certificate": str(volume / "tls.crt"), "key": str(volume / "tls.key")}
    listen = dict.fromkeys(("public", "admin", "health"), "127.0.0.1:0")
    async with Mounted(tmp_path, listen=listen | ({"tls": tls} if is_on_at_start else {})) as ddnsd:
        if not is_on_at_start:
            async with noticed(ddnsd):
                ddnsd.config["listen"]["tls"] = tls
                ddnsd.write_config()
        async with Secure(ddnsd, pairs[0][0]) as old:
            async with noticed(ddnsd):
                volume.write(files[1])
            async with Secure(ddnsd, pairs[1][0]) as new:
                assert await new.is_answered()
            assert await old.is_answered()
        async with noticed(ddnsd, "config.refused"):
            volume.write(files[1] | {"tls.key": files[0]["tls.key"]})
        async with Secure(ddnsd, pairs[1][0]) as new:
            assert await new.is_answered()


class Secure:
    """A connection over TLS to a public listener that has this very certificate."""

    def __init__(self, ddnsd: Installation, certificate: Path) -> None:
        self._address = ddnsd.addresses["public"]
        self._context = ssl.create_default_context(cafile=certificate)

    async def __aenter__(self) -> "Secure":
        host, _, port = self._address.rpartition(":")
        self._reader, self._writer = await asyncio.open_connection(host, int(port), ssl=self._context)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._writer.close()

    async def is_answered(self) -> bool:
        self._writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        return await self._reader.readuntil(b"}") != b""


async def test_proxies_begin_to_send_headers(ddnsd: Mounted) -> None:
    header = b"PROXY TCP4 192.0.2.7 127.0.0.1 1000 80\r\n"
    request = f"GET /api/ddns/update?domain={BLOG}&token={ddnsd.secret} HTTP/1.1\r\nHost: x\r\n\r\n".encode()

    async def answer(octets: bytes) -> Reply | None:
        async with Wire(ddnsd.addresses["public"]) as wire:
            await wire.send(octets)
            return await wire.receive("GET")

    async with noticed(ddnsd):
        ddnsd.config["listen"]["proxy_protocol"] = "true"
        ddnsd.config["trusted_proxies"] = ["127.0.0.0/8"]
        ddnsd.write_config()
    assert present(await answer(header + request)).json["data"]["ip"] == "192.0.2.7"
    assert await answer(request) is None
    async with noticed(ddnsd):
        del ddnsd.config["listen"]["proxy_protocol"], ddnsd.config["trusted_proxies"]
        ddnsd.write_config()
    assert present(await answer(request)).json["data"]["ip"] == "127.0.0.1"


async def test_the_admin_token_is_replaced(tmp_path: Path) -> None:
    volume = Volume(tmp_path / "admin", {"token": "the-first-token-of-this-node"})
    async with Mounted(tmp_path, admin={"token_file": str(volume / "token")}) as ddnsd:
        admin = Client(ddnsd.addresses["admin"])

        async def status_for(token: str) -> int:
            return (await admin.send("GET", "/api/v1/status", {"Authorization": f"Bearer {token}"})).status

        async with noticed(ddnsd):
            volume.write({"token": "the-second-token-of-this-node"})
        assert ddnsd.events("config.applied")[-1]["settings"] == ["admin.token_file"]
        assert await status_for("the-first-token-of-this-node") == 401
        assert await status_for("the-second-token-of-this-node") == 200
        for files in ({"token": "short"}, {}):
            async with noticed(ddnsd, "config.refused"):
                volume.write(files)
        assert await status_for("the-second-token-of-this-node") == 200
        assert "the-second-token" not in ddnsd.log()
        await admin.close()
