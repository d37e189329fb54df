"""A ConfigMap or a Secret as kubelet mounts it (kubernetes: pkg/volume/util/atomic_writer.go).

    config.yaml -> ..data/config.yaml
    ..data -> ..2026_11_24_02_45_01.1234
    ..2026_11_24_02_45_01.1234/config.yaml

Everything changes at once, when `..data` is renamed over; then the old folder goes.
"""

import itertools
import shutil
from collections.abc import Mapping
from pathlib import Path

_DATA = "..data"


class Volume:
    """A mounted volume; `write` is what kubelet does when the object has changed."""

    def __init__(self, folder: Path, files: Mapping[str, str | bytes] | None = None) -> None:
        folder.mkdir()
        self.folder = folder
        self._generations = itertools.count()
        if files:
            self.write(files)

    def __truediv__(self, name: str) -> Path:
        return self.folder / name

    def write(self, files: Mapping[str, str | bytes]) -> None:
        """Have these files, and no others, from one moment to the next."""
        old = self.folder / _DATA
        before = old.resolve() if old.exists() else None
        generation = self.folder / f"..2026_11_24_02_45_01.{next(self._generations)}"
        generation.mkdir()
        for name, content in files.items():
            octets = content.encode() if isinstance(content, str) else content
            (generation / name).write_bytes(octets)
        fresh = self.folder / "..data_tmp"
        fresh.symlink_to(generation.name)
        fresh.rename(old)
        self._link(files)
        if before is not None:
            shutil.rmtree(before)

    def _link(self, files: Mapping[str, str | bytes]) -> None:
        for path in self.folder.iterdir():
            if not path.name.startswith("..") and path.name not in files:
                path.unlink()
        for name in files:
            if not (self.folder / name).is_symlink():
                (self.folder / name).symlink_to(f"{_DATA}/{name}")
