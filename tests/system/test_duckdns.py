"""DuckDNS over real HTTP: all or nothing, labels, the token in the path."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from ddnsd.model.resources import digest
from tests.rigs.base import NameserverRig
from tests.rigs.documents import document
from tests.system.installation import SECRET, Installation, example

pytestmark = pytest.mark.asyncio(loop_scope="module")

BLOG, NAS = "blog.example.com", "nas.example.com"
CHALLENGE = "_acme-challenge.blog.example.com"
FOUR, SIX = "192.0.2.7", "2001:db8::7"
UNKNOWN = "an-unknown-token-0123456789"
FEW = "few-secret-0123456789"
VALUE = "LHDhK3oGRvkiefQnx7OOczTY5Tic_xZ6HcMOc_gmtoM"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def ddnsd(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Installation]:
    async with Installation(tmp_path_factory.mktemp("duckdns")) as installation:
        await installation.apply(
            *example([BLOG, NAS]),
            document("Zone", "example.net"),
            document("Account", "bob"),
            document("Host", "nas.example.net", account="alice"),
            document("Host", "v4.example.com", account="alice", families=["A"]),
            document("Host", "theirs.example.com", account="bob"),
            document("Token", "few", account="alice", sha256=digest(FEW), hosts=["nas.example.net"]),
        )
        yield installation


async def said(ddnsd: Installation, path: str = "/update", **query: str) -> str:
    reply = await ddnsd.public.get(path, **query)
    assert (reply.status, reply.headers["content-type"]) == (200, "text/plain; charset=utf-8")
    return reply.body.decode()


async def update(ddnsd: Installation, domains: str, token: str = SECRET, **query: str) -> str:
    return await said(ddnsd, domains=domains, token=token, **query)


async def test_ok_and_what_it_did(ddnsd: Installation) -> None:
    assert await update(ddnsd, BLOG, ip=FOUR) == "OK"
    assert await update(ddnsd, BLOG, ip=FOUR, verbose="true") == f"OK\n{FOUR}\n\nNOCHANGE"
    assert await update(ddnsd, BLOG, ip=SIX, verbose="true") == f"OK\n\n{SIX}\nUPDATED"
    both = await update(ddnsd, BLOG, ip="192.0.2.8", ipv6=SIX, verbose="true")
    assert both == f"OK\n192.0.2.8\n{SIX}\nUPDATED"
    assert await ddnsd.query(BLOG, "A") == ("192.0.2.8",)
    assert await ddnsd.query(BLOG, "AAAA") == (SIX,)


async def test_without_any_address_it_is_the_clients(ddnsd: Installation) -> None:
    assert await update(ddnsd, NAS, ip="", verbose="true") == "OK\n127.0.0.1\n\nUPDATED"


async def test_clear_withdraws_both(ddnsd: Installation) -> None:
    await update(ddnsd, BLOG, ip=FOUR, ipv6=SIX)
    assert await update(ddnsd, BLOG, clear="true", ip=FOUR, verbose="true") == "OK\n\n\nUPDATED"
    assert await ddnsd.query(BLOG, "A") == await ddnsd.query(BLOG, "AAAA") == ()
    assert await update(ddnsd, BLOG, clear="true", verbose="true") == "OK\n\n\nNOCHANGE"


async def test_a_txt_is_set_and_cleared_and_no_address_with_it(ddnsd: Installation) -> None:
    await update(ddnsd, BLOG, ip=FOUR)
    assert await update(ddnsd, BLOG, txt=VALUE, verbose="true") == f"OK\n{VALUE}\nUPDATED"
    assert await ddnsd.query(CHALLENGE, "TXT") == (f'"{VALUE}"',)
    assert await update(ddnsd, BLOG, txt=VALUE, clear="false") == "OK"  # lego
    assert await update(ddnsd, BLOG, txt="", clear="true") == "OK"  # lego, acme.sh
    assert await ddnsd.query(CHALLENGE, "TXT") == ()
    assert await ddnsd.query(BLOG, "A") == (FOUR,)


async def test_all_or_nothing(ddnsd: Installation) -> None:
    await update(ddnsd, BLOG, ip=FOUR)
    for others in (
        "none.example.com",
        "theirs.example.com",
        "theirs",
        "nas",
        "example.com",
        "..",
        ",".join(["blog"] * 20),
    ):
        assert await update(ddnsd, f"{BLOG},{others}", ip="192.0.2.99", verbose="true") == "KO"
    assert await update(ddnsd, f"{BLOG},v4.example.com", ip=SIX, verbose="true") == "KO", "nothing is left"
    assert await ddnsd.query(BLOG, "A") == (FOUR,)
    assert await update(ddnsd, f"{BLOG},v4.example.com", ip="192.0.2.98", ipv6=SIX) == "OK"
    assert await ddnsd.query("v4.example.com", "AAAA") == ()
    assert await update(ddnsd, f"{BLOG}, v4.example.com,{NAS}", ip="192.0.2.99") == "OK"
    assert await ddnsd.query(BLOG, "A") == await ddnsd.query("v4.example.com", "A") == ("192.0.2.99",)


@pytest.mark.parametrize(
    "query",
    [
        {"domains": BLOG, "token": UNKNOWN, "ip": FOUR},
        {"domains": "blog", "token": UNKNOWN, "ip": FOUR},
        {"domains": BLOG, "ip": FOUR},
        {"token": SECRET, "ip": FOUR},
        {"domains": BLOG, "token": SECRET, "ip": "999.1.1.1"},
        {"domains": BLOG, "token": SECRET, "ip": FOUR, "ipv6": "192.0.2.8"},
        {"domains": BLOG, "token": SECRET, "ip": SIX, "ipv6": "2001:db8::8"},
        {"domains": "", "token": "", "ip": ""},
        {"domains": BLOG, "token": SECRET, "txt": "x y"},
        {"domains": BLOG, "token": SECRET, "txt": f"{VALUE} {VALUE}"},
    ],
)
async def test_ko(ddnsd: Installation, query: dict[str, str]) -> None:
    assert await said(ddnsd, **query) == "KO"


async def test_a_bare_label_is_the_one_host_of_the_token(ddnsd: Installation) -> None:
    assert await update(ddnsd, "Blog", ip="192.0.2.20") == "OK"
    assert await ddnsd.query(BLOG, "A") == ("192.0.2.20",)
    assert await update(ddnsd, "nas", ip="192.0.2.21") == "KO", "two hosts have it"
    assert await update(ddnsd, "nas", FEW, ip="192.0.2.21") == "OK"
    assert await ddnsd.query("nas.example.net", "A") == ("192.0.2.21",)
    assert await update(ddnsd, "blog", FEW, ip="192.0.2.21") == "KO"


async def test_a_label_is_refused_like_any_name(ddnsd: Installation) -> None:
    async def count(result: str) -> float:
        return await ddnsd.metric(f'ddnsd_requests_total{{api="duckdns",result="{result}"}}')

    before = [await count(result) for result in ("not_found", "unknown_token")]
    for label, token in (("none", SECRET), ("nas", SECRET), ("blog", UNKNOWN)):
        assert await update(ddnsd, label, token) == "KO"
    after = [await count(result) for result in ("not_found", "unknown_token")]
    assert [now - then for now, then in zip(after, before, strict=True)] == [2, 1]


async def test_the_path_form(ddnsd: Installation) -> None:
    assert await said(ddnsd, f"/update/blog,{NAS}/{SECRET}/192.0.2.30") == "OK"
    assert await ddnsd.query(BLOG, "A") == await ddnsd.query(NAS, "A") == ("192.0.2.30",)
    assert (
        await said(ddnsd, f"/update/{BLOG}/{SECRET}/2001:db8::30?verbose=true")
        == "OK\n\n2001:db8::30\nUPDATED"
    )
    assert await said(ddnsd, f"/update/{BLOG}/{SECRET}?verbose=true") == "OK\n127.0.0.1\n\nUPDATED"
    for path in (
        f"/update/{BLOG}/{UNKNOWN}",
        f"/update/{BLOG}",
        "/update/",
        f"/update/{BLOG}/{SECRET}/{FOUR}/x",
    ):
        assert await said(ddnsd, path) == "KO"


async def test_a_post_is_the_same(ddnsd: Installation) -> None:
    body = f"domains={BLOG}&token={SECRET}&ip=192.0.2.40".encode()
    reply = await ddnsd.public.send("POST", "/update", {}, body)
    assert (reply.status, reply.body) == (200, b"OK")
    assert (await ddnsd.public.send("POST", f"/update/{BLOG}/{SECRET}")).status == 405


async def test_an_http_1_0_client(ddnsd: Installation) -> None:
    host, _, port = ddnsd.addresses["public"].rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(f"GET /update/{BLOG}/{SECRET}/192.0.2.60 HTTP/1.0\r\n\r\n".encode())
    everything = await asyncio.wait_for(reader.read(), 10)  # to the end of the connection
    writer.close()
    assert everything.endswith(b"\r\n\r\nOK")


async def test_no_secret_in_the_log(ddnsd: Installation) -> None:
    await update(ddnsd, UNKNOWN, UNKNOWN, ip=UNKNOWN)
    await ddnsd.public.get(f"/update/{UNKNOWN}/{UNKNOWN}/{UNKNOWN}/{UNKNOWN}")
    await ddnsd.public.get(f"/updates/{BLOG}/{UNKNOWN}")
    await ddnsd.public.get("/healthz")  # what is logged of the last one is there now
    log = ddnsd.log()
    assert {event["api"] for event in ddnsd.events("update.refused")} == {"duckdns"}
    for kept in (SECRET, UNKNOWN, FEW):
        assert kept not in log


@pytest.mark.asyncio(loop_scope="function")
async def test_it_is_published_when_it_says_so(tmp_path: Path, bind_rig: NameserverRig) -> None:
    async with Installation(tmp_path, bind_rig, publish={"timeout": 1}) as ddnsd:
        await ddnsd.apply(*example([BLOG, NAS]))
        assert await update(ddnsd, f"blog,{NAS}", ip=FOUR, ipv6=SIX) == "OK"
        for name in (BLOG, NAS):
            assert (await bind_rig.query(name, "A"), await bind_rig.query(name, "AAAA")) == ((FOUR,), (SIX,))
        assert await update(ddnsd, BLOG, txt=VALUE) == "OK"
        assert await bind_rig.query(CHALLENGE, "TXT") == (f'"{VALUE}"',)
        bind_rig.freeze()
        try:
            assert await update(ddnsd, BLOG, ip="192.0.2.9", verbose="true") == "KO"
        finally:
            bind_rig.thaw()


@pytest.mark.asyncio(loop_scope="function")
async def test_too_often_is_ko(tmp_path: Path) -> None:
    async with Installation(tmp_path, fair_use={"token_changes": 0.01, "token_changes_burst": 1}) as ddnsd:
        await ddnsd.apply(*example([BLOG]))
        assert await update(ddnsd, BLOG, ip=FOUR) == "OK"
        assert await update(ddnsd, BLOG, ip="192.0.2.9") == "KO"
        assert await update(ddnsd, BLOG, ip=FOUR) == "OK", "unchanged is never too often"
