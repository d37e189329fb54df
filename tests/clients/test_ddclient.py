"""Debian's ddclient, as docs/clients/programs.md sets it up.

Mostly it is run once, as from cron. faketime moves its clock on, as it lets at least half a minute pass
between two changes, and five minutes after a failure.
"""

import pytest

from tests.clients import recipes
from tests.clients.internet import ONE_CHANGE, Internet
from tests.clients.outcomes import Client, Fact, Outcome, Scenario, shows
from tests.rigs.home import Done, Home
from tests.system.installation import SECRET

HOST, OTHER = "blog.example.com", "nas.example.com"
CACHE = "/var/cache/ddclient/ddclient.cache"
RECIPE = recipes.read("programs")["ddclient"]
RUN = RECIPE.commands("-daemon=0").splitlines()[0]
# As its service starts it, only that it looks every minute; which here is 1.5 seconds, its 5 minutes 7.5.
DAEMON = ("faketime", "-f", "+0 x40", "ddclient", "-daemon=60", "-foreground", "-verbose")


pytestmark = pytest.mark.asyncio(loop_scope="module")


async def run(home: Home, *, later: int = 0) -> Done:
    """Run it once, so many minutes from now."""
    return await home.sh(f"faketime -f +{later}m {RUN}")


def cached(home: Home, host: str = HOST) -> dict[str, str]:
    """Return what it remembers of a host."""
    lines = (line.rpartition(" ") for line in home.read(CACHE).splitlines())
    (found,) = (fields for fields, _, name in lines if name == host)
    return dict(field.partition("=")[::2] for field in found.split(","))


def says(done: Done, words: str) -> str:
    """Return the words, which it must have said."""
    assert words in done.text, done.text
    return words


@shows(Client.DDCLIENT, Scenario.FIRST)
async def test_first_update(internet: Internet, home: Home, outcome: Outcome) -> None:
    RECIPE.write(home, SECRET)
    done = await run(home)
    assert await internet.nameserver.query(HOST, "A") == (home.address,)
    assert (cached(home)["ip"], cached(home)["status"]) == (home.address, "good")
    said = says(done, f"SUCCESS:  updating {HOST}: good: IP address set to")
    outcome.tell(said, Fact.SERVED, Fact.REMEMBERS, code=done.code)
    assert done.code == 0


@shows(Client.DDCLIENT, Scenario.CHANGE)
async def test_changed_address(internet: Internet, home: Home, outcome: Outcome) -> None:
    RECIPE.write(home, SECRET)
    await run(home)
    address = internet.move(home)
    done = await run(home, later=1)
    assert await internet.nameserver.query(HOST, "A") == (address,)
    assert cached(home)["ip"] == address
    said = says(done, f"SUCCESS:  updating {HOST}: good: IP address set to")
    outcome.tell(said, Fact.SERVED, Fact.REMEMBERS, code=done.code)
    assert done.code == 0


@shows(Client.DDCLIENT, Scenario.UNCHANGED)
async def test_same_address(internet: Internet, home: Home, outcome: Outcome) -> None:
    RECIPE.write(home, SECRET)
    await run(home)
    asked = await internet.asked()
    assert await run(home, later=10) == Done(0, "")
    assert await internet.asked() == asked
    home.write(CACHE, "")  # it has forgotten, and asks: `nochg`
    done = await run(home)
    said = says(done, f"WARNING:  updating {HOST}: nochg: No update required")
    assert await internet.asked() == asked + 1
    assert (cached(home)["ip"], cached(home)["status"]) == (home.address, "good")
    outcome.tell(Fact.ASKS_NOT, said, Fact.REMEMBERS, code=done.code)
    assert done.code == 0


@shows(Client.DDCLIENT, Scenario.WRONG_TOKEN)
async def test_wrong_token(internet: Internet, home: Home, outcome: Outcome) -> None:
    RECIPE.write(home, "wrong")
    done = await run(home)
    said = says(done, f"FAILED:   updating {HOST}: authorization failed (HTTP/1.1 401 Unauthorized")
    assert "ip" not in cached(home)
    again = says(await run(home), "Wait at least 5 minutes between update attempts.")
    outcome.tell(said, Fact.REMEMBERS_NOT, again, code=done.code)
    assert done.code == 1


@shows(Client.DDCLIENT, Scenario.UNKNOWN_HOST)
async def test_unknown_host(home: Home, outcome: Outcome) -> None:
    _write_for(home, "ghost.example.com")
    done = await run(home)
    said = says(done, "FAILED:   updating ghost.example.com: nohost: The hostname specified does not exist")
    assert cached(home, "ghost.example.com")["status"] == "nohost"
    again = says(await run(home), "Wait at least 5 minutes between update attempts.")
    outcome.tell(said, Fact.REMEMBERS_NOT, again, code=done.code)
    assert done.code == 1


@shows(Client.DDCLIENT, Scenario.SOME_HOSTS)
async def test_two_hosts_one_unknown(internet: Internet, home: Home, outcome: Outcome) -> None:
    """It reads a line for each host, in the order in which it has sent them."""
    _write_for(home, f"{HOST},ghost.example.com,{OTHER}")
    done = await run(home)
    good = [says(done, f"SUCCESS:  updating {host}: good") for host in (HOST, OTHER)]
    bad = says(done, "FAILED:   updating ghost.example.com: nohost")
    for host in (HOST, OTHER):
        assert await internet.nameserver.query(host, "A") == (home.address,)
        assert cached(home, host)["status"] == "good"
    outcome.tell(good[0], bad, Fact.SERVED, code=done.code)


@shows(Client.DDCLIENT, Scenario.NAMESERVER_DOWN)
async def test_nameserver_down(internet: Internet, home: Home, outcome: Outcome) -> None:
    """A 503, of which it says nothing. ddnsd keeps the change, so that the next answer is `nochg`."""
    RECIPE.write(home, SECRET)
    async with internet.without_nameserver():
        done = await run(home)
        assert done == Done(0, "")
        assert "ip" not in cached(home)
        again = says(await run(home), "Wait at least 5 minutes between update attempts.")
        home.write(CACHE, "")
        daemon = home.start(*DAEMON, log="daemon")
        await home.says("daemon", "HTTP/1.1 503")
    await internet.served(HOST, "A", home.address)
    said = await home.says("daemon", f"updating {HOST}: nochg")
    await home.has(CACHE, f",ip={home.address},")
    assert cached(home)["status"] == "good"
    assert daemon.running
    outcome.tell(Fact.REMEMBERS_NOT, again, Fact.COMES_AGAIN, said, Fact.RUNS, code=done.code)


@shows(Client.DDCLIENT, Scenario.LIMITED)
async def test_asking_too_often(internet: Internet, home: Home, outcome: Outcome) -> None:
    RECIPE.write(home, SECRET)
    await run(home)
    first = home.address
    async with internet.limits(**ONE_CHANGE):
        internet.move(home)
        await run(home, later=1)
        address = internet.move(home)
        done = await run(home, later=2)
    assert done == Done(0, "")
    assert await internet.nameserver.query(HOST, "A") not in ((address,), (first,))
    again = says(await run(home, later=2), "Wait at least 5 minutes between update attempts.")
    says(await run(home, later=8), f"updating {HOST}: good")
    await internet.served(HOST, "A", address)
    outcome.tell(again, Fact.COMES_AGAIN, code=done.code)


def _write_for(home: Home, hosts: str) -> None:
    """Write the recipe's file for other hosts, which stand in its last line."""
    for path, text in RECIPE.files(SECRET).items():
        home.write(path, text.replace(f"\n{HOST}\n", f"\n{hosts}\n"))
