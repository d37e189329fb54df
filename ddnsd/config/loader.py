"""YAML text as plain values: the one loader of config.yaml and of documents.

Both are strict in the same way: a key written twice, anchors, aliases and tags are refused, as they are
nearly always mistakes, and an alias can make a small text large. They differ in what an unquoted scalar
means, which their `Dialect` says.
"""

import codecs
import re
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import yaml

KeyPath = tuple[str, ...]
"""Where something is, from the root: `("listen", "public")`; an item of a list is `[1]`."""
Report = Callable[[KeyPath, str, str], None]
"""Takes what is wrong: path, value ("" where it is not to be shown) and remedy."""

_NULL = re.compile(r"|~|null|Null|NULL")
_WHOLE = re.compile(r"[-+]?(0|[1-9][0-9]{0,17})")
_DECIMAL = re.compile(r"[-+]?((0|[1-9][0-9]{0,17})(\.[0-9]{0,18})?|\.[0-9]{1,18})([eE][-+]?[0-9]{1,3})?")
_MAX_DEPTH = 32
_TEXT_TAGS = (None, "!", "tag:yaml.org,2002:str")
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # libyaml's is ten times as fast
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)  # PowerShell's `>` writes it


class YamlError(ValueError):
    """The text is not YAML, or YAML that is not read here; the message says where and what."""


class Dialect(NamedTuple):
    """How a text is read: what an unquoted scalar means.

    With `strict` there is at most one document, and each key and value is one line that can be printed.
    """

    plain: Callable[[str], object]
    strict: bool = False


def plain_setting(text: str) -> str | int | float | None:
    """Return what an unquoted scalar means in config.yaml: in the core schema of YAML 1.2 (§10.3.2).

    So `on` and `12:30` are texts and `010` is not 8; there are no truth values here.
    """
    if _NULL.fullmatch(text):
        return None
    if _WHOLE.fullmatch(text):
        return int(text)
    return float(text) if _DECIMAL.fullmatch(text) else text


SETTINGS = Dialect(plain_setting, strict=True)


def dotted(path: KeyPath) -> str:
    """Return a path as messages show it: `spec.families[1]`."""
    return ".".join(path).replace(".[", "[")


def load_yaml(content: str | bytes, dialect: Dialect, report: Report) -> list[Any]:
    """Return the plain values of all documents of a stream; what is wrong below the syntax is reported.

    Raises:
        YamlError: not YAML.
    """
    try:
        text = content if isinstance(content, str) else _decoded(content)
        return list(_Builder(text, dialect, report).documents())
    except UnicodeDecodeError as error:
        raise YamlError(f"not UTF-8: {error.reason} at byte {error.start}") from error
    except yaml.YAMLError as error:
        raise YamlError(_where(error, text)) from error
    except (ValueError, OverflowError) as error:  # half surrogates; PyYAML's own scanner: \U escapes, %YAML
        raise YamlError(f"not YAML: {error}") from error


def _decoded(content: bytes) -> str:
    return content.decode("utf-16" if content.startswith(_UTF_16) else "utf-8-sig")


class _Builder:
    """Makes values out of the parser's events, so that nothing is expanded before it is seen."""

    def __init__(self, text: str, dialect: Dialect, report: Report) -> None:
        self._events = yaml.parse(text, Loader=_LOADER)
        self._plain, self._strict = dialect
        self._report = report

    def documents(self) -> Iterator[Any]:
        starts = (event for event in self._events if isinstance(event, yaml.DocumentStartEvent))
        for at, event in enumerate(starts):
            if at and self._strict:
                raise _refusal(event, "a second document is not read here: remove it")
            yield self._value(next(self._events), ())

    def _value(self, event: yaml.Event, path: KeyPath) -> Any:
        if isinstance(event, yaml.ScalarEvent):
            return self._scalar(event, path)
        _refuse_reference(event)
        assert isinstance(event, yaml.CollectionStartEvent)
        if event.tag not in (None, "!"):
            raise _refusal(event, "tags are not read here: remove it")
        if len(path) == _MAX_DEPTH:
            raise _refusal(event, f"more than {_MAX_DEPTH} levels deep")
        return self._mapping(path) if isinstance(event, yaml.MappingStartEvent) else self._list(path)

    def _scalar(self, event: yaml.ScalarEvent, path: KeyPath) -> object:
        text = _text(event)
        if self._strict and not text.isprintable():
            self._report(path, "", f"line {_line(event)}: control characters in the value")
            return None
        return self._plain(text) if event.tag is None and event.implicit[0] else text

    def _list(self, path: KeyPath) -> list[Any]:
        values: list[Any] = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            values.append(self._value(event, (*path, f"[{len(values)}]")))
        return values

    def _mapping(self, path: KeyPath) -> dict[str, Any]:
        values: dict[str, Any] = {}
        lines: dict[str, int] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            key, line = self._key(event, path), _line(event)
            value = self._value(next(self._events), (*path, key or ""))
            if key is None:
                self._report(path, "", f"line {line}: a key is a plain word")
            elif key in lines:
                self._report((*path, key), "", f"written twice, in lines {lines[key]} and {line}: keep one")
            else:
                lines[key], values[key] = line, value
        return values

    def _key(self, event: yaml.Event, path: KeyPath) -> str | None:
        """Return a key's text, None of what cannot be a key."""
        if not isinstance(event, yaml.ScalarEvent):
            self._value(event, path)
            return None
        text = _text(event)
        return text if text.isprintable() or not self._strict else None


def _text(event: yaml.ScalarEvent) -> str:
    _refuse_reference(event)
    if event.tag not in _TEXT_TAGS:
        raise _refusal(event, "tags are not read here: remove it")
    return event.value


def _refuse_reference(event: yaml.Event) -> None:
    if getattr(event, "anchor", None) is not None:  # an alias has its anchor's
        raise _refusal(event, "anchors and aliases are not read here: write the value out")


def _line(event: yaml.Event) -> int:
    return event.start_mark.line + 1 if event.start_mark else 0  # every parser gives a mark


def _refusal(event: yaml.Event, text: str) -> yaml.MarkedYAMLError:
    mark: Any = event.start_mark  # types-PyYAML gives it the C parser's type too
    return yaml.MarkedYAMLError(problem=text, problem_mark=mark)


def _where(error: yaml.YAMLError, text: str) -> str:
    """Say what and where, without PyYAML's excerpt of the file: it could show a secret."""
    mark: Any = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or getattr(error, "reason", None) or "not YAML"
    if not mark:
        return str(problem)
    return f"line {mark.line + 1}, column {mark.column + 1}: {problem}{_remedy(error, text, mark.index)}"


def _remedy(error: yaml.YAMLError, text: str, at: int) -> str:
    """Return what to do about two common mistakes; libyaml's words are not enough to know them by."""
    if text[at : at + 1] == "\t":
        return ": indent with spaces, not tabs"
    if getattr(error, "context", None) == "while scanning an alias":
        return ": quote what begins with an asterisk; a Host has no asterisk in its name, but wildcard: true"
    return ""
