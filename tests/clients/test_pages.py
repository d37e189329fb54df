"""docs/clients: the same lines in both languages, a table of the tests that are there, good links."""

import importlib
import re
from pathlib import Path

import pytest

from tests.clients import recipes, table
from tests.clients.outcomes import SHOWN, Client, Scenario, Shown

PAGES = ("routers", "programs", "certificates")
TESTS = Path(__file__).parent


@pytest.mark.parametrize("page", PAGES)
def test_both_languages_have_the_same_to_paste(page: str) -> None:
    english, chinese = recipes.read(page), recipes.read(f"{page}.zh")
    ours = {title: recipe.blocks for title, recipe in english.items()}
    assert [recipe.blocks for recipe in chinese.values()] == list(ours.values())


@pytest.mark.parametrize("language", range(len(table.PAGES)))
def test_the_table_has_just_what_the_tests_show(language: int) -> None:
    for path in TESTS.glob("test_*.py"):
        importlib.import_module(f"tests.clients.{path.stem}")
    order = [Shown(client, scenario) for client in Client for scenario in Scenario]
    shown = [table.titles(each, language) for each in order if each in SHOWN]
    assert table.rows(table.PAGES[language]) == shown, "make it anew: script/clients-table"


@pytest.mark.parametrize("page", sorted(path.name for path in recipes.FOLDER.glob("*.md")))
def test_links_lead_somewhere(page: str) -> None:
    text = (recipes.FOLDER / page).read_text()
    for target in re.findall(r"\]\(([^)]+)\)", text):
        if not target.startswith("https://"):
            name, _, anchor = target.partition("#")
            file = (recipes.FOLDER / (name or page)).resolve()
            assert file.exists(), target
            assert not anchor or anchor in _anchors(file.read_text()), target


def _anchors(text: str) -> set[str]:
    """Return the anchors of the headings, as GitHub makes them."""
    headings = re.findall(r"(?m)^#+ (.+)$", text)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
