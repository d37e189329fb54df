"""docs/architecture.md and its drawing show the tree as it is."""

import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

draw_architecture: Any = import_module("script.draw_architecture")  # mypy knows scripts by another name


ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "architecture.md"


_REMAKE = "imports or modules have changed: run script/draw-architecture, commit docs/architecture.svg"


def test_the_drawing_is_fresh() -> None:
    fresh = draw_architecture.draw() == draw_architecture.TARGET.read_text()
    assert fresh, _REMAKE


def test_an_arrow_that_follows_from_others_is_left_out() -> None:
    edges = {("cli", "app"), ("app", "web"), ("cli", "web"), ("web", "model"), ("cli", "model")}
    assert draw_architecture.reduced(edges) == [("app", "web"), ("cli", "app"), ("web", "model")]


def test_every_import_between_packages_leads_down_the_drawing() -> None:
    row = {name: number for number, names in enumerate(draw_architecture.layers()) for name in names}
    found = draw_architecture.imports(row)
    assert ("service", "store") in found
    assert not [edge for edge in found if row[edge[0]] >= row[edge[1]]]


def test_the_page_names_modules_that_exist() -> None:
    named = set(modules(PAGE.read_text()))
    assert "store/group_commit" in named
    assert {name for name in named if not exists(name)} == set()


def modules(text: str) -> Iterator[str]:
    """Yield the modules that a page names, as in `web/routes`, `leader/{claim,zone}`, `model/names.ours`."""
    packages = "|".join(name for names in draw_architecture.layers() for name in names)
    for package, names in re.findall(rf"(?<![\w/])({packages})/(\{{[\w,]+\}}|[a-z][\w/]*)", text):
        yield from (f"{package}/{name}" for name in names.strip("{}").rstrip("/").split(","))


def exists(name: str) -> bool:
    return any((ROOT / "ddnsd" / path).exists() for path in (name, f"{name}.py"))
