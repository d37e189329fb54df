"""PyPI's ddns (NewFuture/DDNS) with its provider `noip`, as docs/clients/programs.md sets it up."""

import json

import pytest

from tests.clients import recipes
from tests.clients.internet import ONE_CHANGE, Internet
from tests.clients.outcomes import Client, Fact, Outcome, Scenario, shows
from tests.clients.packages import program
from tests.rigs.home import Done, Home
from tests.system.installation import SECRET

HOST = "blog.example.com"
RECIPE = recipes.read("programs")["ddns"]
RUN = RECIPE.commands("ddns -c")
SAID = "No-IP API response: "  # what stands before the server's words

pytestmark = pytest.mark.asyncio(loop_scope="module")


def write(home: Home, secret: str = SECRET, host: str = HOST, families: str = "4") -> None:
    """Write the recipe's file, without what it has of other families."""
    for path, text in RECIPE.files(secret).items():
        chosen = {
            name: value
            for name, value in json.loads(text).items()
            if name[-1] not in set("46") - set(families)
        }
        home.write(path, json.dumps(chosen).replace(HOST, host))


async def run(home: Home, *options: str) -> Done:
    """Run it once; faketime shortens the pauses that it makes after a failure, 2 and 4 seconds."""
    folder, _, name = program("ddns").rpartition("/")
    assert RUN.startswith(f"{name} ")
    return await home.sh(f"faketime -f '+0 x10' {folder}/{RUN} --log_level INFO {' '.join(options)}")


def cached(home: Home) -> dict[str, str]:
    """Return what its cache has, which is called by a hash of its configuration."""
    found = [json.loads(path.read_text()) for path in (home.folder / "tmp").glob("ddns.*.cache")]
    return {key: value for content in found for key, value in content.items()}


@shows(Client.DDNS, Scenario.FIRST)
async def test_first_update(internet: Internet, home: Home, outcome: Outcome) -> None:
    write(home)
    done = await run(home)
    assert f"{SAID}good {home.address}" in done.text
    assert await internet.nameserver.query(HOST, "A") == (home.address,)
    assert cached(home) == {f"{HOST}:A": home.address}
    outcome.tell(f"{SAID}good", Fact.SERVED, Fact.REMEMBERS, code=done.code)
    assert done.code == 0


@shows(Client.DDNS, Scenario.CHANGE)
async def test_changed_address(internet: Internet, home: Home, outcome: Outcome) -> None:
    write(home)
    await run(home)
    address = internet.move(home)
    done = await run(home)
    assert f"{SAID}good {address}" in done.text
    assert await internet.nameserver.query(HOST, "A") == (address,)
    assert cached(home) == {f"{HOST}:A": address}
    outcome.tell(f"{SAID}good", Fact.SERVED, Fact.REMEMBERS, code=done.code)
    assert done.code == 0


@shows(Client.DDNS, Scenario.UNCHANGED)
async def test_same_address(internet: Internet, home: Home, outcome: Outcome) -> None:
    write(home)
    await run(home)
    asked = await internet.asked()
    done = await run(home)
    assert (done.code, await internet.asked()) == (0, asked)
    assert "address not changed, using cache" in done.text
    done = await run(home, "--no-cache")
    assert f"{SAID}nochg {home.address}" in done.text
    outcome.tell("address not changed, using cache", Fact.ASKS_NOT, f"{SAID}nochg", code=done.code)
    assert done.code == 0


@shows(Client.DDNS, Scenario.BOTH)
async def test_both_families(internet: Internet, home: Home, outcome: Outcome) -> None:
    """It sends them one after the other."""
    write(home, families="46")
    done = await run(home)
    address = internet.address6(home.place)
    assert f"{SAID}good {home.address}" in done.text
    assert f"{SAID}good {address}" in done.text
    assert await internet.nameserver.query(HOST, "A") == (home.address,)
    assert await internet.nameserver.query(HOST, "AAAA") == (address,)
    outcome.tell(f"{SAID}good", f"{SAID}good", Fact.SERVED_BOTH, code=done.code)
    assert done.code == 0


@shows(Client.DDNS, Scenario.WRONG_TOKEN)
async def test_wrong_token(home: Home, outcome: Outcome) -> None:
    write(home, "wrong")
    done = await run(home)
    assert "认证失败 [401]" in done.text
    assert not cached(home)
    outcome.tell("认证失败 [401]: Unauthorized", Fact.REMEMBERS_NOT, code=done.code)
    assert done.code == 1


@shows(Client.DDNS, Scenario.UNKNOWN_HOST)
async def test_unknown_host(home: Home, outcome: Outcome) -> None:
    write(home, host="ghost.example.com")
    done = await run(home)
    assert "Hostname ghost.example.com does not exist under No-IP account" in done.text
    assert not cached(home)
    outcome.tell(f"{SAID}nohost", Fact.REMEMBERS_NOT, code=done.code)
    assert done.code == 1


@shows(Client.DDNS, Scenario.NAMESERVER_DOWN)
async def test_nameserver_down(internet: Internet, home: Home, outcome: Outcome) -> None:
    """It tries twice more, and again the next time."""
    write(home)
    async with internet.without_nameserver():
        done = await run(home)
        assert "HTTP 503 error, retrying in 4 seconds" in done.text
        assert (done.code, cached(home)) == (1, {})
    await internet.served(HOST, "A", home.address)
    again = await run(home)
    assert f"{SAID}nochg {home.address}" in again.text
    assert cached(home) == {f"{HOST}:A": home.address}
    assert again.code == 0
    said = "HTTP 503 error, retrying in 2 seconds"
    outcome.tell(said, Fact.REMEMBERS_NOT, Fact.COMES_AGAIN, f"{SAID}nochg", code=done.code)


@shows(Client.DDNS, Scenario.LIMITED)
async def test_asking_too_often(internet: Internet, home: Home, outcome: Outcome) -> None:
    write(home)
    async with internet.limits(**ONE_CHANGE):
        await run(home)
        address = internet.move(home)
        done = await run(home)
        assert "服务器错误 [503]" in done.text
        assert done.code == 1
        assert await internet.nameserver.query(HOST, "A") != (address,)
    assert (await run(home)).code == 0
    assert await internet.nameserver.query(HOST, "A") == (address,)
    outcome.tell("HTTP 503 error, retrying in 2 seconds", Fact.COMES_AGAIN, code=done.code)
