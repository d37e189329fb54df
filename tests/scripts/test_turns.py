"""Runs that share a token take turns, and do not begin all at once."""

import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.scripts.fake import Fake, changed
from tests.scripts.script import SCRIPTS, Script, dash, python

ADDRESS = ("--family", "4", "--ip", "192.0.2.7", "blog.example.com")
NEEDED = (
    "cat",
    "sed",
    "tr",
    "awk",
    "cut",
    "date",
    "ls",
    "ln",
    "rm",
    "readlink",
    "dirname",
    "sleep",
    "curl",
    "grep",
)


def options(server: str, token_file: Path, seconds: int) -> list[str]:
    bounds = ("--max-time", str(seconds), "--verbose")
    return ["--server", server, "--token-file", str(token_file), *bounds, *ADDRESS]


@pytest.mark.parametrize("other", SCRIPTS.values(), ids=SCRIPTS.keys())
async def test_runs_take_turns(script: Script, other: Callable[..., Any], token_file: Path) -> None:
    async with Fake(changed()) as fake:
        fake.hold()
        first = await script.start(*options(fake.url, token_file, 60))
        await fake.another()
        second = await other().start(*options(fake.url, token_file, 60))
        await second.says(f"another run with '{token_file}' is at work")
        assert len(fake.asked) == 1
        fake.release()
        assert (await first.ended()).code == 0
        assert (await second.ended()).code == 0
    assert len(fake.asked) == 2


async def test_a_run_gives_up_its_turn(script: Script, token_file: Path) -> None:
    async with Fake(changed()) as fake:
        fake.hold()
        first = await script.start(*options(fake.url, token_file, 60))
        await fake.another()
        ended = await script.run(*options(fake.url, token_file, 1))
        assert (ended.code, ended.out) == (3, "")
        assert f"another run with '{token_file}' is still at work; this one gives up\n" in ended.err
        fake.release()
        assert (await first.ended()).code == 0
    assert len(fake.asked) == 1


async def test_a_killed_run_keeps_no_turn(script: Script, token_file: Path) -> None:
    async with Fake(changed()) as fake:
        fake.hold()
        first = await script.start(*options(fake.url, token_file, 60))
        await fake.another()
        first.kill()
        second = await script.start(*options(fake.url, token_file, 10))  # curl of the first lives on
        await fake.another()
        fake.release()
        assert (await second.ended()).code == 0
        await first.ended()


@pytest.fixture
def bare(tmp_path: Path) -> dict[str, str]:
    """An environment without flock(1)."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in NEEDED:
        (folder / name).symlink_to(str(shutil.which(name)))
    return {"PATH": str(folder)}


async def test_without_flock_too(token_file: Path, bare: dict[str, str]) -> None:
    link = token_file.with_name("token.lock")
    async with Fake(changed()) as fake:
        fake.hold()
        first = await dash().start(*options(fake.url, token_file, 60), environ=bare)
        await fake.another()
        assert os.readlink(link) == str(first.pid)
        ended = await dash().run(*options(fake.url, token_file, 1), environ=bare)
        assert ended.code == 3
        assert "still at work" in ended.err
        first.kill()
        fake.release()
        assert (await dash().run(*options(fake.url, token_file, 60), environ=bare)).code == 0
        await first.ended()
    assert not link.is_symlink()


async def test_the_first_pause_is_random(script: Script, token_file: Path) -> None:
    pauses = set()
    for _ in range(3):
        given = options("http://127.0.0.1:9", token_file, 60)
        running = await script.start("--delay", "60000", *given)
        said = re.search(r"waiting ([0-9.]+) s first", await running.says("first"))
        assert said
        pauses.add(float(said[1]))
        await running.kill_all()
    assert len(pauses) == 3
    assert max(pauses) <= 60000


async def test_random_numbers_without_linux(token_file: Path, tmp_path: Path) -> None:
    """Where /proc is not, od(1) is."""
    script = Path(dash().command[-1]).read_text()
    copy = tmp_path / "script.sh"
    copy.write_text(script.replace("/proc/sys/kernel/random/uuid", "/nonexistent"))
    elsewhere = Script("dash", (dash().command[0], str(copy)))
    await test_the_first_pause_is_random(elsewhere, token_file)


async def test_python_s_own_end(token_file: Path) -> None:
    """Python is interrupted without a traceback."""
    async with Fake(changed()) as fake:
        fake.hold()
        running = await python().start(*options(fake.url, token_file, 60))
        await fake.another()
        running.interrupt()
        ended = await running.ended()
    assert ended.code == 130
    assert "Traceback" not in ended.err
