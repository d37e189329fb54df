"""A home with IPv4 and IPv6, whose addresses change, and a provider with ddnsd and BIND, in one network."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.rigs.bind import BindRig
from tests.rigs.network import Network
from tests.rigs.place import Place
from tests.rigs.subnet import run
from tests.scripts.script import Ended, Script
from tests.system.installation import Installation, example

NAME, SERVER = "blog.example.com", "ddns.example.net"
PREFIX = "2001:db8:53::"
# $1 is the file of names; what follows is run where that is /etc/hosts.
WITH_HOSTS = 'mount --bind "$1" /etc/hosts && shift && exec "$@"'


class World(NamedTuple):
    home: Place
    bind: BindRig
    hosts: Path
    token_file: Path

    async def run(self, script: Script, *more: str) -> Ended:
        """Run it at home, with no address given."""
        command = ("unshare", "--mount", "sh", "-c", WITH_HOSTS, "sh", str(self.hosts), *script.command)
        there = Script(script.name, tuple(self.home.command(*command)))
        given = ("-s", f"http://{SERVER}:8080", "-t", str(self.token_file), "--max-time", "10")
        return await there.run(*given, *more, NAME)

    async def served(self) -> list[str]:
        """Return the addresses that BIND serves, the IPv4 ones first."""
        return [ip for type in ("A", "AAAA") for ip in await self.bind.query(NAME, type)]

    @property
    def network(self) -> str:
        """The first three numbers of the IPv4 addresses here."""
        return self.home.address.rpartition(".")[0]

    def take(self, address: str) -> None:
        """Give the home one more address; the first of a network stays the one that it calls from."""
        run("ip", "-n", self.home.namespace, "addr", "add", address, "dev", "eth0", *nodad(address))

    def lose(self, address: str) -> None:
        run("ip", "-n", self.home.namespace, "addr", "del", address, "dev", "eth0")


def nodad(address: str) -> tuple[str, ...]:
    return ("nodad",) if ":" in address else ()


@pytest.fixture
async def world(tmp_path: Path, token_file: Path) -> AsyncIterator[World]:
    with Network() as network:
        provider, home = network.place("provider"), network.place("home")
        for number, place in enumerate((provider, home), 1):
            address = f"{PREFIX}{number}/64"
            run("ip", "-n", place.namespace, "addr", "add", address, "dev", "eth0", *nodad(address))
        hosts = tmp_path / "hosts"
        hosts.write_text(f"{provider.address} {SERVER}\n{PREFIX}1 {SERVER}\n")
        folder = tmp_path / "ddnsd"
        folder.mkdir()
        listen = {name: f"{provider.address}:{port}" for name, port in (("admin", 8081), ("health", 8082))}
        async with (
            BindRig(place=provider) as bind,
            Installation(folder, bind, place=provider, listen={"public": ":8080", **listen}) as ddnsd,
        ):
            await ddnsd.apply(*example([NAME]))
            yield World(home, bind, hosts, token_file)


async def test_each_family_follows_its_own_address(script: Script, world: World) -> None:
    first4, second4 = world.home.address, f"{world.network}.77"
    first6, second6 = f"{PREFIX}2", f"{PREFIX}77"
    said = f"{NAME}: A {first4} (new), AAAA {first6} (new)\n"
    assert await world.run(script) == (0, said, "")
    assert await world.served() == [first4, first6]
    assert await world.run(script) == (0, "", "")

    world.lose(f"{first4}/24")
    world.take(f"{second4}/24")
    assert await world.run(script) == (0, f"{NAME}: A {second4} (was {first4})\n", "")
    assert await world.served() == [second4, first6]

    world.lose(f"{first6}/64")
    world.take(f"{second6}/64")
    assert await world.run(script) == (0, f"{NAME}: AAAA {second6} (was {first6})\n", "")
    assert await world.served() == [second4, second6]


@pytest.mark.parametrize("gone", ["4", "6"])
async def test_a_family_that_is_gone_keeps_its_record(script: Script, world: World, gone: str) -> None:
    first4, first6 = world.home.address, f"{PREFIX}2"
    assert (await world.run(script)).code == 0
    world.lose(f"{first4}/24" if gone == "4" else f"{first6}/64")
    assert await world.run(script) == (0, "", "")
    assert await world.served() == [first4, first6]
    ended = await world.run(script, "--family", "both")
    assert (ended.code, ended.out) == (3, "")
    assert f"no IPv{gone} address: no answer: " in ended.err


@pytest.mark.parametrize(("family", "record"), [("4", "A"), ("6", "AAAA")])
async def test_one_family_alone(script: Script, world: World, family: str, record: str) -> None:
    address = {"4": world.home.address, "6": f"{PREFIX}2"}[family]
    assert await world.run(script, "-f", family) == (0, f"{NAME}: {record} {address} (new)\n", "")
    assert await world.served() == [address]
