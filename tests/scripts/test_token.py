"""The token: who may read it, and where it never shows."""

import os
from pathlib import Path

import pytest

from tests.scripts.conftest import write_token
from tests.scripts.fake import Fake, changed, refused
from tests.scripts.script import SHELL, Script, dash
from tests.system.installation import SECRET

ADDRESS = ("--family", "4", "--ip", "192.0.2.7", "blog.example.com")


def options(server: str, token_file: Path, *more: str) -> list[str]:
    return ["--server", server, "--token-file", str(token_file), "--max-time", "30", *more, *ADDRESS]


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o601, 0o644])
async def test_a_file_that_others_can_use_is_refused(script: Script, tmp_path: Path, mode: int) -> None:
    async with Fake(changed()) as fake:
        path = write_token(tmp_path / "token", SECRET, mode)
        ended = await script.run(*options(fake.url, path))
        assert (ended.code, ended.out) == (1, "")
        assert f"others may read or write '{path}': run 'chmod 600 {path}'" in ended.err
        assert not fake.asked
        path.chmod(0o600)
        assert (await script.run(*options(fake.url, path))).code == 0


async def test_where_a_link_leads_counts(script: Script, tmp_path: Path) -> None:
    write_token(tmp_path / "open", SECRET, 0o644)
    (tmp_path / "token").symlink_to(tmp_path / "open")
    ended = await script.run(*options("http://127.0.0.1:9", tmp_path / "token"))
    assert ended.code == 1
    assert "others may read or write" in ended.err


async def test_what_systemd_hands_over_is_taken(script: Script, tmp_path: Path) -> None:
    """Its mode may be 0440 for an access control list that names only the service."""
    path = write_token(tmp_path / "token", SECRET, 0o440)
    async with Fake(changed()) as fake:
        environ = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
        assert (await script.run(*options(fake.url, path), environ=environ)).code == 0


@pytest.mark.parametrize("text", ["", "\n", "two\nlines\n", "two words\n", "Straße\n", "\nsecond-line\n"])
async def test_what_is_no_token_is_refused(script: Script, tmp_path: Path, text: str) -> None:
    path = write_token(tmp_path / "token", text)
    ended = await script.run(*options("http://127.0.0.1:9", path))
    assert (ended.code, ended.out) == (1, "")
    assert f"'{path}' is to hold the token alone, on one line, without blanks" in ended.err


@pytest.mark.parametrize("name", ["none", "."])
async def test_there_is_no_such_file(script: Script, tmp_path: Path, name: str) -> None:
    ended = await script.run(*options("http://127.0.0.1:9", tmp_path / name))
    assert (ended.code, ended.out) == (1, "")
    assert "--token-file: " in ended.err


@pytest.mark.parametrize("ending", ["", "\n", "\r\n"])
async def test_any_visible_character_arrives(script: Script, tmp_path: Path, ending: str) -> None:
    token = "".join(map(chr, range(0x21, 0x7F)))
    async with Fake(changed()) as fake:
        given = options(fake.url, write_token(tmp_path / "token", token + ending))
        assert (await script.run(*given)).code == 0
    assert fake.asked[0].headers["authorization"] == f"Bearer {token}"


async def test_it_is_in_no_argument_no_environment_and_no_url(script: Script, token_file: Path) -> None:
    async with Fake(changed()) as fake:
        fake.hold()
        running = await script.start(*options(fake.url, token_file))
        await fake.another()
        family = _family(running.pid)
        assert sum(_shown(pid, "cmdline") != b"" for pid in family) > (script.name != "python"), "curl, too"
        for pid in family:
            for name in ("cmdline", "environ"):
                assert SECRET.encode() not in _shown(pid, name)
        fake.release()
        assert (await running.ended()).code == 0
    assert fake.asked[0].line == "POST /api/ddns/update HTTP/1.1"
    assert fake.asked[0].headers["authorization"] == f"Bearer {SECRET}"
    assert fake.asked[0].fields == {"domain": "blog.example.com", "ip": "192.0.2.7"}


def _family(pid: int) -> list[int]:
    """Return a process and all that descend from it."""
    if not Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").exists():  # no CONFIG_PROC_CHILDREN
        return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdecimal()]
    children = _shown(pid, f"task/{pid}/children").split()
    return [pid, *(each for child in children for each in _family(int(child)))]


def _shown(pid: int, name: str) -> bytes:
    """Read a file of /proc; a process that has ended meanwhile shows nothing."""
    try:
        return Path(f"/proc/{pid}/{name}").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


async def test_it_is_in_no_output(script: Script, token_file: Path) -> None:
    replies = (refused(503, "忙"), refused(429, "请求过于频繁"), refused(401, "无效的 token"))
    async with Fake(*replies) as fake:
        ended = await script.run(*options(fake.url, token_file, "--verbose"))
    assert ended.code == 2
    assert SECRET not in ended.out + ended.err


async def test_the_shell_s_trace_has_no_token(token_file: Path) -> None:
    traced = Script("dash", (dash().command[0], "-x", str(SHELL)))
    async with Fake(changed()) as fake:
        ended = await traced.run(*options(fake.url, token_file))
    assert ended.code == 0
    assert "+ authorization" in ended.err
    assert SECRET not in ended.err


@pytest.mark.parametrize(
    "given", [("--token", SECRET), (f"--token={SECRET}",), ("--tokn", SECRET), (f"--tokn={SECRET}",)]
)
async def test_a_token_among_the_options_is_refused_and_not_repeated(
    script: Script, token_file: Path, given: tuple[str, ...]
) -> None:
    ended = await script.run(*options("http://127.0.0.1:9", token_file, *given))
    assert (ended.code, ended.out) == (1, "")
    assert "token" in ended.err or "tokn" in ended.err
    assert SECRET not in ended.err


async def test_nothing_is_read_from_curlrc(token_file: Path, tmp_path: Path) -> None:
    """It may say `location`, which sends the token on."""
    (tmp_path / ".curlrc").write_text("location\nverbose\n")
    async with Fake(changed()) as other, Fake(refused(302, "", Location=other.url)) as fake:
        ended = await dash().run(*options(fake.url, token_file), environ={"HOME": str(tmp_path)})
    assert ended.code == 2
    assert not other.asked
    assert SECRET not in ended.out + ended.err
    assert len(ended.err.splitlines()) == 1
