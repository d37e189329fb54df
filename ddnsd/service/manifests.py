"""Files of documents: a YAML stream as plain JSON values, and back.

YAML 1.1 as kubectl reads it, so that a file means the same on both ways in; but an instant stays
text, and what is nearly always a mistake is refused: a key written twice, and aliases.
"""

import re
from collections.abc import Iterable
from typing import Any, ClassVar

import msgspec
import yaml


class ManifestError(ValueError):
    """The text is no YAML stream of plain values; the message says where."""


_SafeLoader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml's is ten times as fast


class _Loader(_SafeLoader):  # type: ignore[misc, valid-type]
    yaml_implicit_resolvers: ClassVar = {
        first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith(":timestamp")]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_document(self, node: yaml.Node) -> Any:
        seen: set[int] = set()
        waiting = [node]
        while waiting:
            node_now = waiting.pop()
            if id(node_now) in seen:
                raise _refusal(node_now.start_mark, "aliases are not read here: write the value out")
            seen.add(id(node_now))
            waiting += _children(node_now)
        return super().construct_document(node)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key, _ in node.value:
            if key.value in seen:
                raise _refusal(key.start_mark, f"{str(key.value)[:60]!r} is written twice: keep one")
            seen.add(key.value)
        values: dict[Any, Any] = super().construct_mapping(node, deep)
        return values


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, _data: object) -> bool:
        return True


# What PyYAML leaves unquoted, but Go's YAML (kubectl) takes for a truth value or a number.
_Dumper.add_implicit_resolver("!go-bool", re.compile(r"[yYnN]$"), list("yYnN"))
_Dumper.add_implicit_resolver(
    "!go-number",
    re.compile(r"[-+]?(\.?[0-9][0-9_]*(\.[0-9_]*)?([eE][-+]?[0-9]+)?|0[oO][0-7_]+)$"),
    list("-+.0123456789"),
)


def read_manifest(text: str | bytes) -> list[Any]:
    """Return the documents of a YAML (or JSON) stream as plain JSON values; empty ones are left out.

    Raises:
        ManifestError: not YAML, or a value that JSON does not have.
    """
    try:
        documents = [document for document in yaml.load_all(text, _Loader) if document is not None]
        return flatten(msgspec.json.decode(msgspec.json.encode(documents)))
    except yaml.YAMLError as error:
        raise ManifestError(_where(error, text)) from error
    except RecursionError as error:
        raise ManifestError("nested too deeply") from error
    except (ValueError, TypeError, OverflowError) as error:  # \\U escapes, half surrogates, !!binary
        raise ManifestError(f"not plain YAML: {error}") from error


def flatten(documents: Iterable[Any]) -> list[Any]:
    """Return the documents with every List replaced by its items."""
    flat: list[Any] = []
    for document in documents:
        items = document.get("items") if isinstance(document, dict) else None
        if isinstance(items, list) and str(document.get("kind")).endswith("List"):
            flat += flatten(items)
        else:
            flat.append(document)
    return flat


def write_manifest(documents: list[Any]) -> str:
    """Return the documents as a YAML stream; texts that YAML 1.1 would misread are quoted.

    Where a text has characters that do not show (`telemetry.printable`), all that is not ASCII is escaped.
    """
    text = _dumped(documents, allow_unicode=True)
    return text if all(map(str.isprintable, text.split("\n"))) else _dumped(documents, allow_unicode=False)


def _dumped(documents: list[Any], *, allow_unicode: bool) -> str:
    options: dict[str, Any] = {"sort_keys": False, "allow_unicode": allow_unicode, "width": 1000}
    text: str = yaml.dump_all(documents, Dumper=_Dumper, **options)
    return text


def _children(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return [part for pair in node.value for part in pair]
    return list(node.value) if isinstance(node, yaml.SequenceNode) else []


def _refusal(mark: yaml.Mark, text: str) -> yaml.MarkedYAMLError:
    return yaml.MarkedYAMLError(problem=text, problem_mark=mark)


def _where(error: yaml.YAMLError, text: str | bytes) -> str:
    """Say what and where, without PyYAML's excerpt of the file: it could show a secret."""
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or getattr(error, "reason", None) or "not YAML"
    if not mark:
        return str(problem)
    return f"line {mark.line + 1}, column {mark.column + 1}: {problem}{_remedy(error, text)}"


def _remedy(error: yaml.YAMLError, text: str | bytes) -> str:
    """Return what to do about two common mistakes; libyaml's words are not enough to know them by."""
    mark: Any = getattr(error, "problem_mark", None)
    whole = text if isinstance(text, str) else text.decode(errors="replace")
    if whole.removeprefix("\ufeff")[mark.index : mark.index + 1] == "\t":
        return ": indent with spaces, not tabs"
    if getattr(error, "context", None) == "while scanning an alias":
        return ": quote what begins with an asterisk; a Host has no asterisk in its name, but wildcard: true"
    return ""
