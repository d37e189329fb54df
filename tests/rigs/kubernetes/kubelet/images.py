"""What stands for the container images: programs of this machine, seen at the images' paths."""

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from tests.rigs.former import former, is_commit

_ROOT = Path(__file__).parents[4]
_PATH = "/usr/local/bin:/usr/bin:/bin"


class Image(NamedTuple):
    """`folders` are this machine's by their path in the container, `links` by where they lead."""

    folders: Mapping[str, Path]
    links: Mapping[str, str]
    entrypoint: tuple[str, ...]
    environment: Mapping[str, str]
    workdir: str = "/"


def image(name: str) -> Image:
    """Return what an image's name stands for."""
    repository, _, tag = name.rpartition(":")
    repository = repository.rpartition("/")[2]
    if repository == "ddnsd":
        return _ddnsd(former(tag) if is_commit(tag) else _ROOT)
    if repository == "etcd":
        return _etcd(tag.removeprefix("v"))
    raise ValueError(f"no image {name} here")


def _ddnsd(tree: Path) -> Image:
    """The image of the Dockerfile: a tree's code, with the Python and the packages that run the tests."""
    venv = Path(sys.prefix).resolve()  # as its scripts name it
    python = Path(sys.base_prefix)
    return Image(
        folders={str(venv): venv, str(python): python, "/code/ddnsd": tree / "ddnsd"},
        links={"/opt/ddnsd": str(venv)},
        entrypoint=("ddnsd",),
        environment={
            "PATH": f"/opt/ddnsd/bin:{_PATH}",
            "PYTHONPATH": "/code",
            "PYTHONUNBUFFERED": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
        },
        workdir="/var/lib/ddnsd",
    )


def _etcd(version: str) -> Image:
    return Image({"/usr/local/bin": etcd_folder(version)}, {}, (), {"PATH": _PATH})


def etcd_folder(version: str) -> Path:
    """Return where script/install-etcd puts a version's programs."""
    return (_ROOT / ".cache" / f"etcd-{version}").resolve()
