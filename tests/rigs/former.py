"""The project as it was: the code and the chart of a former commit, for upgrades from it."""

import re
import subprocess
import tarfile
import tempfile
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[2]
SHALLOW = "git fetch --unshallow"
BEFORE = "9626785"  # the last commit whose controller might use every Secret of the cluster


def is_commit(tag: str) -> bool:
    """Say whether an image's tag is a commit and no version."""
    return re.fullmatch("[0-9a-f]{7}", tag) is not None


def former(commit: str = BEFORE) -> Path:
    """Return a folder with `ddnsd` and `charts` of a commit. Where the clone has it not, skip the test."""
    folder = _ROOT / ".cache" / f"ddnsd-{commit}"
    if not folder.exists():
        with tempfile.TemporaryDirectory(dir=folder.parent) as made:
            archive = Path(made, "archive.tar")
            command = ["git", "archive", f"--output={archive}", commit, "ddnsd", "charts"]
            if subprocess.run(command, cwd=_ROOT, check=False, capture_output=True).returncode:
                pytest.skip(f"this clone has no commit {commit}: {SHALLOW}")
            with tarfile.open(archive) as tar:
                tar.extractall(Path(made, "tree"), filter="data")
            Path(made, "tree").rename(folder)  # all of it or nothing: tests run beside each other
    return folder


def environ_of(tree: Path) -> dict[str, str]:
    """Return the environment in which `python -m ddnsd` is the program of this checkout, from any folder."""
    return {"PYTHONPATH": str(tree), "PYTHONSAFEPATH": "1"}
