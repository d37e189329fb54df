"""The wire contract, over real HTTP: every row of its table byte for byte, and what its clients rely on."""

import asyncio
import json
import shutil
import subprocess
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import pytest_asyncio

from ddnsd.model.resources import digest
from tests.rigs.documents import document
from tests.system.http import Client, Reply
from tests.system.installation import SECRET, UPDATE, Installation, example

pytestmark = pytest.mark.asyncio(loop_scope="module")

BLOG = "blog.example.com"
SOON = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
PAST = (datetime.now(UTC) - timedelta(hours=1)).isoformat()


def token(name: str, account: str, **spec: object) -> dict[str, Any]:
    return document("Token", name, account=account, sha256=digest(f"{name}-secret-0123456789"), **spec)


def secret(name: str) -> str:
    return f"{name}-secret-0123456789"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def ddnsd(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Installation]:
    async with Installation(tmp_path_factory.mktemp("contract")) as installation:
        await installation.apply(
            *example([BLOG, "four.example.com", "xn--bcher-kva.example.com", "raw.example.com"]),
            document("Zone", "off.example.net", enabled=False),
            document("Account", "suspended", status="suspended"),
            document("Account", "until", status="suspended", suspendedUntil=SOON),
            document("Account", "over", status="suspended", suspendedUntil=PAST),
            document("Account", "banned", status="banned"),
            document("Host", "v4.example.com", account="alice", families=["A"]),
            document("Host", "off.example.com", account="alice", enabled=False),
            document("Host", "h.off.example.net", account="alice", enabled=False, families=["A"]),
            document("Host", "suspended.example.com", account="suspended"),
            document("Host", "over.example.com", account="over"),
            document("Host", "banned.example.com", account="banned"),
            token("suspended", "suspended"),
            token("until", "until"),
            token("over", "over"),
            token("banned", "banned"),
            token("expired", "alice", expires=PAST),
            token("disabled", "alice", disabled=True),
            token("limited", "alice", hosts=["four.example.com"]),
        )
        yield installation


ROWS = [
    # status, error, query
    (400, "DDNS 功能仅支持子域名,不支持一级域名", {"domain": "example.com", "token": SECRET}),
    (400, "DDNS 功能仅支持子域名,不支持一级域名", {"domain": "off.example.net", "token": SECRET}),
    (400, "DDNS 功能仅支持子域名,不支持一级域名", {"domain": "example.org", "token": "unknown"}),
    (400, "DDNS 功能仅支持子域名,不支持一级域名", {"domain": "EXAMPLE.COM.", "token": SECRET, "ip": "x"}),
    (400, "缺少 domain 参数", {"token": SECRET}),
    (400, "缺少 domain 参数", {}),
    (400, "缺少 domain 参数", {"domain": "", "ip": "x"}),
    (400, "缺少 token 参数", {"domain": "example.com"}),
    (400, "缺少 token 参数", {"domain": BLOG, "token": "", "ip": "x"}),
    (400, "无效的 IP 地址格式", {"domain": BLOG, "token": "unknown", "ip": "999.1.1.1"}),
    (400, "无效的 IP 地址格式", {"domain": BLOG, "token": SECRET, "ip": "192.0.2.01"}),
    (400, "无效的 IP 地址格式", {"domain": BLOG, "token": SECRET, "ip": "fe80::1%eth0"}),
    (400, "无效的 IP 地址格式", {"domain": BLOG, "token": SECRET, "ip": "0.0.0.0"}),
    (400, "无效的 IP 地址格式", {"domain": BLOG, "token": SECRET, "ip": "::"}),
    (400, "无效的 IP 地址格式", {"domain": BLOG, "token": SECRET, "ip": "ff02::1"}),
    (400, "无效的 IP 地址格式", {"domain": BLOG, "token": SECRET, "ip": "224.0.0.1"}),
    (400, "无效的 IP 地址格式", {"domain": BLOG, "token": SECRET, "ip": "255.255.255.255"}),
    (401, "无效的 token", {"domain": BLOG, "token": "unknown"}),
    (401, "无效的 token", {"domain": "no such name", "token": "unknown"}),
    (401, "无效的 token", {"domain": BLOG, "token": secret("expired")}),
    (401, "无效的 token", {"domain": BLOG, "token": secret("disabled")}),
    (403, "用户账号已被临时封禁", {"domain": BLOG, "token": secret("suspended")}),
    (403, "用户账号已被临时封禁", {"domain": "nothing.example.com", "token": secret("until")}),
    (403, "用户账号已被永久封禁", {"domain": "banned.example.com", "token": secret("banned")}),
    (404, "域名不存在或无权操作", {"domain": "nothing.example.com", "token": SECRET}),
    (404, "域名不存在或无权操作", {"domain": "over.example.com", "token": SECRET}),
    (404, "域名不存在或无权操作", {"domain": BLOG, "token": secret("limited")}),
    (404, "域名不存在或无权操作", {"domain": "a.b.example.org", "token": SECRET}),
    (404, "域名不存在或无权操作", {"domain": "..example.com", "token": SECRET}),
    (404, "域名不存在或无权操作", {"domain": "x" * 64 + ".example.com", "token": SECRET}),
    (403, "一级域名已被禁用", {"domain": "h.off.example.net", "token": SECRET, "ip": "2001:db8::1"}),
    (403, "域名记录已被禁用", {"domain": "off.example.com", "token": SECRET}),
    (400, "IP 类型不匹配", {"domain": "v4.example.com", "token": SECRET, "ip": "2001:db8::1"}),
]


@pytest.mark.parametrize(("status", "error", "query"), ROWS)
async def test_error_rows(ddnsd: Installation, status: int, error: str, query: dict[str, str]) -> None:
    reply = await ddnsd.public.get(UPDATE, **{"ip": "192.0.2.1", **query})
    assert (reply.status, reply.body) == (status, f'{{"success":false,"error":"{error}"}}'.encode())
    assert reply.headers["content-type"] == "application/json; charset=utf-8"


async def test_success_rows(ddnsd: Installation) -> None:
    first = await ddnsd.update("raw.example.com", "192.168.1.99")
    assert first.body.decode() == (
        '{"success":true,"message":"DDNS 更新成功","data":{"domain":"raw.example.com",'
        '"ip":"192.168.1.99","record_type":"A","old_ip":"","updated":true}}'
    )
    changed = await ddnsd.update("raw.example.com", "192.168.1.100")
    assert changed.body.decode() == (
        '{"success":true,"message":"DDNS 更新成功","data":{"domain":"raw.example.com",'
        '"ip":"192.168.1.100","record_type":"A","old_ip":"192.168.1.99","updated":true}}'
    )
    unchanged = await ddnsd.update("raw.example.com", "192.168.1.100")
    assert unchanged.body.decode() == (
        '{"success":true,"message":"IP 地址未变化,无需更新","data":{"domain":"raw.example.com",'
        '"ip":"192.168.1.100","updated":false}}'
    )


async def ask(ddnsd: Installation, domain: str, ip: str) -> dict[str, Any]:
    found: dict[str, Any] = (await ddnsd.update(domain, ip)).json.get("data", {})
    return found


async def test_names_and_addresses_are_canonical(ddnsd: Installation) -> None:
    assert (await ask(ddnsd, "Blog.Example.COM.", "2001:DB8:0:0::1"))["ip"] == "2001:db8::1"
    mapped = await ask(ddnsd, BLOG, "::ffff:192.0.2.1")
    assert (mapped["domain"], mapped["ip"], mapped["record_type"]) == (BLOG, "192.0.2.1", "A")
    assert (await ask(ddnsd, "Bücher.example.com", "192.0.2.3"))["domain"] == "xn--bcher-kva.example.com"
    assert (await ask(ddnsd, "xn--bcher-kva.example.com", "192.0.2.3"))["updated"] is False


async def test_without_ip_the_source_counts(ddnsd: Installation) -> None:
    assert (await ask(ddnsd, "four.example.com", ""))["ip"] == "127.0.0.1"
    spoofed = await ddnsd.public.send(
        "GET",
        f"{UPDATE}?{urlencode({'domain': 'four.example.com', 'token': SECRET})}",
        {"X-Forwarded-For": "198.51.100.9", "Forwarded": "for=198.51.100.9"},
    )
    assert spoofed.json["data"]["ip"] == "127.0.0.1", "nobody is a trusted proxy here"


async def test_post_and_bearer(ddnsd: Installation) -> None:
    values = {"domain": "four.example.com", "ip": "192.0.2.44", "token": SECRET}
    form = await ddnsd.public.send(
        "POST",
        UPDATE,
        {"Content-Type": "application/x-www-form-urlencoded"},
        urlencode(values).encode(),
    )
    assert form.json["data"]["ip"] == "192.0.2.44"
    as_json = await ddnsd.public.send(
        "POST",
        UPDATE,
        {"Content-Type": "application/json"},
        json.dumps(values | {"ip": "192.0.2.45"}).encode(),
    )
    assert as_json.json["data"]["old_ip"] == "192.0.2.44"
    bearer = await ddnsd.public.send(
        "GET", f"{UPDATE}?domain=four.example.com&ip=192.0.2.45", {"Authorization": f"Bearer {SECRET}"}
    )
    assert bearer.json["data"]["updated"] is False


async def test_over_suspension_ends_by_itself(ddnsd: Installation) -> None:
    assert (await ddnsd.update("over.example.com", "192.0.2.1", secret("over"))).json["success"]


ODD = [
    (404, "GET", "/", {}, b""),
    (404, "GET", "/api/ddns/update/", {}, b""),
    (404, "POST", "/%00", {}, b""),
    (405, "PUT", UPDATE, {}, b""),
    (405, "TRACE", UPDATE, {}, b""),
    (400, "GET", f"{UPDATE}?domain=%ff%fe", {}, b""),
    (400, "POST", UPDATE, {"Content-Type": "application/json"}, b"{"),
    (400, "POST", UPDATE, {"Content-Type": "application/json"}, b'{"domain":7}'),
    (400, "POST", UPDATE, {"Content-Type": "application/json"}, b'["\xff"]'),
    (400, "POST", UPDATE, {"Content-Type": "text/xml"}, b"<x/>"),
    (400, "POST", UPDATE, {}, b"domain=\xff"),
    (413, "POST", UPDATE, {"Content-Type": "application/json"}, b" " * 100_000),
]


@pytest.mark.parametrize(("status", "method", "target", "headers", "body"), ODD)
async def test_odd_requests_get_json(
    ddnsd: Installation, status: int, method: str, target: str, headers: dict[str, str], body: bytes
) -> None:
    client = Client(ddnsd.addresses["public"])
    reply: Reply = await client.send(method, target, headers, body)
    await client.close()
    assert reply.status == status
    assert reply.body.startswith(b'{"success":false,"error":"')
    assert set(reply.json) == {"success", "error"}


async def test_unsized_body_is_bounded(ddnsd: Installation) -> None:
    client = Client(ddnsd.addresses["public"])
    head = f"POST {UPDATE} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    reply = await client.raw(head + b"10000\r\n" + b"a" * 65536 + b"\r\n1\r\na\r\n0\r\n\r\n")
    await client.close()
    assert reply.status == 413


async def test_http_1_0_client(ddnsd: Installation) -> None:
    host, _, port = ddnsd.addresses["public"].rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(f"GET {UPDATE}?domain={BLOG}&token={SECRET}&ip=192.0.2.60 HTTP/1.0\r\n\r\n".encode())
    everything = await asyncio.wait_for(reader.read(), 10)
    writer.close()
    assert everything.startswith(b"HTTP/1.")
    assert b'"success":true' in everything


@pytest.mark.skipif(not shutil.which("curl"), reason="apt-get install curl")
async def test_the_shell_client(ddnsd: Installation, tmp_path: Path) -> None:
    """The habit of the scripts in the field: `curl -G --data-urlencode`, then grep on the body."""
    script = f"""
        response=$(curl -s -G "http://{ddnsd.addresses["public"]}{UPDATE}" \\
            --data-urlencode "domain={BLOG}" --data-urlencode "token={SECRET}" \\
            --data-urlencode "ip=192.0.2.61")
        echo "$response" | grep -q '"success":true' && echo updated
    """
    done = await asyncio.to_thread(
        subprocess.run, ["sh", "-c", script], capture_output=True, text=True, timeout=20, check=True
    )
    assert done.stdout.strip() == "updated"


async def test_no_secret_in_the_log(ddnsd: Installation) -> None:
    await ddnsd.public.get("/somewhere", token="a-token-in-a-wrong-url-123456")
    await ddnsd.update("nothing.example.com", "192.0.2.1", "an-unknown-token-123456")
    log = ddnsd.log()
    assert "update.refused" in log
    for kept in (SECRET, "a-token-in-a-wrong-url-123456", "an-unknown-token-123456", secret("banned")):
        assert kept not in log
