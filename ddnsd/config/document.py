"""config.yaml's text as plain values: a small, strict part of YAML 1.2.

Scalars follow the core schema of YAML 1.2 (§10.3.2), so `on` and `12:30` are texts and `010` is not 8.
Repeated keys, anchors, tags and several documents are refused: in a configuration they are mistakes.
"""

import re
from collections.abc import Iterator
from typing import Any

import yaml

from ddnsd.config.mistakes import Mistake, Path

Raw = dict[str, "Raw"] | list["Raw"] | str | int | float | None

MAX_BYTES = 1_048_576
_MAX_DEPTH = 16
_NULL = re.compile(r"|~|null|Null|NULL")
_WHOLE = re.compile(r"[-+]?(0|[1-9][0-9]{0,17})")
_DECIMAL = re.compile(r"[-+]?((0|[1-9][0-9]{0,17})(\.[0-9]{0,18})?|\.[0-9]{1,18})([eE][-+]?[0-9]{1,3})?")


class DocumentError(ValueError):
    """The text is no YAML that is read here; the message says where and what."""


class _Composer(yaml.SafeLoader):
    """Composes nodes, never values, of bounded depth and without references."""

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        event: yaml.Event = self.peek_event()  # type: ignore[no-untyped-call]
        if getattr(event, "anchor", None) is not None:  # an alias has its anchor's
            raise _refusal(event, "anchors and aliases are not read here: write the value out")
        if getattr(event, "tag", None) is not None:
            raise _refusal(event, "tags are not read here: remove it")
        if self.depth == _MAX_DEPTH:
            raise _refusal(event, f"more than {_MAX_DEPTH} levels deep")
        self.depth += 1
        node: yaml.Node | None = super().compose_node(parent, index)
        self.depth -= 1
        return node


def parse_document(content: bytes, mistakes: list[Mistake]) -> Raw:
    """Return the document's plain values; what is wrong below the syntax is added to `mistakes`.

    Raises:
        DocumentError: not YAML, or too large.
    """
    if len(content) > MAX_BYTES:
        raise DocumentError(f"larger than {MAX_BYTES} bytes")
    try:
        node = _compose(content.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise DocumentError(f"not UTF-8: {error.reason} at byte {error.start}") from error
    except yaml.YAMLError as error:
        raise DocumentError(_where(error)) from error
    except (ValueError, OverflowError) as error:  # PyYAML's scanner lets these out: \U escapes, %YAML
        raise DocumentError(f"not YAML: {error}") from error
    return None if node is None else _value(node, (), mistakes)


def _compose(text: str) -> yaml.Node | None:
    composer = _Composer(text)
    try:
        node: yaml.Node | None = composer.get_single_node()
    finally:
        composer.dispose()
    return node


def _refusal(event: yaml.Event, text: str) -> yaml.MarkedYAMLError:
    mark: Any = event.start_mark  # types-PyYAML gives it the C parser's type too
    return yaml.MarkedYAMLError(problem=text, problem_mark=mark)


def _where(error: yaml.YAMLError) -> str:
    """Say what and where, without PyYAML's excerpt of the file: it could show anything."""
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or getattr(error, "reason", None) or "not YAML"
    if "'\\t'" in str(problem):
        problem = f"{problem}: indent with spaces, not tabs"
    return f"line {mark.line + 1}, column {mark.column + 1}: {problem}" if mark else str(problem)


def _value(node: yaml.Node, path: Path, mistakes: list[Mistake]) -> Raw:
    if isinstance(node, yaml.MappingNode):
        return dict(_items(node, path, mistakes))
    if isinstance(node, yaml.SequenceNode):
        return [_value(item, (*path, str(at)), mistakes) for at, item in enumerate(node.value)]
    assert isinstance(node, yaml.ScalarNode)
    return _scalar(node, path, mistakes)


def _items(node: yaml.MappingNode, path: Path, mistakes: list[Mistake]) -> Iterator[tuple[str, Raw]]:
    seen: dict[str, int] = {}
    for key_node, value_node in node.value:
        line = key_node.start_mark.line + 1
        if not isinstance(key_node, yaml.ScalarNode) or not key_node.value.isprintable():
            mistakes.append(Mistake(path, "", f"line {line}: a key is a plain word"))
            continue
        key = key_node.value
        if key in seen:
            remedy = f"written twice, in lines {seen[key]} and {line}: keep one"
            mistakes.append(Mistake((*path, key), "", remedy))
            continue
        seen[key] = line
        yield key, _value(value_node, (*path, key), mistakes)


def _scalar(node: yaml.ScalarNode, path: Path, mistakes: list[Mistake]) -> Raw:
    text: str = node.value
    if not text.isprintable():
        mistakes.append(
            Mistake(path, "", f"line {node.start_mark.line + 1}: control characters in the value")
        )
        return None
    return text if node.style else plain_value(text)


def plain_value(text: str) -> str | int | float | None:
    """Return what an unquoted scalar means in YAML 1.2's core schema (there are no truth values here)."""
    if _NULL.fullmatch(text):
        return None
    if _WHOLE.fullmatch(text):
        return int(text)
    return float(text) if _DECIMAL.fullmatch(text) else text
