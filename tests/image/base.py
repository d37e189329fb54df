"""A stand-in for the base image, from Debian's packages, under the name that the Dockerfile asks for."""

import fcntl
import os
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.rigs.process import find_program

ROOT = Path(__file__).parents[2]
CACHE = ROOT / ".cache" / "image-base.tar"
AUTHORITIES = Path("/etc/ssl/certs/ca-certificates.crt")
PIP_SETTINGS = Path("/etc/pip.conf")


def base_name() -> str:
    """Return the base image's name as the Dockerfile has it."""
    (name,) = re.findall(r"(?m)^ARG PYTHON_IMAGE=(\S+)$", (ROOT / "Dockerfile").read_text())
    return str(name)


class Storage:
    """A storage of images that is nobody else's, in a folder."""

    def __init__(self, folder: Path) -> None:
        settings = folder / "storage.conf"
        settings.write_text(
            f'[storage]\ndriver = "overlay"\ngraphroot = "{folder}/images"\nrunroot = "{folder}/run"\n'
        )
        self.environ = {
            **os.environ,
            "CONTAINERS_STORAGE_CONF": str(settings),
            "BUILDAH_ISOLATION": "chroot",
            "BUILDER": "buildah",
        }

    def buildah(self, *arguments: str) -> str:
        """Run buildah; return what it prints."""
        return self.run([find_program("buildah", "buildah"), *arguments]).strip()

    def run(self, command: Sequence[str]) -> str:
        """Run a command with this storage; return what it prints."""
        done = subprocess.run(command, env=self.environ, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{command}: {done.stdout[-3000:]}{done.stderr[-3000:]}"
        return done.stdout


def make_base(storage: Storage) -> None:
    """Commit the stand-in: Debian 12 with its Python 3.11, and this machine's way to the package index."""
    container = storage.buildah("from", "scratch")
    storage.buildah("add", "--quiet", container, str(_tree()), "/")
    for file in (AUTHORITIES, PIP_SETTINGS):
        if file.exists():
            storage.buildah("copy", "--quiet", container, str(file), str(file))
    storage.buildah("run", container, "--", "ln", "-s", "/usr/bin/python3", "/usr/local/bin/python3")
    storage.buildah("commit", "--quiet", "--rm", container, base_name())


def _tree() -> Path:
    """Return the cached tree of Debian's files; make it if there is none, in one process at a time."""
    mmdebstrap = find_program("mmdebstrap", "mmdebstrap")
    CACHE.parent.mkdir(exist_ok=True)
    with CACHE.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not CACHE.exists():
            fresh = CACHE.with_suffix(".new.tar")
            packages = "--include=python3,python3-venv,ca-certificates"
            subprocess.run(
                [mmdebstrap, "--quiet", "--variant=minbase", packages, "bookworm", str(fresh)], check=True
            )
            fresh.rename(CACHE)
    return CACHE
