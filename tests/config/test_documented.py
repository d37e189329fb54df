"""Every setting is in config.yaml, in the docs, and read by the program."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from ddnsd.config import EmbeddedNameserverSettings
from tests.config.table import Setting, settings

ROOT = Path(__file__).parents[2]
SETTINGS = list(settings())
EXAMPLE = (ROOT / "config.yaml").read_text()


def test_the_docs_have_exactly_these_settings() -> None:
    text = (ROOT / "docs" / "configuration.md").read_text()
    rows = [line for line in text.splitlines() if line.startswith("| `")]
    assert rows == [setting.row for setting in SETTINGS]


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.key)
def test_every_setting_has_a_meaning(setting: Setting) -> None:
    assert setting.meaning.endswith(".")


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.key)
def test_the_shipped_file_has_every_setting_with_a_comment_and_its_default(setting: Setting) -> None:
    name = "default" if setting.section is EmbeddedNameserverSettings else "bind"
    comment = comments(EXAMPLE).get(tuple(name if key == "<name>" else key for key in setting.path))
    if setting.key != "nameservers.<name>.kind":  # the first kind's comment is enough
        assert comment
    if setting.default not in ("", "required"):
        assert comment is not None
        assert f"(default: {setting.default} {setting.shape.note.unit[:-1]}".strip() in comment.replace(
            '"', ""
        )


def comments(text: str) -> dict[tuple[str, ...], str]:
    """Return what stands above each key, commented keys included, by the path that its indentation gives."""
    known = {key for setting in SETTINGS for key in setting.path} | {"bind", "default"}
    found: dict[tuple[str, ...], str] = {}
    path: list[tuple[int, str]] = []
    above = ""
    for line in text.splitlines():
        match = re.fullmatch(r"(?P<indent> *(?:# )?(?: *))(?P<key>\w+):(?: \S+)?", line.rstrip())
        if match is None or match["key"] not in known:
            above = f"{above} {line.strip(' #')}".strip() if "#" in line else ""
            continue
        depth = len(match["indent"].replace("# ", ""))
        path = [*(group for group in path if group[0] < depth), (depth, match["key"])]
        found[tuple(key for _, key in path)] = above
        above = ""
    return found


def test_every_setting_is_read_where_the_parts_are_wired() -> None:
    read = {
        name
        for layer in ("app", "cli")
        for path in (ROOT / "ddnsd" / layer).rglob("*.py")
        for name in reads(path)
    }
    choices = {
        setting.key for setting in SETTINGS if setting.path[-1] == "kind"
    }  # read here: it chooses the class
    unread = [
        setting.key for setting in SETTINGS if setting.path[-1] not in read and setting.key not in choices
    ]
    assert unread == []


def reads(path: Path) -> Iterator[str]:
    """Yield each attribute that a module reads."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Load):
            yield node.attr
