"""Whatever way a file changes, a look tells."""

import os
from pathlib import Path

from ddnsd.app.reloader import look
from tests.rigs.volume import Volume


def test_a_volume_of_kubernetes(tmp_path: Path) -> None:
    volume = Volume(tmp_path / "mounted", {"a": "1", "b": "2"})
    paths = [volume / "a", volume / "b"]
    before = look(paths)
    assert look(paths) == before
    volume.write({"a": "1", "b": "2"})
    assert look(paths) != before, "the same text, but of another generation"
    volume.write({"a": "1"})
    assert look(paths)[volume / "b"] == ("", "No such file or directory")


def test_a_file_that_keeps_its_size_and_its_times(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text("1")
    before, times = look([path]), path.stat()
    path.write_text("2")
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert look([path]) != before


def test_a_file_that_was_only_touched(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text("1")
    before = look([path])
    os.utime(path, (0, 0))
    assert look([path]) == before
