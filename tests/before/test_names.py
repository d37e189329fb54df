"""What others rely on by its name is called as it was by the commit before: nothing of it may go missing."""

import json

import pytest

from tests.before.names import NAMES, names, texts

BEFORE: dict[str, list[str]] = json.loads(NAMES.read_text())

IN_THE_SOURCE = ("log events", "enumerated words")  # wherever they have moved: a call, a table, a Literal


@pytest.fixture(scope="module")
def today() -> dict[str, list[str]]:
    return names()


@pytest.mark.parametrize("kind", BEFORE)
def test_no_name_of_before_is_missing(today: dict[str, list[str]], kind: str) -> None:
    assert BEFORE[kind]
    known = set(today[kind]) | (texts() if kind in IN_THE_SOURCE else set())
    assert not set(BEFORE[kind]) - known


def test_every_kind_that_is_gathered_is_kept(today: dict[str, list[str]]) -> None:
    assert set(today) == set(BEFORE)
