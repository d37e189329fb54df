"""Temporary failures: what a script does about them, and how it ends if they last."""

import re
from pathlib import Path

import pytest

from tests.rigs.bind import BindRig
from tests.rigs.ports import PortLease
from tests.scripts.fake import DrippingFake, Fake, Reply, changed, refused, unchanged
from tests.scripts.script import Script
from tests.system.installation import Installation, example

ADDRESS = ("--family", "4", "--ip", "192.0.2.7", "blog.example.com")


def options(server: str, token_file: Path, *more: str, seconds: int = 2) -> list[str]:
    bounds = ("--max-time", str(seconds), "--retry-delay", "1")
    return ["--server", server, "--token-file", str(token_file), *bounds, *more]


async def test_nameserver_down_and_back(
    script: Script, bind_rig: BindRig, tmp_path: Path, token_file: Path
) -> None:
    folder = tmp_path / "ddnsd"
    folder.mkdir()
    async with Installation(folder, bind_rig, publish={"timeout": 0.5, "probe_interval": 0.05}) as ddnsd:
        await ddnsd.apply(*example())
        await bind_rig.stop()
        server = f"http://{ddnsd.addresses['public']}"
        ended = await script.run(*options(server, token_file, *ADDRESS, seconds=3))
        assert (ended.code, ended.out) == (3, "")
        assert "blog.example.com: 更新 DNS 服务器失败 (HTTP 500: the server cannot do it now)\n" in ended.err

        running = await script.start(*options(server, token_file, "-v", *ADDRESS, seconds=60))
        await running.says("更新 DNS 服务器失败")
        await bind_rig.restart()
        ended = await running.ended()
        assert ended.code == 0
        assert await bind_rig.query("blog.example.com", "A") == ("192.0.2.7",)


async def test_server_down_and_back(script: Script, tmp_path: Path, token_file: Path) -> None:
    lease = PortLease()
    ddnsd = Installation(
        tmp_path, listen={"public": f"127.0.0.1:{lease.port}", "admin": ":0", "health": ":0"}
    )
    server = f"http://127.0.0.1:{lease.port}"
    try:
        ended = await script.run(*options(server, token_file, *ADDRESS))
        assert (ended.code, ended.out) == (3, "")
        assert "blog.example.com: no answer: " in ended.err
        assert "refused" in ended.err or "connect" in ended.err

        running = await script.start(*options(server, token_file, "-v", *ADDRESS, seconds=60))
        await running.says("again in")
        await ddnsd.start()
        ended = await running.ended()
        assert ended.code == 2, "the account is not there yet, and ddnsd says so"
    finally:
        await ddnsd.close()
        lease.release()


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
async def test_it_tries_again(script: Script, token_file: Path, status: int) -> None:
    async with Fake(refused(status, "暂时"), Reply(status, "<html>busy"), changed()) as fake:
        ended = await script.run(*options(fake.url, token_file, *ADDRESS, seconds=60))
    assert ended == (0, "blog.example.com: A 192.0.2.7 (new)\n", "")
    assert len(fake.asked) == 3


async def test_a_page_of_somebody_else_is_no_success(script: Script, token_file: Path) -> None:
    """As in a hotel, before one has logged in."""
    pages = (Reply(200, "<html>welcome"), Reply(200, '{"success":false,"data":{"updated":false}}'))
    async with Fake(*pages, unchanged()) as fake:
        ended = await script.run(*options(fake.url, token_file, "-v", *ADDRESS, seconds=60))
    assert (ended.code, ended.out) == (0, "")
    assert "HTTP 200: not what ddnsd answers; is something else in its place, or between?" in ended.err
    assert len(fake.asked) == 3


async def test_it_waits_as_long_as_it_is_asked_to(script: Script, token_file: Path) -> None:
    async with Fake(refused(429, "请求过于频繁,请稍后再试", Retry_After="3"), changed()) as fake:
        ended = await script.run(*options(fake.url, token_file, *ADDRESS, seconds=60))
    assert ended.code == 0
    first, second = fake.asked
    assert second.at - first.at >= 3


async def test_ddnsd_s_own_limit(script: Script, tmp_path: Path, token_file: Path) -> None:
    folder = tmp_path / "ddnsd"
    folder.mkdir()
    async with Installation(folder, fair_use={"token_changes": 0.2, "token_changes_burst": 1}) as ddnsd:
        await ddnsd.apply(*example())
        await ddnsd.update("blog.example.com", "192.0.2.1")
        given = options(f"http://{ddnsd.addresses['public']}", token_file, *ADDRESS, seconds=60)
        ended = await script.run("--verbose", *given)
        assert (ended.code, ended.out) == (0, "blog.example.com: A 192.0.2.7 (was 192.0.2.1)\n")
        assert "请求过于频繁,请稍后再试 (HTTP 429: too many requests); again in " in ended.err


async def test_it_does_not_wait_longer_than_it_may(script: Script, token_file: Path) -> None:
    async with Fake(refused(429, "请求过于频繁,请稍后再试", retry_after="3600")) as fake:
        names = ("blog.example.com", "nas.example.com")
        ended = await script.run(*options(fake.url, token_file, *ADDRESS[:-1], *names, seconds=600))
    assert (ended.code, ended.out) == (3, "")
    for name in names:
        assert f"{name}: 请求过于频繁,请稍后再试 (HTTP 429: too many requests)" in ended.err
    assert len(fake.asked) == 1, "the limit is the token's: the other name is not tried"


async def test_pauses_grow_and_end(script: Script, token_file: Path) -> None:
    async with Fake(refused(503, "服务即将停止")) as fake:
        ended = await script.run(*options(fake.url, token_file, "-v", *ADDRESS, seconds=6))
    assert (ended.code, ended.out) == (3, "")
    assert fake.asked[-1].at - fake.asked[0].at <= 6
    pauses = [float(pause) for pause in re.findall(r"again in ([0-9.]+) s", ended.err)]
    assert 2 <= len(pauses) == len(fake.asked) - 1, "1 s and 2 s at most, so there is time for a third"
    assert all(pause <= 2**number for number, pause in enumerate(pauses))


async def test_one_name_holds_up_no_other(script: Script, token_file: Path) -> None:
    async with Fake(refused(500, "更新 DNS 服务器失败"), changed(), changed()) as fake:
        names = ("blog.example.com", "nas.example.com")
        ended = await script.run(*options(fake.url, token_file, *ADDRESS[:-1], *names, seconds=60))
    assert ended.code == 0
    asked = [each.fields["domain"] for each in fake.asked]
    assert asked == ["blog.example.com", "nas.example.com", "blog.example.com"]


@pytest.mark.parametrize(
    ("replies", "code"),
    [
        ((refused(404, "无"), changed()), 2),
        ((refused(503, "忙"), changed(), refused(404, "无")), 2),
        ((refused(404, "无"), refused(503, "忙", Retry_After="3600")), 2),
        ((changed(), refused(503, "忙", Retry_After="3600")), 3),
    ],
)
async def test_the_gravest_outcome_counts(
    script: Script, token_file: Path, replies: tuple[Reply, ...], code: int
) -> None:
    async with Fake(*replies) as fake:
        names = ("blog.example.com", "nas.example.com")
        ended = await script.run(*options(fake.url, token_file, *ADDRESS[:-1], *names, seconds=60))
    assert ended.code == code


@pytest.mark.parametrize("kind", [Fake, DrippingFake])
async def test_a_silent_or_endless_server_is_given_up(
    script: Script, token_file: Path, kind: type[Fake]
) -> None:
    async with kind(changed()) as fake:
        fake.hold()
        given = options(fake.url, token_file, "--timeout", "1", *ADDRESS, seconds=1)
        ended = await script.run(*given)
    assert (ended.code, ended.out) == (3, "")
    assert "blog.example.com: no answer: " in ended.err
