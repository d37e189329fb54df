"""Debian's inadyn, as docs/clients/programs.md sets it up; a daemon, and whatever happens it must stay one.

faketime lets its clock run a hundred times as fast: its 5 minutes between two looks are 3 seconds, its 10
minutes after a failure 6.
"""

import pytest

from tests.clients import recipes
from tests.clients.internet import ONE_CHANGE, SECONDS, Internet
from tests.clients.outcomes import Client, Fact, Outcome, Scenario, shows
from tests.rigs.home import Home
from tests.rigs.process import ServerProcess
from tests.system.installation import SECRET
from tests.waiting import until

HOST = "blog.example.com"
CACHE = f"/var/cache/inadyn/{HOST}.cache"
RECIPE = recipes.read("programs")["inadyn"]
ONCE = RECIPE.commands("--once").splitlines()[0]
DAEMON = ("faketime", "-f", "+0 x100", "inadyn", "--foreground", "--loglevel=info")
DONE = f"Successful alias table update for {HOST}"
LATER = "Will retry again in 600 sec"

pytestmark = pytest.mark.asyncio(loop_scope="module")


class Daemon:
    """Started with the recipe's files."""

    def __init__(self, home: Home, *options: str, log: str = "daemon") -> None:
        self._home = home
        self._log = log
        self._process: ServerProcess = home.start(*DAEMON, *options, log=log)

    async def says(self, words: str, times: int = 1) -> str:
        """Wait until it has said this so many times; return the words."""
        return await self._home.says(self._log, words, times)

    async def remembers(self, address: str) -> None:
        """Wait until its cache has an address, which it writes after it has said so."""
        await self._home.has(CACHE, address)

    async def ends(self) -> int:
        """Wait until it has ended by itself; return its exit code."""

        async def has_ended() -> bool:
            return not self._process.running

        await until(has_ended, SECONDS, "inadyn ends")
        code = self._process.code
        assert code is not None
        return code

    @property
    def running(self) -> bool:
        return self._process.running

    def stop(self) -> None:
        self._process.terminate()


@shows(Client.INADYN, Scenario.FIRST)
async def test_first_update(internet: Internet, home: Home, outcome: Outcome) -> None:
    RECIPE.write(home, SECRET)
    daemon = Daemon(home)
    said = await daemon.says(DONE)
    assert await internet.nameserver.query(HOST, "A") == (home.address,)
    await daemon.remembers(home.address)
    assert daemon.running
    outcome.tell(said, Fact.SERVED, Fact.REMEMBERS, Fact.RUNS)


@shows(Client.INADYN, Scenario.CHANGE)
async def test_changed_address(internet: Internet, home: Home, outcome: Outcome) -> None:
    RECIPE.write(home, SECRET)
    daemon = Daemon(home)
    await daemon.says(DONE)
    address = internet.move(home)
    said = await daemon.says(f"{DONE} => new IP# {address}")
    assert await internet.nameserver.query(HOST, "A") == (address,)
    await daemon.remembers(address)
    assert daemon.running
    outcome.tell(said.removesuffix(f" => new IP# {address}"), Fact.SERVED, Fact.REMEMBERS, Fact.RUNS)


@shows(Client.INADYN, Scenario.UNCHANGED)
async def test_same_address(internet: Internet, home: Home, outcome: Outcome) -> None:
    RECIPE.write(home, SECRET)
    assert (await home.sh(ONCE)).code == 0
    asked = await internet.asked()
    daemon = Daemon(home)
    silent = await daemon.says("No IP# change detected", times=2)  # so the first has not led to an update
    assert await internet.asked() == asked
    daemon.stop()
    done = await home.sh(f"{ONCE} --loglevel=info")  # forced: `nochg`
    assert await internet.asked() == asked + 1
    assert DONE in done.text
    assert home.read(CACHE) == home.address
    outcome.tell(silent, Fact.ASKS_NOT, DONE, code=done.code)
    assert done.code == 0


@shows(Client.INADYN, Scenario.BOTH)
async def test_both_families(internet: Internet, home: Home, outcome: Outcome) -> None:
    """With a second section for IPv6, as the page says."""
    ((path, text),) = RECIPE.files(SECRET).items()
    ipv4 = text[text.index("custom") :]
    ipv6 = ipv4.replace("custom ddnsd", "custom ddnsd6").replace("--ipv4", "--ipv6")
    home.write(path, f"allow-ipv6 = true\n{ipv4}{ipv6}")
    daemon = Daemon(home)
    said = await daemon.says(DONE, times=2)
    assert await internet.nameserver.query(HOST, "A") == (home.address,)
    assert await internet.nameserver.query(HOST, "AAAA") == (internet.address6(home.place),)
    assert daemon.running
    outcome.tell(said, Fact.SERVED_BOTH, Fact.RUNS)


@shows(Client.INADYN, Scenario.WRONG_TOKEN)
async def test_wrong_token(home: Home, outcome: Outcome) -> None:
    RECIPE.write(home, "wrong")
    daemon = Daemon(home)
    said = await daemon.says("[401 Unauthorized] badauth")
    assert home.read(CACHE) == ""
    outcome.tell(said, Fact.REMEMBERS_NOT, Fact.ENDS, code=await daemon.ends())
    assert await daemon.ends() == 50


@shows(Client.INADYN, Scenario.UNKNOWN_HOST)
async def test_unknown_host(home: Home, outcome: Outcome) -> None:
    for path, text in RECIPE.files(SECRET).items():
        home.write(path, text.replace(f'hostname = "{HOST}"', 'hostname = "ghost.example.com"'))
    daemon = Daemon(home)
    said = await daemon.says("[200 OK] nohost")
    outcome.tell(said, Fact.REMEMBERS_NOT, Fact.ENDS, code=await daemon.ends())
    assert home.read("/var/cache/inadyn/ghost.example.com.cache") == ""
    assert await daemon.ends() == 48


@shows(Client.INADYN, Scenario.NAMESERVER_DOWN)
async def test_nameserver_down(internet: Internet, home: Home, outcome: Outcome) -> None:
    RECIPE.write(home, SECRET)
    async with internet.without_nameserver():
        daemon = Daemon(home)
        said = await daemon.says("[503 Service Unavailable] dnserr")
        again = await daemon.says(LATER)
        assert home.read(CACHE) == ""
        assert daemon.running
    await daemon.says(DONE)
    assert await internet.nameserver.query(HOST, "A") == (home.address,)
    await daemon.remembers(home.address)
    assert daemon.running
    outcome.tell(said, again, Fact.COMES_AGAIN, Fact.RUNS)


@shows(Client.INADYN, Scenario.LIMITED)
async def test_asking_too_often(internet: Internet, home: Home, outcome: Outcome) -> None:
    RECIPE.write(home, SECRET)
    daemon = Daemon(home)
    await daemon.says(DONE)
    async with internet.limits(**ONE_CHANGE):
        internet.move(home)
        await daemon.says(DONE, times=2)
        address = internet.move(home)
        said = await daemon.says("[503 Service Unavailable] 911")
        again = await daemon.says(LATER)
    await daemon.says(DONE, times=3)
    assert await internet.nameserver.query(HOST, "A") == (address,)
    assert daemon.running
    outcome.tell(said, again, Fact.COMES_AGAIN, Fact.RUNS)
