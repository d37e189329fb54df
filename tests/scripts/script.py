"""A script of clients/ under an interpreter that people have, and how a run of it ended."""

import asyncio
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from tests.rigs.process import find_program

FOLDER = Path(__file__).parents[2] / "clients"
SHELL, PYTHON = FOLDER / "ddnsd-update.sh", FOLDER / "ddnsd_update.py"
PATIENCE = 60.0  # seconds for a run; much more than any takes


class Ended(NamedTuple):
    code: int
    out: str
    err: str


class Running:
    """A run that has not ended yet."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @property
    def pid(self) -> int:
        return self._process.pid

    async def says(self, text: str) -> str:
        """Wait until a line on its standard error has the text in it; return the line."""
        assert self._process.stderr is not None
        while True:
            line = await asyncio.wait_for(self._process.stderr.readline(), PATIENCE)
            assert line, f"it ended and did not say {text!r}"
            if text in line.decode():
                return line.decode()

    def interrupt(self) -> None:
        """Control-C."""
        self._process.send_signal(signal.SIGINT)

    def kill(self) -> None:
        """SIGKILL, to itself alone: what it has started may live on, and hold its outputs open."""
        self._process.kill()

    async def kill_all(self) -> None:
        """SIGKILL, to all that it has started too."""
        os.killpg(self.pid, signal.SIGKILL)
        await self.ended()

    async def ended(self) -> Ended:
        """Wait for its end; `err` is what was not read yet."""
        try:
            out, err = await asyncio.wait_for(self._process.communicate(), PATIENCE)
        except TimeoutError:
            os.killpg(self.pid, signal.SIGKILL)
            raise
        assert self._process.returncode is not None
        return Ended(self._process.returncode, out.decode(), err.decode())


def _take_control_c() -> None:
    """Be interrupted by Control-C also where these tests run in the background, which ignores it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class Script(NamedTuple):
    """`name` is for people; `command` runs it, without its options."""

    name: str
    command: tuple[str, ...]

    async def start(self, *options: str, environ: Mapping[str, str] | None = None) -> Running:
        process = await asyncio.create_subprocess_exec(
            *self.command,
            *options,
            env={"PATH": os.environ["PATH"], **(environ or {})},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
            preexec_fn=_take_control_c,
        )
        return Running(process)

    async def run(self, *options: str, environ: Mapping[str, str] | None = None) -> Ended:
        return await (await self.start(*options, environ=environ)).ended()


def dash() -> Script:
    return Script("dash", (find_program("dash", "dash"), str(SHELL)))


def busybox() -> Script:
    """As on OpenWrt: all is busybox, and curl; Debian's busybox has no flock of its own."""
    program = find_program("busybox", "busybox")
    folder = Path(tempfile.gettempdir()) / f"ddnsd-busybox-{os.getuid()}"
    folder.mkdir(exist_ok=True)
    for name in subprocess.check_output([program, "--list"], text=True).split():
        _link(folder / name, program)
    for name, package in (("curl", "curl"), ("flock", "util-linux")):
        _link(folder / name, find_program(name, package))
    return Script("busybox", (program, "env", f"PATH={folder}", program, "ash", str(SHELL)))


def _link(path: Path, target: str) -> None:
    with contextlib.suppress(FileExistsError):  # of another test process
        path.symlink_to(target)


def python(interpreter: str = sys.executable) -> Script:
    return Script("python", (interpreter, "-W", "error", "-I", str(PYTHON)))


SCRIPTS = {"dash": dash, "busybox": busybox, "python": python}


def oldest_python() -> str | None:
    """Return an interpreter of the oldest version that the script is for, if there is one here."""
    pyenv = sorted(Path.home().glob(".pyenv/versions/3.8.*/bin/python"))
    return str(pyenv[0]) if pyenv else shutil.which("python3.8")
