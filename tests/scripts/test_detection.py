"""The address: what ddnsd sees, or what an interface has."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.rigs.network import Network
from tests.rigs.place import Place
from tests.rigs.subnet import run
from tests.scripts.fake import Fake, changed, refused, seen
from tests.scripts.script import Script
from tests.waiting import until

NAME = "blog.example.com"


def options(server: str, token_file: Path, *more: str) -> list[str]:
    return ["--server", server, "--token-file", str(token_file), "--max-time", "2", *more, NAME]


@pytest.mark.parametrize("ip", ["2001:db8::7", "nonsense", "192.0.2", "\x1b[31m192.0.2.7"])
async def test_an_address_that_is_not_of_the_family_is_not_sent(
    script: Script, token_file: Path, ip: str
) -> None:
    async with Fake(seen(ip)) as fake:
        ended = await script.run(*options(fake.url, token_file))
    assert (ended.code, ended.out) == (3, "")
    assert "which is no IPv4 address; is a proxy between?" in ended.err
    assert "\x1b" not in ended.err
    assert all(asked.line.startswith("GET ") for asked in fake.asked)


async def test_no_address_for_now(script: Script, token_file: Path) -> None:
    async with Fake(refused(500, "无法确定客户端 IP 地址"), seen("192.0.2.7"), changed()) as fake:
        ended = await script.run(*options(fake.url, token_file, "--max-time", "60"))
    assert ended == (0, f"{NAME}: A 192.0.2.7 (new)\n", "")
    assert fake.asked[-1].fields == {"domain": NAME, "ip": "192.0.2.7"}


async def test_no_address_for_good(script: Script, token_file: Path) -> None:
    async with Fake(refused(404, "接口不存在")) as fake:
        ended = await script.run(*options(fake.url, token_file, "-f", "4", "--max-time", "60"))
    assert (ended.code, ended.out) == (2, "")
    assert "no IPv4 address: 接口不存在 (HTTP 404: no such name, or " in ended.err
    assert len(fake.asked) == 1


async def test_detection_waits_as_long_as_it_is_asked_to(script: Script, token_file: Path) -> None:
    async with Fake(refused(429, "请求过于频繁", Retry_After="2"), seen("192.0.2.7"), changed()) as fake:
        ended = await script.run(*options(fake.url, token_file, "-f", "4", "--max-time", "60"))
    assert ended.code == 0
    assert fake.asked[1].at - fake.asked[0].at >= 2


@pytest.fixture
def home() -> Iterator[Place]:
    with Network() as network:
        yield network.place("home")


def add(place: Place, address: str, *more: str) -> None:
    run("ip", "-n", place.namespace, "addr", "add", address, "dev", "eth0", "nodad", *more)


def there(place: Place, script: Script) -> Script:
    return Script(script.name, tuple(place.command(*script.command)))


async def test_the_addresses_of_an_interface(script: Script, token_file: Path, home: Place) -> None:
    """The lasting one of each family, a public one rather than a local one; there is no server to ask."""
    for number in range(4):  # of both sides: which comes first is the kernel's matter
        add(home, f"2001:db8::dead:{number}/64", "preferred_lft", "0")  # deprecated
    add(home, "2001:db8::7/64")
    add(home, "fd00::7/64")
    for number in range(4, 8):
        add(home, f"2001:db8::dead:{number}/64", "preferred_lft", "0")
    given = options("http://127.0.0.1:9", token_file, "-v", "--ip", "@eth0", "--ipv6", "@eth0")
    ended = await there(home, script).run(*given)
    assert ended.code == 3
    assert f"IPv4 address: {home.address}\n" in ended.err
    assert "IPv6 address: 2001:db8::7\n" in ended.err


async def test_a_temporary_address_is_left_alone(script: Script, token_file: Path, home: Place) -> None:
    """RFC 8981: another one every day."""
    sysctl = ("ip", "netns", "exec", home.namespace, "sysctl", "-q", "-w")
    run(*sysctl, "net.ipv6.conf.eth0.accept_dad=0", "net.ipv6.conf.eth0.use_tempaddr=2")
    given = options("http://127.0.0.1:9", token_file, "-v", "-f", "6", "--ipv6", "@eth0", "--max-time", "1")
    for number in range(1, 5):  # which of the two comes first is the kernel's matter
        address = f"2001:db8:{number}::7"
        add(home, f"{address}/64", "mngtmpaddr")
        await until_temporary(home)
        ended = await there(home, script).run(*given)
        assert f"IPv6 address: {address}\n" in ended.err
        run("ip", "-n", home.namespace, "addr", "del", f"{address}/64", "dev", "eth0")


async def until_temporary(home: Place) -> None:
    """Wait until the kernel has made a temporary address, and uses it."""

    def is_used() -> bool:
        lines = run("ip", "-n", home.namespace, "-6", "-o", "addr", "show", "dev", "eth0").splitlines()
        return any("temporary" in line and "tentative" not in line for line in lines)

    await until(is_used, 10)


async def test_an_interface_without_an_address(script: Script, token_file: Path, home: Place) -> None:
    given = options("http://127.0.0.1:9", token_file, "-f", "6", "--ipv6", "@eth0")
    ended = await there(home, script).run(*given)
    assert (ended.code, ended.out) == (3, "")
    assert "no IPv6 address: the interface 'eth0' has no lasting global one\n" in ended.err


@pytest.mark.parametrize("address", ["127.0.0.1", "127.0.0.7", "169.254.0.7"])
async def test_an_address_that_leads_nowhere(
    script: Script, token_file: Path, home: Place, address: str
) -> None:
    """Of this machine alone (RFC 1122 §3.2.1.3), or of one link (RFC 3927), whatever its scope is."""
    run("ip", "-n", home.namespace, "addr", "flush", "dev", "lo")
    run("ip", "-n", home.namespace, "addr", "add", f"{address}/32", "dev", "lo", "scope", "global")
    given = options("http://127.0.0.1:9", token_file, "-f", "4", "--ip", "@lo")
    ended = await there(home, script).run(*given)
    assert (ended.code, ended.out) == (3, "")
    assert "no IPv4 address: the interface 'lo' has no lasting global one\n" in ended.err


async def test_the_loopback_as_it_is(script: Script, token_file: Path) -> None:
    async with Fake(changed()) as fake:
        ended = await script.run(*options(fake.url, token_file, "--ip", "@lo", "--ipv6", "@lo"))
    assert (ended.code, ended.out, fake.asked) == (3, "", [])
    for version in (4, 6):
        assert f"no IPv{version} address: the interface 'lo' has no lasting global one" in ended.err


@pytest.mark.parametrize("option", ["--ip", "--ipv6"])
async def test_no_such_interface(script: Script, token_file: Path, option: str) -> None:
    family = {"--ip": "4", "--ipv6": "6"}[option]
    given = options("http://127.0.0.1:9", token_file, "-f", family, option, "@nosuch9")
    ended = await script.run(*given)
    assert (ended.code, ended.out) == (3, "")
    assert f"no IPv{family} address: there is no interface 'nosuch9'\n" in ended.err
