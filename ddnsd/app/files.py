"""Whether files have changed, however it was done: written, renamed, or a link to them led elsewhere.

Kubernetes mounts a ConfigMap or a Secret as links through one link, `..data`, and changes it by replacing
that: neither the path nor the file behind it is written to. A time of change proves nothing either.
"""

import hashlib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple


class Sight(NamedTuple):
    """What a path leads to, links resolved, and the SHA-256 of that file or why it cannot be read."""

    real: str
    content: str


def look(paths: Iterable[Path]) -> Mapping[Path, Sight]:
    """Look at each file once."""
    return {path: _look_at(path) for path in paths}


def _look_at(path: Path) -> Sight:
    try:
        return Sight(os.path.realpath(path), hashlib.sha256(path.read_bytes()).hexdigest())
    except OSError as error:
        return Sight("", str(error.strerror))
