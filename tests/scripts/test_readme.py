"""clients/README.md, in both languages: its commands, its options, its files."""

import re
from pathlib import Path

import pytest

from tests.scripts.conftest import write_token
from tests.scripts.fake import Fake, changed, seen
from tests.scripts.script import FOLDER, SHELL, Script
from tests.system.installation import SECRET

ENGLISH, CHINESE = ((FOLDER / name).read_text() for name in ("README.md", "README.zh.md"))


def commands(text: str) -> list[str]:
    """Return the lines to paste, without their comments, which are translated."""
    blocks = re.findall(r"^```(?:\w+)?\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return [line.partition(" # ")[0].rstrip() for block in blocks for line in block.splitlines()]


def test_both_languages_tell_the_same() -> None:
    assert commands(ENGLISH) == commands(CHINESE)
    assert re.findall(r"^#+ ", ENGLISH, re.MULTILINE) == re.findall(r"^#+ ", CHINESE, re.MULTILINE)
    assert _quoted(ENGLISH) == _quoted(CHINESE) - {"名称 = 值"} | {"name = value"}


def _quoted(text: str) -> set[str]:
    prose = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    return set(re.findall(r"`([^`]+)`", prose))


def test_its_options_are_the_scripts() -> None:
    told = set(re.findall(r"^\| `?(--[a-z0-9-]+)|`, `(--[a-z0-9-]+)` \|", ENGLISH, re.MULTILINE))
    options = {option for pair in told for option in pair if option}
    usage = set(re.findall(r"^  (?:-\w, |    )(--[a-z0-9-]+)", SHELL.read_text(), re.MULTILINE))
    assert options == usage - {"--help", "--version"}


def test_its_files_are_there() -> None:
    for text in (ENGLISH, CHINESE):
        links = re.findall(r"\]\(([^)#]+)[^)]*\)", text)
        for path in (*links, *re.findall(r"\b((?:linux|windows)[/\\][\w.-]+\w)", text)):
            assert (FOLDER / path.replace("\\", "/")).is_file(), path


@pytest.mark.parametrize("line", [line for line in commands(ENGLISH) if line.startswith("*/5 ")])
async def test_its_line_of_a_crontab_runs(tmp_path: Path, line: str) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / SHELL.name).symlink_to(SHELL)
    write_token(tmp_path / ".ddnsd-token", SECRET)
    async with Fake(seen("192.0.2.7"), changed()) as fake:
        command = line.removeprefix("*/5 * * * * ").replace("https://ddns.example.com", fake.url)
        command = command.replace("--delay 59", "--delay 0")
        ended = await Script("sh", ("sh", "-c", command)).run(environ={"HOME": str(tmp_path)})
    assert ended == (0, "home.example.com: A 192.0.2.7 (new)\n", "")


async def test_its_first_block_installs_what_runs(tmp_path: Path) -> None:
    """In a folder instead of /; the token is pasted, and the example's server is the test's."""
    block = re.search(r"^```sh\n(install -m 755 .*?)^```", ENGLISH, re.MULTILINE | re.DOTALL)
    assert block
    (tmp_path / "usr/local/bin").mkdir(parents=True)
    (tmp_path / "etc").mkdir()
    text = re.sub(r"(?<=[ \n])/(?=usr|etc)", f"{tmp_path}/", block[1])
    conf = tmp_path / "etc/ddnsd-update/ddnsd-update.conf"
    async with Fake(seen("192.0.2.7"), changed()) as fake:
        edit = f"sed -i 's|https://ddns.example.com|{fake.url}|; s|/etc/|{tmp_path}/etc/|' {conf}"
        text = text.replace("cat > ", f"{edit}\necho {SECRET} | cat > ")
        ended = await Script("sh", ("sh", "-e", "-c", f"cd {FOLDER}\n{text}")).run()
    assert (ended.code, ended.out) == (0, "home.example.com: A 192.0.2.7 (new)\n")
    assert fake.asked[-1].headers["authorization"] == f"Bearer {SECRET}"
