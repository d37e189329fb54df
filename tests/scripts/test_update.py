"""What a script does when all is well, and when ddnsd says no."""

from pathlib import Path

import pytest

from tests.scripts.conftest import write_token
from tests.scripts.fake import Fake, refused
from tests.scripts.script import Script
from tests.system.installation import Installation

pytestmark = pytest.mark.asyncio(loop_scope="module")


def options(server: str, token_file: Path, *more: str) -> list[str]:
    return ["--server", server, "--token-file", str(token_file), "--max-time", "2", *more]


def url(ddnsd: Installation) -> str:
    return f"http://{ddnsd.addresses['public']}"


async def test_first_update_change_and_no_change(
    script: Script, ddnsd: Installation, token_file: Path
) -> None:
    async def send(ip: str) -> tuple[int, str, str]:
        return await script.run(*options(url(ddnsd), token_file, "-f", "4", "--ip", ip), "blog.example.com")

    assert await send("192.0.2.7") == (0, "blog.example.com: A 192.0.2.7 (new)\n", "")
    assert await ddnsd.query("blog.example.com", "A") == ("192.0.2.7",)
    assert await send("192.0.2.8") == (0, "blog.example.com: A 192.0.2.8 (was 192.0.2.7)\n", "")
    assert await ddnsd.query("blog.example.com", "A") == ("192.0.2.8",)
    assert await send("192.0.2.8") == (0, "", "")


async def test_both_families_in_one_call(script: Script, ddnsd: Installation, token_file: Path) -> None:
    both = options(url(ddnsd), token_file, "--ip", "192.0.2.7", "blog.example.com", "--ipv6")
    assert await script.run(*both, "2001:db8::7") == (
        0,
        "blog.example.com: A 192.0.2.7 (new), AAAA 2001:db8::7 (new)\n",
        "",
    )
    assert await ddnsd.query("blog.example.com", "A") == ("192.0.2.7",)
    assert await ddnsd.query("blog.example.com", "AAAA") == ("2001:db8::7",)
    said = "blog.example.com: AAAA 2001:db8::8 (was 2001:db8::7)\n"
    assert await script.run(*both, "2001:db8::8") == (0, said, "")
    assert await ddnsd.query("blog.example.com", "A") == ("192.0.2.7",)
    assert await script.run(*both, "2001:db8::8") == (0, "", "")


async def test_a_family_that_is_not_sent_stays(script: Script, ddnsd: Installation, token_file: Path) -> None:
    await ddnsd.update("blog.example.com", "2001:db8::7")
    ended = await script.run(*options(url(ddnsd), token_file, "-f4", "--ip=192.0.2.7"), "blog.example.com")
    assert ended.code == 0
    assert await ddnsd.query("blog.example.com", "AAAA") == ("2001:db8::7",)


async def test_it_asks_ddnsd_for_its_address(script: Script, ddnsd: Installation, token_file: Path) -> None:
    given = options(url(ddnsd), token_file, "--verbose")
    ended = await script.run(*given, "blog.example.com")  # over IPv4 alone: ddnsd has no IPv6 address here
    assert (ended.code, ended.out) == (0, "blog.example.com: A 127.0.0.1 (new)\n")
    assert "IPv4 address: 127.0.0.1\n" in ended.err
    assert "no IPv6 address: " in ended.err
    assert await ddnsd.query("blog.example.com", "A") == ("127.0.0.1",)


async def test_a_missing_family_fails_where_both_are_wanted(
    script: Script, ddnsd: Installation, token_file: Path
) -> None:
    ended = await script.run(*options(url(ddnsd), token_file, "--family", "both"), "blog.example.com")
    assert (ended.code, ended.out) == (3, "blog.example.com: A 127.0.0.1 (new)\n")
    assert ": no IPv6 address: " in ended.err


async def test_several_names_and_one_that_is_unknown(
    script: Script, ddnsd: Installation, token_file: Path
) -> None:
    names = ("blog.example.com", "none.example.com", "nas.example.com")
    ended = await script.run(*options(url(ddnsd), token_file, "-f", "4", "--ip", "192.0.2.7"), *names)
    assert ended.code == 2
    assert ended.out == "blog.example.com: A 192.0.2.7 (new)\nnas.example.com: A 192.0.2.7 (new)\n"
    assert ended.err == (
        f"{Path(script.command[-1]).name}: none.example.com: 域名不存在或无权操作 (HTTP 404: no such name,"
        " or not one of this token; or ddnsd is at another URL)\n"
    )


@pytest.mark.parametrize(
    ("domain", "ip", "said"),
    [
        ("example.com", "192.0.2.7", "DDNS 功能仅支持子域名,不支持一级域名 (HTTP 400: "),
        ("blog.example.com", "224.0.0.1", "无效的 IP 地址格式 (HTTP 400: "),
    ],
)
async def test_what_cannot_be_updated(
    script: Script, ddnsd: Installation, token_file: Path, domain: str, ip: str, said: str
) -> None:
    ended = await script.run(*options(url(ddnsd), token_file, "-f", "4", "--ip", ip, domain))
    assert (ended.code, ended.out) == (2, "")
    assert f"{domain}: {said}" in ended.err


async def test_a_wrong_token_is_tried_once(script: Script, ddnsd: Installation, tmp_path: Path) -> None:
    wrong = write_token(tmp_path / "wrong", "wrong-token-0123456789\n")
    names = ("blog.example.com", "nas.example.com")
    before = len(ddnsd.events("update.refused"))
    ended = await script.run(*options(url(ddnsd), wrong, "-f", "4", "--ip", "192.0.2.7"), *names)
    assert (ended.code, ended.out) == (2, "")
    assert "blog.example.com: 无效的 token (HTTP 401: " in ended.err
    assert "nas.example.com" not in ended.err
    assert len(ddnsd.events("update.refused")) == before + 1


async def test_no_proxy_is_used(script: Script, ddnsd: Installation, token_file: Path) -> None:
    """It would be the proxy's address that ddnsd sees."""
    proxies = dict.fromkeys(("http_proxy", "https_proxy", "ALL_PROXY"), "http://127.0.0.1:9")
    given = options(url(ddnsd), token_file, "-f", "4", "blog.example.com")
    assert (await script.run(*given, environ=proxies)).code == 0


@pytest.mark.parametrize("status", [301, 307, 402, 404])
async def test_what_is_no_answer_of_ddnsd_is_final(script: Script, token_file: Path, status: int) -> None:
    async with Fake(refused(status, "", Location="http://127.0.0.1:9/")) as fake:
        given = options(fake.url, token_file, "-f", "4", "--ip", "192.0.2.7", "blog.example.com")
        ended = await script.run(*given)
    assert (ended.code, ended.out) == (2, "")
    assert f"HTTP {status}: " in ended.err
    assert len(fake.asked) == 1
