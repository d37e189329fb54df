"""What lies in clients/linux, and the form of the scripts."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.rigs.process import find_program
from tests.scripts.conftest import write_token
from tests.scripts.fake import Fake, changed, seen
from tests.scripts.script import FOLDER, PYTHON, SHELL, Script, oldest_python, python
from tests.system.installation import SECRET

LINUX = FOLDER / "linux"
PROGRAM, PLACE = "/usr/local/bin/ddnsd-update.sh", "/etc/ddnsd-update"


def test_shellcheck_has_nothing_to_say() -> None:
    program = find_program("shellcheck", "shellcheck")
    done = subprocess.run([program, "--shell=sh", str(SHELL)], capture_output=True, text=True, check=False)
    assert done.stdout + done.stderr == ""


def test_python_3_8_can_read_it() -> None:
    ast.parse(PYTHON.read_text(), feature_version=(3, 8))


async def test_it_runs_on_the_oldest_python_there_is(token_file: Path) -> None:
    script = python(oldest_python() or sys.executable)
    async with Fake(seen("192.0.2.7"), changed()) as fake:
        given = ("-s", fake.url, "-t", str(token_file), "-f", "4", "blog.example.com")
        assert await script.run(*given) == (0, "blog.example.com: A 192.0.2.7 (new)\n", "")


@pytest.fixture
def units(tmp_path: Path) -> list[str]:
    """The units, with a script that is there."""
    found = []
    for path in sorted(LINUX.glob("*.[st][ei][rm]*")):
        copy = tmp_path / path.name
        copy.write_text(path.read_text().replace(PROGRAM, str(SHELL)))
        found.append(str(copy))
    assert [Path(path).suffix for path in found] == [".service", ".timer"]
    return found


def analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    program = find_program("systemd-analyze", "systemd")
    return subprocess.run([program, *arguments], capture_output=True, text=True, check=False)


def test_systemd_takes_the_units(units: list[str]) -> None:
    done = analyze("verify", *units)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_service_can_do_little(units: list[str]) -> None:
    """At most 1.5 on the scale of `systemd-analyze security`; half of it is that it may use the network."""
    done = analyze("security", "--offline=true", "--threshold=15", "--no-pager", units[0])
    assert done.returncode == 0, done.stdout[-200:]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """What stands in /etc/ddnsd-update."""
    folder = tmp_path / "etc"
    folder.mkdir()
    write_token(folder / "token", SECRET)
    return folder


def line_of(name: str, pattern: str) -> str:
    found = re.search(pattern, (LINUX / name).read_text(), re.MULTILINE)
    assert found
    return found[1].replace(PROGRAM, str(SHELL))


@pytest.mark.parametrize(
    ("name", "pattern"),
    [
        ("ddnsd-update.service", r"^ExecStart=(.+)$"),
        ("ddnsd-update.cron", r"^\*/5 \* \* \* \* root (.+) --delay 59$"),
    ],
)
async def test_its_command_runs(place: Path, name: str, pattern: str) -> None:
    """With the example's configuration; systemd puts the variable's value in, as `sh` does here."""
    command = line_of(name, pattern).replace(PLACE, str(place))
    async with Fake(seen("192.0.2.7"), changed()) as fake:
        example = (LINUX / "ddnsd-update.conf").read_text().replace(PLACE, str(place))
        (place / "ddnsd-update.conf").write_text(example.replace("https://ddns.example.com", fake.url))
        ended = await Script("sh", ("sh", "-c", command)).run(environ={"CREDENTIALS_DIRECTORY": str(place)})
    assert ended == (0, "home.example.com: A 192.0.2.7 (new)\n", "")
    assert fake.asked[1].headers["authorization"] == f"Bearer {SECRET}"
