"""Our own scripts, as docs/clients/programs.md sets them up; more of them alone in tests/scripts."""

import pytest

from tests.clients import recipes
from tests.clients.internet import ONE_CHANGE, SECONDS, Internet
from tests.clients.outcomes import Client, Fact, Outcome, Scenario, shows
from tests.clients.packages import OURS
from tests.rigs.home import Done, Home
from tests.system.installation import SECRET
from tests.waiting import until

HOST = "blog.example.com"
RECIPE = recipes.read("programs")["Our scripts"]
RUN = RECIPE.commands("--config")
SHELL, PYTHON = Client.SHELL, Client.PYTHON

pytestmark = pytest.mark.asyncio(loop_scope="module")


def each(scenario: Scenario) -> pytest.MarkDecorator:
    """Run a test with each script; the argument `script` is its name."""
    clients = [
        pytest.param(each.title, marks=shows(each, scenario), id=each.title) for each in (SHELL, PYTHON)
    ]
    return pytest.mark.parametrize("script", clients)


def command(script: str) -> str:
    name, _, options = RUN.partition(" ")
    assert name == SHELL.title
    return f"{OURS / script} {options}"


async def run(home: Home, script: str, options: str = "") -> Done:
    return await home.sh(f"{command(script)} {options}")


def says(done: Done, words: str) -> str:
    assert words in done.text, done.text
    return words


@each(Scenario.FIRST)
async def test_first_update(internet: Internet, home: Home, outcome: Outcome, script: str) -> None:
    RECIPE.write(home, SECRET)
    done = await run(home, script, "--family 4")
    assert done.text.count(SECRET) == 0
    says(done, f"{HOST}: A {home.address} (new)")
    assert await internet.nameserver.query(HOST, "A") == (home.address,)
    assert not await internet.nameserver.query(HOST, "AAAA")
    outcome.tell(says(done, f"{HOST}: done"), Fact.SERVED, code=done.code)
    assert done.code == 0


@each(Scenario.CHANGE)
async def test_changed_address(internet: Internet, home: Home, outcome: Outcome, script: str) -> None:
    RECIPE.write(home, SECRET)
    await run(home, script)
    before, address = home.address, internet.move(home)
    done = await run(home, script)
    says(done, f"{HOST}: A {address} (was {before})")
    assert await internet.nameserver.query(HOST, "A") == (address,)
    assert await internet.nameserver.query(HOST, "AAAA") == (internet.address6(home.place),)
    outcome.tell(says(done, f"{HOST}: done"), Fact.SERVED, code=done.code)
    assert done.code == 0


@each(Scenario.UNCHANGED)
async def test_same_address(home: Home, outcome: Outcome, script: str) -> None:
    RECIPE.write(home, SECRET)
    await run(home, script)
    done = await run(home, script)
    assert f"\n{HOST}: " not in done.text  # the line that tells a change
    outcome.tell(says(done, f"{HOST}: done"), code=done.code)
    assert done.code == 0


@each(Scenario.BOTH)
async def test_both_families(internet: Internet, home: Home, outcome: Outcome, script: str) -> None:
    RECIPE.write(home, SECRET)
    asked = await internet.asked()
    done = await run(home, script)
    assert await internet.asked() == asked + 1
    assert await internet.nameserver.query(HOST, "A") == (home.address,)
    assert await internet.nameserver.query(HOST, "AAAA") == (internet.address6(home.place),)
    outcome.tell(says(done, f"{HOST}: done"), Fact.SERVED_BOTH, code=done.code)
    assert done.code == 0


@each(Scenario.WRONG_TOKEN)
async def test_wrong_token(home: Home, outcome: Outcome, script: str) -> None:
    RECIPE.write(home, "wrong-secret")
    done = await run(home, script)
    said = says(done, "无效的 token (HTTP 401: the token is unknown, expired or disabled)")
    assert "wrong-secret" not in done.text
    outcome.tell(said, code=done.code)
    assert done.code == 2


@each(Scenario.UNKNOWN_HOST)
async def test_unknown_host(home: Home, outcome: Outcome, script: str) -> None:
    RECIPE.write(home, SECRET)
    for path, text in RECIPE.files(SECRET).items():
        home.write(path, text.replace(HOST, "ghost.example.com"))
    done = await run(home, script)
    outcome.tell(says(done, "域名不存在或无权操作 (HTTP 404"), code=done.code)
    assert done.code == 2


@each(Scenario.NAMESERVER_DOWN)
async def test_nameserver_down(internet: Internet, home: Home, outcome: Outcome, script: str) -> None:
    """It repeats within the run, and so does the next run."""
    RECIPE.write(home, SECRET)
    async with internet.without_nameserver():
        done = await run(home, script, "--max-time 5")
        said = says(done, "更新 DNS 服务器失败 (HTTP 500: the server cannot do it now); again in")
        assert done.code == 3
        process = home.start(*command(script).split(), log="run")
        await home.says("run", "again in")

    async def has_ended() -> bool:
        return not process.running

    await until(has_ended, SECONDS, "its end")
    assert process.code == 0
    await internet.served(HOST, "A", home.address)
    outcome.tell(said, Fact.COMES_AGAIN, code=done.code)


@each(Scenario.LIMITED)
async def test_asking_too_often(internet: Internet, home: Home, outcome: Outcome, script: str) -> None:
    RECIPE.write(home, SECRET)
    async with internet.limits(**ONE_CHANGE):
        await run(home, script, "--family 4")
        address = internet.move(home)
        done = await run(home, script, "--family 4 --max-time 5")
        said = says(done, "HTTP 429: too many requests")
        assert done.code == 3
    assert (await run(home, script)).code == 0
    assert await internet.nameserver.query(HOST, "A") == (address,)
    outcome.tell(said, Fact.COMES_AGAIN, code=done.code)
