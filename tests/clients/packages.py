"""Where the clients come from, and which versions are here."""

import os
import subprocess
from pathlib import Path
from typing import NamedTuple, Self

import pytest

from tests.rigs.process import find_program

ROOT = Path(__file__).parents[2]
OURS = ROOT / "clients"
"""Our own scripts."""

_VENV = ROOT / ".cache" / "clients"  # where script/install-clients puts PyPI's


class Package(NamedTuple):
    """A package of Debian's, one of PyPI's, or a script of our own."""

    source: str  # debian, pypi, ours
    name: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a package as `debian:curl`."""
        return cls(*text.split(":"))

    def require(self) -> None:
        """Skip the test where it is not installed; fail it in CI. A program's name is its package's."""
        if self.source == "debian":
            find_program(self.name, self.name)
        elif self.source == "pypi":
            program("python")

    @property
    def version(self) -> str:
        match self.source:
            case "debian":
                return _said("dpkg-query", "--show", "--showformat=${Version}", self.name)
            case "pypi":
                code = f"import importlib.metadata as m; print(m.version({self.name!r}))"
                return _said(program("python"), "-c", code)
            case _:
                return _said(str(OURS / self.name), "--version").split()[-1]


def program(name: str) -> str:
    """Return the path of a program of PyPI's clients; without it skip the test, or fail it in CI."""
    path = _VENV / "bin" / name
    if not path.exists():
        (pytest.fail if os.environ.get("CI") == "true" else pytest.skip)(f"no {name}: script/install-clients")
    return str(path)


def _said(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
