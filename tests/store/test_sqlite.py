"""The file of the embedded store, where SQLite answers with an error, and the disk that it lies on."""

import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from ddnsd.store.embedded.sqlite import Database, DiskHealth, free_share
from ddnsd.store.interface import KeyValue, Revision, UnavailableError

FAILING: dict[str, Callable[[Database], object]] = {
    "reading": lambda database: database.page("", 10, "", False),
    "writing": lambda database: database.append(Revision(2, {"a": KeyValue(b"", 2, 2)})),
}


@pytest.mark.parametrize("act", FAILING)
def test_an_error_names_the_file_and_what_was_tried(tmp_path: Path, act: str) -> None:
    database = Database(tmp_path / "file")
    database.close()
    with pytest.raises(UnavailableError, match=f"{act}.* {tmp_path}/file: "):
        FAILING[act](database)


def test_an_error_while_it_is_opened_again_leaves_in_doubt_what_was(tmp_path: Path) -> None:
    database = Database(tmp_path / "file")
    (tmp_path / "file").unlink()
    (tmp_path / "file").mkdir()
    with pytest.raises(UnavailableError, match=r"reopening .* after an error"):
        database.settle()


def test_a_folder_that_has_gone_says_nothing_of_free_space(tmp_path: Path) -> None:
    assert free_share(tmp_path / "none") == 1.0
    assert 0 <= free_share(tmp_path) <= 1


def test_the_end_of_the_space_is_told_once_and_so_is_new_space(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    health = DiskHealth(tmp_path, low=0.05)
    for share in (0.5, 0.04, 0.03, 0.05, 0.5):
        health.note_free(share)
    assert [record.getMessage() for record in caplog.records] == ["store.space_low", "store.space_enough"]
    assert list(health.problems) == []
    health.note_free(0.01)
    (problem,) = health.problems
    assert "1.0% of its space left" in problem.text
    assert str(tmp_path) in problem.remedy
