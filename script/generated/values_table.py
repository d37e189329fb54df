"""Reads what the comments of the chart's values.yaml say of each value."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import yaml

_KEY = re.compile(r"(?P<indent> *)(?P<key>[A-Za-z][\w.-]*):(?: .*)?")
_COMMENT = re.compile(r" *# ?(?P<text>.*)")
_INDENT = 2


class Value(NamedTuple):
    """A value's path, its comment ("" for none) and its default."""

    path: tuple[str, ...]
    comment: str
    default: Any


def values_table(text: str) -> str:
    """Return the Markdown table of all values.

    Raises:
        ValueError: a value has no comment.
    """
    rows = "".join(
        f"| `{'.'.join(value.path)}` | `{_shown(value.default)}` | {value.comment} |\n"
        for value in leaves(text)
    )
    return f"| value | default | meaning |\n|---|---|---|\n{rows}"


def commented(text: str) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield the path of each value that has a comment, groups too, and the comment."""
    return ((value.path, value.comment) for value in _values(text) if value.comment)


def leaves(text: str) -> Iterator[Value]:
    """Yield the values that have no commented ones below them.

    Raises:
        ValueError: one has no comment.
    """
    values = [value for value in _values(text) if value.comment or not _is_group(value.default)]
    for value in values:
        below = [other for other in values if other.path[: len(value.path)] == value.path]
        if len(below) == 1:
            if not value.comment:
                raise ValueError(f"{'.'.join(value.path)} has no comment in values.yaml")
            yield value


def _values(text: str) -> Iterator[Value]:
    """Yield every key down to, and not below, a commented value that has no commented ones below it."""
    found = list(_keys(text))
    tree = yaml.safe_load(text)
    commented = {path for path, comment in found if comment}
    for path, comment in found:
        inside = any(
            path[:length] in commented and not _has_commented_below(path[:length], commented)
            for length in range(1, len(path))
        )
        if not inside:
            yield Value(path, comment, _at(tree, path))


def _has_commented_below(path: tuple[str, ...], commented: set[tuple[str, ...]]) -> bool:
    return any(len(other) > len(path) and other[: len(path)] == path for other in commented)


def _keys(text: str) -> Iterator[tuple[tuple[str, ...], str]]:
    path: tuple[str, ...] = ()
    comment: list[str] = []
    for line in text.splitlines():
        if said := _COMMENT.fullmatch(line):
            comment.append(said["text"])
        elif key := _KEY.fullmatch(line):
            path = (*path[: len(key["indent"]) // _INDENT], key["key"])
            yield path, " ".join(comment)
            comment = []
        elif not line:
            comment = []


def _at(tree: Any, path: tuple[str, ...]) -> Any:
    for key in path:
        tree = tree[key]
    return tree


def _is_group(default: Any) -> bool:
    return isinstance(default, Mapping) and bool(default)


def _shown(default: Any) -> str:
    return json.dumps(default, separators=(", ", ": "), ensure_ascii=False)
