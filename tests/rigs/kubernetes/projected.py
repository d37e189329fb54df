"""A folder of files as kubelet lays out Secrets, ConfigMaps and tokens."""

import itertools
import os
import shutil
from collections.abc import Mapping
from pathlib import Path


class ProjectedFolder:
    """All files change at one instant: each is a link into `..data`, which is a link that is replaced.

    Kubernetes: pkg/volume/util/atomic_writer.go.
    """

    def __init__(self, path: Path, *, group: int | None = None, mode: int = 0o644) -> None:
        """`group` is the files' own (a pod's fsGroup), which may read them whatever the mode says."""
        self.path = path
        self._group = group
        self._mode = mode if group is None else mode | 0o040
        self._versions = itertools.count(1)
        path.mkdir(parents=True, exist_ok=True)

    def write(self, files: Mapping[str, str]) -> None:
        """Replace all files by these."""
        data = self.path / f"..version_{next(self._versions)}"
        data.mkdir()
        for name, text in files.items():
            (data / name).write_text(text)
            (data / name).chmod(self._mode)
            if self._group is not None:
                os.chown(data / name, -1, self._group)
        before = (self.path / "..data").resolve()
        (self.path / "..data_tmp").symlink_to(data.name)
        (self.path / "..data_tmp").replace(self.path / "..data")
        self._link(files)
        if before.name != "..data":
            shutil.rmtree(before)

    def _link(self, files: Mapping[str, str]) -> None:
        for name in files:
            if not (self.path / name).is_symlink():
                (self.path / name).symlink_to(f"..data/{name}")
        for link in self.path.iterdir():
            if link.name not in files and not link.name.startswith(".."):
                link.unlink()
