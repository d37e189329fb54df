"""curl as docs/clients/programs.md has it; and all of it again with HTTP/1.0, as old clients speak it."""

import pytest

from tests.clients import recipes
from tests.clients.curlrc import by_version
from tests.clients.internet import ONE_CHANGE, Internet
from tests.clients.outcomes import Fact, Outcome, Scenario
from tests.rigs.home import Home
from tests.system.installation import SECRET

HOST = "blog.example.com"
RECIPE = recipes.read("programs")["curl"]
RUN = RECIPE.commands("--ipv4")
BOTH = RECIPE.commands("ipv6=")
CHANGED = '{"success":true,"message":"DDNS 更新成功"'
SAME = '{"success":true,"message":"IP 地址未变化,无需更新"'
FAILED = 22  # curl's exit code after a status of 400 or more, with --fail-with-body

pytestmark = pytest.mark.asyncio(loop_scope="module")


def write(home: Home, curlrc: str, secret: str = SECRET) -> None:
    RECIPE.write(home, secret)
    home.write("/root/.curlrc", curlrc)


@by_version(Scenario.FIRST)
async def test_first_update(internet: Internet, home: Home, outcome: Outcome, curlrc: str) -> None:
    write(home, curlrc)
    done = await home.sh(RUN)
    assert done.text.startswith(CHANGED)
    assert await internet.nameserver.query(HOST, "A") == (home.address,)
    outcome.tell(CHANGED, Fact.SERVED, code=done.code)
    assert done.code == 0


@by_version(Scenario.CHANGE)
async def test_changed_address(internet: Internet, home: Home, outcome: Outcome, curlrc: str) -> None:
    write(home, curlrc)
    await home.sh(RUN)
    address = internet.move(home)
    done = await home.sh(RUN)
    assert done.text.startswith(CHANGED)
    assert await internet.nameserver.query(HOST, "A") == (address,)
    outcome.tell(CHANGED, Fact.SERVED, code=done.code)
    assert done.code == 0


@by_version(Scenario.UNCHANGED)
async def test_same_address(home: Home, outcome: Outcome, curlrc: str) -> None:
    write(home, curlrc)
    await home.sh(RUN)
    done = await home.sh(RUN)
    assert done.text.startswith(SAME)
    outcome.tell(SAME, code=done.code)
    assert done.code == 0


@by_version(Scenario.BOTH)
async def test_both_families(internet: Internet, home: Home, outcome: Outcome, curlrc: str) -> None:
    write(home, curlrc)
    done = await home.sh(BOTH)
    assert done.text.startswith(CHANGED)
    assert await internet.nameserver.query(HOST, "A") == ("198.51.100.7",)
    assert await internet.nameserver.query(HOST, "AAAA") == ("2001:db8::7",)
    for command, type, other, own in (
        (RUN, "A", "AAAA", home.address),
        (RUN.replace("--ipv4", "--ipv6"), "AAAA", "A", internet.address6(home.place)),
    ):
        before = await internet.nameserver.query(HOST, other)
        assert (await home.sh(command)).code == 0
        assert await internet.nameserver.query(HOST, type) == (own,)
        assert await internet.nameserver.query(HOST, other) == before
    outcome.tell(CHANGED, Fact.SERVED_BOTH, code=done.code)
    assert done.code == 0


@by_version(Scenario.WRONG_TOKEN)
async def test_wrong_token(home: Home, outcome: Outcome, curlrc: str) -> None:
    write(home, curlrc, "wrong")
    done = await home.sh(RUN)
    said = '{"success":false,"error":"无效的 token"}'
    assert said in done.text
    outcome.tell(said, code=done.code)
    assert done.code == FAILED


@by_version(Scenario.UNKNOWN_HOST)
async def test_unknown_host(home: Home, outcome: Outcome, curlrc: str) -> None:
    write(home, curlrc)
    done = await home.sh(RUN.replace(HOST, "ghost.example.com"))
    said = '{"success":false,"error":"域名不存在或无权操作"}'
    assert said in done.text
    outcome.tell(said, code=done.code)
    assert done.code == FAILED


@by_version(Scenario.NAMESERVER_DOWN)
async def test_nameserver_down(internet: Internet, home: Home, outcome: Outcome, curlrc: str) -> None:
    write(home, curlrc)
    said = '{"success":false,"error":"更新 DNS 服务器失败"}'
    async with internet.without_nameserver():
        done = await home.sh(RUN)
        assert said in done.text
        assert done.code == FAILED
    await internet.served(HOST, "A", home.address)
    again = await home.sh(RUN)
    assert (again.code, again.text.startswith(SAME)) == (0, True)
    outcome.tell(said, Fact.COMES_AGAIN, code=done.code)


@by_version(Scenario.LIMITED)
async def test_asking_too_often(internet: Internet, home: Home, outcome: Outcome, curlrc: str) -> None:
    write(home, curlrc)
    async with internet.limits(**ONE_CHANGE):
        await home.sh(RUN)
        address = internet.move(home)
        done = await home.sh(f"{RUN} --include")
        assert "HTTP/1.1 429" in done.text
        assert "Retry-After:" in done.text
        assert done.code == FAILED
    assert (await home.sh(RUN)).code == 0
    assert await internet.nameserver.query(HOST, "A") == (address,)
    outcome.tell("HTTP/1.1 429 Too Many Requests", Fact.COMES_AGAIN, code=done.code)
