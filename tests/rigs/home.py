"""A client's machine: a place in a network, whose address changes, with folders of its own.

What its programs write to /etc, /root, /run or /var goes to folders of the test's: these lie over the
machine's own (overlayfs). So a client runs with the files and paths that its recipe names.
"""

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Self

import pytest

from tests.rigs.place import Place
from tests.rigs.process import ServerProcess
from tests.rigs.subnet import run
from tests.waiting import PATIENCE, until

_OVER = ("etc", "root", "var")  # with what the machine has there; /run is empty
_PATIENCE = 60.0  # seconds for a command, or for what has to come; much more than any takes
# $1 is the folder. The marker says that all is mounted; then the process is there to be joined.
_MOUNT = f"""
for name in {" ".join(_OVER)}; do
    mount -t overlay -o "lowerdir=/$name,upperdir=$1/$name,workdir=$1/.$name" overlay "/$name" || exit
done
mount -t tmpfs tmpfs /run && touch "$1/mounted" && exec sleep infinity
"""


class Done(NamedTuple):
    """A command that has ended: its exit code, and what it said on both outputs."""

    code: int
    text: str


class Home:
    """`with Home(place, folder) as home:`; nothing is left behind but the folder."""

    def __init__(self, place: Place, folder: Path, environ: Mapping[str, str] | None = None) -> None:
        """`environ` is for all of its programs. Where folders cannot be laid over others, skip the test."""
        self.place = place
        self.address = place.address
        self.folder = folder
        self._environ = {**os.environ, "TMPDIR": str(folder / "tmp"), "HOME": "/root", **(environ or {})}
        self._started: list[ServerProcess] = []

    def __enter__(self) -> Self:
        for name in _OVER:
            (self.folder / name).mkdir(parents=True)
            (self.folder / f".{name}").mkdir()
        (self.folder / "tmp").mkdir()
        command = ("unshare", "--mount", "sh", "-c", _MOUNT, "sh", str(self.folder))
        self._holder = ServerProcess(self.place.command(*command), self.folder / "mounts")
        try:
            self._holder.wait_until((self.folder / "mounted").exists, PATIENCE, "the folders are mounted")
        except AssertionError:
            pytest.skip(f"nothing can be mounted here: {(self.folder / 'mounts').read_text()}")
        return self

    def __exit__(self, *_: object) -> None:
        for process in (*self._started, self._holder):
            process.kill()

    def write(self, path: str, text: str, mode: int = 0o600) -> None:
        """Write one of its files, such as `/etc/inadyn.conf`; its folders are made."""
        inside = self._inside(path)
        inside.parent.mkdir(parents=True, exist_ok=True)
        inside.unlink(missing_ok=True)  # a link would lead to a file of the machine itself
        inside.touch()
        inside.chmod(mode)
        inside.write_text(text)

    def read(self, path: str) -> str:
        """Return a file of its, "" where there is none."""
        inside = self._inside(path)
        return inside.read_text(errors="replace") if inside.exists() else ""

    def _inside(self, path: str) -> Path:
        return Path(f"/proc/{self._holder.pid}/root{path}")

    def _command(self, *command: str) -> list[str]:
        return ["nsenter", f"--target={self._holder.pid}", "--net", "--mount", *command]

    async def run(self, *command: str, **environ: str) -> Done:
        """Run a command here until it ends."""
        process = await asyncio.create_subprocess_exec(
            *self._command(*command),
            env={**self._environ, **environ},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        try:
            output, _ = await asyncio.wait_for(process.communicate(), _PATIENCE)
        except TimeoutError:
            process.kill()
            raise
        assert process.returncode is not None
        return Done(process.returncode, output.decode(errors="replace"))

    async def sh(self, script: str, **environ: str) -> Done:
        """Run lines as a shell does."""
        return await self.run("sh", "-c", script, **environ)

    def start(self, *command: str, log: str) -> ServerProcess:
        """Start a program that stays; what it says is to be read with `said(log)`."""
        process = ServerProcess(self._command("env", *self._variables(), *command), self.folder / log)
        self._started.append(process)
        return process

    def said(self, log: str) -> str:
        """Return what a started program has said until now."""
        return (self.folder / log).read_text(errors="replace")

    async def says(self, log: str, words: str, times: int = 1) -> str:
        """Wait until a started program has said this so many times; return the words."""
        await _until(lambda: self.said(log).count(words) >= times, lambda: f"{words}:\n{self.said(log)}")
        return words

    async def has(self, path: str, words: str) -> None:
        """Wait until one of its files has these words in it."""
        await _until(lambda: words in self.read(path), lambda: f"{words} in {path}:\n{self.read(path)}")

    def _variables(self) -> Sequence[str]:
        changed = {name: value for name, value in self._environ.items() if os.environ.get(name) != value}
        return [f"{name}={value}" for name, value in changed.items()]

    def move(self, address: str, *, family: int = 4) -> None:
        """Give it another address, as an Internet provider does; `address` is one of the same network.

        All addresses of the family that it had are gone.
        """
        inside = ("ip", "-n", self.place.namespace, f"-{family}", "addr")
        run(*inside, "flush", "dev", "eth0", "scope", "global")
        length, options = (24, ()) if family == 4 else (64, ("nodad",))
        run(*inside, "add", f"{address}/{length}", "dev", "eth0", *options)
        if family == 4:
            self.address = address


async def _until(condition: Callable[[], bool], missing: Callable[[], str]) -> None:
    await until(condition, _PATIENCE, missing)
