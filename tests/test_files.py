"""Files are written whole, privately, and never through what stands in their way."""

import os
import re
import stat
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ddnsd import files

CODE = Path(files.__file__).parent
WRITES = re.compile(
    r"""\.write_(text|bytes)\(|\.touch\(|O_CREAT|mkstemp|NamedTemporary|open\([^()]*["'](?:[wax]b?\+?|rb?\+)["']"""
)
ELSEWHERE = {"app/workers.py": 1}  # a mark in a folder that tempfile has made for this process


def modes(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def test_the_file_is_private_whatever_the_umask(tmp_path: Path) -> None:
    for umask in (0o000, 0o077, 0o177):
        before = os.umask(umask)
        try:
            files.write(tmp_path / "secret", [b"s"])
            files.write(tmp_path / "open", [b"o"], mode=0o644)
        finally:
            os.umask(before)
        assert (modes(tmp_path / "secret"), modes(tmp_path / "open")) == (0o600, 0o644)


def test_a_link_at_the_name_is_replaced_and_what_it_leads_to_stays(tmp_path: Path) -> None:
    victim, path = tmp_path / "victim", tmp_path / "backup.yaml"
    victim.write_text("untouched")
    for target in (victim, tmp_path / "nowhere"):
        path.unlink(missing_ok=True)
        path.symlink_to(target)
        files.write(path, [b"a", b"b"])
        assert (path.is_symlink(), path.read_text(), victim.read_text()) == (False, "ab", "untouched")
    assert not (tmp_path / "nowhere").exists()


def test_nobody_can_guess_where_it_is_written(tmp_path: Path) -> None:
    path, seen = tmp_path / "file", []

    def parts() -> Iterator[bytes]:
        (name,) = (each.name for each in tmp_path.iterdir() if each != path)
        seen.append(name)
        assert modes(tmp_path / name) == 0o600
        yield b""

    for _ in range(3):
        files.write(path, parts(), mode=0o600)
    assert len({*seen}) == 3
    assert all(len(name) > 20 for name in seen)


def test_a_file_that_fails_leaves_what_was_there_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("before")

    def parts() -> Iterator[bytes]:
        yield b"half"
        raise RuntimeError

    with pytest.raises(RuntimeError):
        files.write(path, parts())
    assert [each.read_text() for each in tmp_path.iterdir()] == ["before"]


def test_only_one_of_many_makes_a_file_that_is_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "token"

    def make(number: int) -> int | None:
        try:
            files.write(path, [str(number).encode()], replace=False)
        except FileExistsError:
            return None
        return number

    with ThreadPoolExecutor(8) as threads:
        (winner,) = [made for made in threads.map(make, range(8)) if made is not None]
    assert path.read_text() == str(winner)
    assert [*tmp_path.iterdir()] == [path]


@pytest.mark.parametrize("kind", ["pipe", "folder", "device", "link"])
def test_what_is_no_file_is_not_replaced(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "there"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "link":
        path.symlink_to("/dev/null")
    else:
        path = Path("/dev/null")
    before = path.lstat()
    with pytest.raises(files.NotAFileError):
        files.write(path, [b"x"])
    assert (path.lstat().st_ino, path.lstat().st_mode) == (before.st_ino, before.st_mode)


def test_own_files_are_not_opened_through_links(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("untouched")
    for name, make in (("lock", files.open_own), ("database", files.create)):
        (tmp_path / name).symlink_to(victim if make is files.open_own else tmp_path / "nowhere")
        with pytest.raises(OSError, match=r"symbolic links|File exists"):
            make(tmp_path / name)
    assert victim.read_text() == "untouched"
    assert not (tmp_path / "nowhere").exists()


def test_no_other_module_writes_files() -> None:
    found = {
        str(path.relative_to(CODE)): len(WRITES.findall(path.read_text())) for path in CODE.rglob("*.py")
    }
    assert {path: count for path, count in found.items() if count} == {
        "files.py": found["files.py"],
        **ELSEWHERE,
    }


@pytest.mark.parametrize(
    ("mode", "exposed"),
    [
        (0o700, False),
        (0o755, False),
        (0o2770, False),
        (0o2775, False),
        (0o777, True),
        (0o2777, True),
        (0o1777, False),
    ],
)
def test_a_folder_is_exposed_where_others_may_write(tmp_path: Path, mode: int, exposed: bool) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    folder.chmod(mode)
    assert bool(files.exposure(folder)) is exposed
    if exposed:
        assert f"mode {mode:04o}" in files.exposure(folder)
        assert f"chmod o-w {folder}" in files.exposure(folder)


def test_a_file_with_the_sticky_bit_is_exposed_nevertheless(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.touch()
    path.chmod(0o1602)
    assert "others may write" in files.exposure(path)
    path.chmod(0o660)
    assert files.exposure(path) == ""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_what_belongs_to_another_user_is_exposed(tmp_path: Path) -> None:
    os.chown(tmp_path, 10001, -1)
    assert f"{tmp_path} belongs to user 10001" in files.exposure(tmp_path)
    assert files.exposure(tmp_path, owner=False) == ""
    assert files.exposure(tmp_path / "absent") == ""
