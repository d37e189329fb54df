"""Options, on the command line and in a file: what is wrong is named, with its remedy."""

import re
from importlib.metadata import version
from pathlib import Path

import pytest

from tests.scripts.fake import Fake, changed, seen
from tests.scripts.script import Script

SERVER = "http://127.0.0.1:9"
NO_IPV4 = ("300.1.1.1", "192.0.2", "192.0.2.7.7", "192.0.2.07", "192.0.2.", "192.0..7", "192.0.2.7/24", "@")
NO_IPV6 = (
    *("1:2:3", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "1::2::3", "1:::2", ":1::", "1::2:", "1:2:3:4::5:6:7:8"),
    *("12345::", "::g", "::192.0.2", "::300.0.2.7", "1:2:3:4:5:6:7:192.0.2.7", "192.0.2.7::", "fe80::1%eth0"),
)


def good(token_file: Path) -> list[str]:
    return ["--server", SERVER, "--token-file", str(token_file), "--max-time", "1"]


@pytest.mark.parametrize("option", ["-h", "--help"])
async def test_help_names_every_option_and_status(script: Script, option: str) -> None:
    ended = await script.run(option)
    assert (ended.code, ended.err) == (0, "")
    for name in (
        *("-c, --config", "-s, --server", "-t, --token-file", "-f, --family", "--ip", "--ipv6", "--cacert"),
        *("--timeout", "--max-time", "--retry-delay", "--delay", "-v, --verbose", "-V, --version"),
    ):
        assert name in re.sub(r" (FILE|URL|FAMILY),", ",", ended.out)
    for status in range(4):
        assert re.search(rf"^  {status}  \S", ended.out, re.MULTILINE)


@pytest.mark.parametrize("option", ["-V", "--version"])
async def test_its_version_is_ddnsd_s(script: Script, option: str) -> None:
    ended = await script.run(option)
    assert ended == (0, f"{Path(script.command[-1]).name} {version('ddnsd')}\n", "")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ((), "no DOMAIN: "),
        (("a/b",), "a DOMAIN is a name, such as home.example.com"),
        (('a"b',), "a DOMAIN is a name, such as home.example.com"),
        (("--server", ""), "--server is missing"),
        (("--server", "ddns.example.com"), "does not begin with https:// or http://"),
        (("--server", "ftp://ddns.example.com"), "does not begin with https:// or http://"),
        (("--server", "https://user:secret@ddns.example.com"), "without user, query and fragment"),
        (("--server", "https://ddns.example.com/?a=b"), "without user, query and fragment"),
        (("--server", "https://ddns.example.com/a b"), "without user, query and fragment"),
        (("--token-file", ""), "--token-file is missing"),
        (("--family", "5"), "'5'"),
        (("--ip", "2001:db8::1"), "--ip: '2001:db8::1' is no IPv4 address"),
        *((("--ip", ip), f"--ip: '{ip}' is no IPv4 address") for ip in NO_IPV4),
        *((("--ipv6", ip), f"--ipv6: '{ip}' is no IPv6 address") for ip in NO_IPV6),
        (("--ipv6", "192.0.2.7"), "--ipv6: '192.0.2.7' is no IPv6 address"),
        (("--ipv6", "2001:db8::1", "--family", "4"), "--ipv6: the family is 4"),
        (("--ip", "192.0.2.7", "--family", "6"), "--ip: the family is 6"),
        (("--timeout", "0"), "'0' is no whole number of seconds from 1 to 65535"),
        (("--timeout", "1.5"), "'1.5' is no whole number of seconds from 1 to 65535"),
        (("--max-time", "65536"), "'65536' is no whole number of seconds from 1 to 65535"),
        (("--delay", "-1"), "no whole number of seconds from 0 to 65535"),
        (("--retry-delay", "two"), "'two' is no whole number of seconds from 1 to 65535"),
        (("--nonsense", "x"), "there is no option"),
        (("-x",), "there is no option '-x'"),
        (("--config", "/nonexistent"), "--config: cannot read '/nonexistent'"),
    ],
)
async def test_what_is_wrong(script: Script, token_file: Path, given: tuple[str, ...], said: str) -> None:
    names = () if "DOMAIN" in said else ("blog.example.com",)
    ended = await script.run(*good(token_file), *given, *names)
    assert (ended.code, ended.out) == (1, "")
    assert said in ended.err
    assert ended.err.count("\n") == 1
    assert "secret" not in ended.err


@pytest.mark.parametrize("option", ["--frobnicate", "-x", "--frobnicate=secret"])
async def test_no_option_as_the_last_word(script: Script, token_file: Path, option: str) -> None:
    ended = await script.run(*good(token_file), "blog.example.com", option)
    assert (ended.code, ended.out) == (1, "")
    assert f"there is no option '{option.partition('=')[0]}'; see --help\n" in ended.err


@pytest.mark.parametrize(
    ("option", "address"),
    [
        *(("--ip", ip) for ip in ("0.0.0.0", "192.0.2.7", "255.255.255.255")),
        *(("--ipv6", ip) for ip in ("::", "1::", "::1", "2001:DB8::a", "1:2:3:4:5:6:7:8", "1:2:3:4::5:6:7")),
        *(("--ipv6", ip) for ip in ("1:2:3:4:5:6:7::", "::192.0.2.7", "64:ff9b::192.0.2.7")),
        ("--ipv6", "1:2:3:4:5:6:192.0.2.7"),
    ],
)
async def test_every_form_of_an_address(script: Script, token_file: Path, option: str, address: str) -> None:
    async with Fake(changed()) as fake:
        given = ("-s", fake.url, "-t", str(token_file), option, address, "-f", "6" if ":" in address else "4")
        ended = await script.run(*given, "blog.example.com")
    assert ended.code == 0, ended.err
    assert fake.asked[0].fields[option.strip("-")] == address


async def test_a_value_is_missing(script: Script, token_file: Path) -> None:
    ended = await script.run("blog.example.com", "--server")
    assert (ended.code, ended.out) == (1, "")
    assert "--server" in ended.err


async def test_an_authority_that_cannot_be_read(script: Script, token_file: Path) -> None:
    given = [*good(token_file), "--server", "https://127.0.0.1:9", "--cacert", "/nonexistent"]
    ended = await script.run(*given, "blog.example.com")
    assert (ended.code, ended.out) == (1, "")
    assert "--cacert: cannot read '/nonexistent'" in ended.err


async def test_a_file_of_options(script: Script, token_file: Path, tmp_path: Path) -> None:
    config = tmp_path / "ddnsd-update.conf"
    async with Fake(changed(), changed("192.0.2.8"), changed()) as fake:
        lines = (
            "# for the test",
            "",
            f"server={fake.url}/",
            f"  token-file =  {token_file}  ",
            "domain = blog.example.com nas.example.com",
            "domain = www.example.com",
            "family = 4",
            "ip = 192.0.2.7",
            "timeout = 5",
        )
        config.write_bytes("\r\n".join(lines).encode())  # as from Windows, without an end of line at the end
        ended = await script.run("-c", str(config), "--ip", "192.0.2.8", "last.example.com")
    assert (ended.code, ended.err) == (0, "")
    names = ["blog.example.com", "nas.example.com", "www.example.com", "last.example.com"]
    assert [asked.fields["domain"] for asked in fake.asked] == names
    assert {asked.fields["ip"] for asked in fake.asked} == {"192.0.2.8"}, "the command line wins"
    assert {asked.path for asked in fake.asked} == {"/api/ddns/update"}


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("server", "line 2: there is no '=' in it; write 'name = value'"),
        ("sever = https://ddns.example.com", "line 2: there is no option 'sever'; see --help"),
        ("config = /etc/other", "line 2: there is no option 'config'"),
        ("verbose = yes", "line 2: there is no option 'verbose'"),
        ("token = test-secret-0123456789", "line 2: no token here, where others can read it"),
    ],
)
async def test_a_file_with_a_mistake(script: Script, tmp_path: Path, line: str, said: str) -> None:
    config = tmp_path / "ddnsd-update.conf"
    config.write_text(f"# mistaken\n{line}\n")
    ended = await script.run("--config", str(config))
    assert (ended.code, ended.out) == (1, "")
    assert f"{config}, {said}" in ended.err
    assert "secret" not in ended.err


async def test_short_options_with_and_without_a_blank(script: Script, token_file: Path) -> None:
    async with Fake(changed()) as fake:
        given = (f"-s{fake.url}", f"-t{token_file}", "-f", "4", "--ip=192.0.2.7", "-v")
        ended = await script.run("blog.example.com", *given, "nas.example.com")
    assert ended.code == 0
    assert [asked.fields["domain"] for asked in fake.asked] == ["blog.example.com", "nas.example.com"]


async def test_a_server_below_a_path(script: Script, token_file: Path) -> None:
    async with Fake(seen("192.0.2.7"), changed()) as fake:
        given = ("-s", f"{fake.url}/dns/", "-t", str(token_file), "-f", "4", "blog.example.com")
        ended = await script.run(*given)
    assert ended.code == 0
    assert [asked.line.split()[:2] for asked in fake.asked] == [
        ["GET", "/dns/api/ddns/ip"],
        ["POST", "/dns/api/ddns/update"],
    ]
    assert "authorization" not in fake.asked[0].headers
    assert fake.asked[1].headers["user-agent"].startswith(Path(script.command[-1]).name)
    assert fake.asked[1].headers["content-type"] == "application/x-www-form-urlencoded"
