"""The one strict reader: plain values → the structs that declare them, or all that is wrong with them.

The structs are msgspec's: config.yaml's settings, and the specs of documents. `msgspec.convert` would stop at
the first mistake, so a walk over the declarations collects them, and msgspec converts the single values.
"""

import datetime
import difflib
import math
import re
import types
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple, Self, TypeVar, Union, get_args, get_origin

import msgspec

from ddnsd.config.loader import KeyPath, Report
from ddnsd.config.secrets import holds_password, looks_pasted
from ddnsd.model.note import Note, Parse

S = TypeVar("S", bound=msgspec.Struct)

_SHOWN = 60  # characters of what nobody has checked
_MOST = 20  # wrong items of one list that are named
_NO_NOTE = Note()
_NOTHING: Mapping[Any, Any] = {}
_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
# What to write for a value of these types, which need no bounds.
_REMEDIES: Mapping[Any, str] = {
    bool: "write true or false",
    datetime.datetime: 'write an instant such as "2026-12-01T00:00:00Z"',
}


class Problem(msgspec.Struct, frozen=True, omit_defaults=True):
    """One thing to correct. No message holds a secret, not even a mistaken one."""

    field: str  # path in the document or the configuration: `spec.families[1]`; "" for the whole
    message: str
    document: int = 0  # the document's place in the call, from 1; 0: there is but one
    resource: str = ""  # "Host blog.example.com", as far as it could be read
    other: int = 0  # the place of the other document that the message speaks of; 0: of none

    def of(self, document: int, resource: str) -> "Problem":
        """Return the problem as one of the document at this place."""
        return Problem(self.field, self.message, document, resource)

    def __str__(self) -> str:
        place = f"document {self.document}" if self.document else ""
        if place and self.resource:
            place += f" ({self.resource})"
        return ": ".join(part for part in (place, self.field, self.message) if part)


class SettingProblem(Problem, frozen=True):
    """A problem of a setting: the log has `value`, "" where it is not to be shown, and `remedy` apart."""

    value: str = ""
    remedy: str = ""


def setting_problem(field: str, value: str, remedy: str) -> SettingProblem:
    """Return what is wrong with a setting; in a `SectionError` the field is relative to its section."""
    return SettingProblem(field, message(value, remedy), value=value, remedy=remedy)


def message(value: str, remedy: str) -> str:
    """Return what is wrong, with the value where there is one to be shown."""
    return f"{value}: {remedy}" if value else remedy


class ConfigError(Exception):
    """The configuration has errors; its text lists them, one a line, and holds no secret."""

    def __init__(self, source: str, problems: tuple[SettingProblem, ...]) -> None:
        self.source = source
        self.problems = problems
        count = "1 error" if len(problems) == 1 else f"{len(problems)} errors"
        super().__init__("\n  ".join((f"{count} in {source}:", *map(str, problems))))


class SectionError(ValueError):
    """Settings that are right one by one do not fit together."""

    def __init__(self, *problems: SettingProblem) -> None:
        self.problems = problems
        super().__init__("; ".join(map(str, problems)))


class Section(msgspec.Struct, frozen=True):
    """A group of settings: each field of a subclass is one key."""

    def complete(self) -> Self:
        """Return the section with what its other settings imply filled in.

        Raises:
            SectionError: settings that are right one by one do not fit together.
        """
        return self


def shown(value: object) -> str:
    """Return a value as messages show it: on one line, not too long, JSON's words for JSON's values."""
    if isinstance(value, dict):
        return "a group of fields"
    if isinstance(value, list):
        return "a list"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return the remedy for an unknown word: the nearest known one, or all of them."""
    names = sorted(known)
    nearest = difflib.get_close_matches(word, names, n=1)
    return f"did you mean {nearest[0]}?" if nearest else f"known here: {', '.join(names) or 'none'}"


class Shape(NamedTuple):
    """An annotation, taken apart.

    `kind` is its type or the origin of it (`tuple`, `Mapping`, `Literal`, `Union` of sections); `item` is the
    shape of what a list or mapping holds, `words` are those of a `Literal`, and `structs` what the value can
    be, by the word in its key `kind`. `least` and `most` bound a number itself, else the count of entries.
    All of a text has to match `pattern`, if there is one.
    """

    kind: Any
    annotation: Any
    note: Note
    pattern: str = ""
    is_optional: bool = False
    item: "Shape | None" = None
    words: tuple[str, ...] = ()
    structs: Mapping[str, type[msgspec.Struct]] = _NOTHING
    least: float = -math.inf
    most: float = math.inf


@cache
def shape(annotation: Any, note: Note = _NO_NOTE) -> Shape:
    """Take an annotation apart; what it says counts more than the note of the list that it is an item of."""
    whole, metas = annotation, list[msgspec.Meta]()
    if get_origin(annotation) is Annotated:
        annotation, *added = get_args(annotation)
        metas = [each for each in added if isinstance(each, msgspec.Meta)]
        for each in added:
            note = each.over(note) if isinstance(each, Note) else note
    parts = get_args(annotation)
    origin = get_origin(annotation)
    if origin in (Union, types.UnionType):
        present = [part for part in parts if part is not types.NoneType]
        if len(present) == 1:
            return shape(present[0], note)._replace(annotation=whole, is_optional=True)
        return Shape(Union, whole, note, structs=_by_kind(present))
    pattern = next((meta.pattern for meta in metas if meta.pattern), "")
    made = Shape(origin or annotation, whole, note, pattern, least=_least(metas), most=_most(metas))
    if origin is Literal:
        return made._replace(words=parts)
    if origin is tuple:
        return made._replace(item=shape(parts[0], Note(remedy=note.remedy, hidden=note.hidden)))
    if origin is not None:
        return made._replace(kind=Mapping, item=shape(parts[1]))
    return made._replace(structs={"": annotation}) if _is_struct(annotation) else made


def _is_struct(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, msgspec.Struct)


def _by_kind(choices: Iterable[Any]) -> Mapping[str, type[msgspec.Struct]]:
    """Return the structs among these types by the word in their key `kind`."""
    return {shape(fields(each)["kind"].type).words[0]: each for each in choices if _is_struct(each)}


def _least(metas: Iterable[msgspec.Meta]) -> float:
    found = [bound for meta in metas for bound in (meta.ge, meta.min_length) if bound is not None]
    return found[-1] if found else -math.inf


def _most(metas: Iterable[msgspec.Meta]) -> float:
    found = [bound for meta in metas for bound in (meta.le, meta.max_length) if bound is not None]
    return found[-1] if found else math.inf


@cache
def fields(struct: type[msgspec.Struct]) -> Mapping[str, msgspec.structs.FieldInfo]:
    """Return a struct's fields by the names that users write, in their order."""
    return {field.encode_name: field for field in msgspec.structs.fields(struct)}


def default(field: msgspec.structs.FieldInfo) -> object:
    """Return a field's default, or `msgspec.NODEFAULT` where it has to be written."""
    return field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory()


def remedy(form: Shape) -> str:
    """Return what to write where a value of this shape belongs."""
    if form.note.remedy:
        return form.note.remedy
    if form.words:
        *others, last = form.words
        return f"write {', '.join(others)} or {last}" if others else f"write {last}"
    if form.kind in (int, float):
        kind = "a whole number" if form.kind is int else "a number"
        unit = f" of {form.note.unit}" if form.note.unit else ""
        return f"write {kind}{unit} from {form.least:g} to {form.most:.10g}"
    if form.kind is tuple or form.kind is Mapping:
        return f"write {form.least:g} to {form.most:g} entries" if form.least > 0 else "write a list"
    what = "the path of a file" if form.note.read else "a path" if form.kind is Path else "a text"
    return _REMEDIES.get(form.kind, f"write {what}, in quotes if it looks like a number")


class _ReportedError(Exception):
    """A value is unusable; why was reported already."""


class Reader:
    """Reads plain values into structs, and reports what is wrong with them.

    With a `folder`, where relative paths start, they are a configuration: null means that a key is absent,
    a single value is a list of one, and an empty text is none; `files` gets those that settings name.
    Without one they are a document, which is taken at its word. `unknown` gives the remedy for a key that is
    not among those known; `parsers` are those that notes name.
    """

    def __init__(
        self,
        report: Report,
        folder: Path | None = None,
        unknown: Callable[[str, Iterable[str]], str] = did_you_mean,
        parsers: Mapping[str, Parse] = _NOTHING,
        files: set[Path] | None = None,
    ) -> None:
        self._files = set() if files is None else files
        self._report = report
        self._count = 0  # of what was reported
        self._folder = folder
        self._unknown = unknown
        self._parsers = parsers
        self._word = "field" if folder is None else "key"

    def read(self, struct: type[S], raw: object, path: KeyPath = ()) -> S | None:
        """Return what the values say; None where something is wrong, which was reported."""
        with suppress(_ReportedError):
            return self._struct(struct, raw, path)
        return None

    def _value(self, form: Shape, raw: object, path: KeyPath) -> object:
        if raw is None and form.is_optional:
            return None
        if form.kind is Mapping:
            return self._mapping(form, raw, path)
        if form.kind is tuple:
            return self._list(form, raw, path)
        if form.structs:
            return self._struct(self._variant(form.structs, raw, path), raw, path)
        try:
            return self._single(form, raw)
        except (ValueError, OverflowError) as error:
            raise self._unreadable(form, raw, path, error) from error

    def _struct(self, struct: type[S], raw: object, path: KeyPath) -> S:
        known, written, before = fields(struct), self._group(raw, path), self._count
        for key in sorted(written.keys() - known.keys()):
            # Its value is not shown: it might be a secret at a wrong place.
            word = key[:_SHOWN]
            self._wrong((*path, word), "", f"unknown {self._word}; {self._unknown(word, known)}")
        values = {}
        for key, field in known.items():
            with suppress(_ReportedError):
                values[field.name] = self._field(field, written, (*path, key))
        if self._count > before:
            raise _ReportedError
        made = struct(**values)
        return self._complete(made, path) if isinstance(made, Section) else made

    def _field(
        self, field: msgspec.structs.FieldInfo, written: Mapping[str, object], path: KeyPath
    ) -> object:
        raw, form = written.get(path[-1], msgspec.UNSET), shape(field.type)
        if raw is not msgspec.UNSET and not (raw is None and self._folder):
            return self._value(form, raw, path)
        value = default(field)
        if value is msgspec.NODEFAULT:
            raise self._wrong(path, "", f"missing: {form.note.absent or remedy(form)}")
        return self._folder / value if self._folder and isinstance(value, Path) else value

    def _complete(self, section: S, path: KeyPath) -> S:
        assert isinstance(section, Section)
        try:
            return section.complete()
        except SectionError as error:
            for each in error.problems:
                self._wrong((*path, *filter(None, (each.field,))), each.value, each.remedy)
            raise _ReportedError from error

    def _variant(
        self, found: Mapping[str, type[msgspec.Struct]], raw: object, path: KeyPath
    ) -> type[msgspec.Struct]:
        if len(found) == 1:
            return next(iter(found.values()))
        kind = self._group(raw, path).get("kind")
        if not isinstance(kind, str) or kind not in found:
            value = "" if kind is None else shown(kind)
            raise self._wrong((*path, "kind"), value, f"write {' or '.join(found)}")
        return found[kind]

    def _mapping(self, form: Shape, raw: object, path: KeyPath) -> Mapping[str, object]:
        assert form.item
        written = self._group(raw, path)
        self._check_count(form, written, path)
        values = {}
        for name, value in written.items():
            with suppress(_ReportedError):
                if not _NAME.fullmatch(name):
                    raise self._wrong((*path, name), "", "a name is lower-case letters, digits and hyphens")
                values[name] = self._value(form.item, {} if value is None else value, (*path, name))
        return values

    def _list(self, form: Shape, raw: object, path: KeyPath) -> object:
        assert form.item
        if not isinstance(raw, list) and self._folder is None:
            raise self._wrong(path, shown(raw), remedy(form))
        written = raw if isinstance(raw, list) else [raw]
        self._check_count(form, written, path)
        values: list[object] = []
        before = self._count
        for at, value in enumerate(written):
            here = (*path, f"[{at}]") if len(written) > 1 or self._folder is None else path
            with suppress(_ReportedError):
                values.append(self._value(form.item, value, here))
            if self._count - before == _MOST:
                break
        if self._count > before:
            raise _ReportedError
        try:
            return form.note.finish(tuple(values)) if form.note.finish else tuple(values)
        except ValueError as error:
            raise self._wrong(path, "", str(error)) from error

    def _check_count(self, form: Shape, written: Mapping[str, object] | list[object], path: KeyPath) -> None:
        if not form.least <= len(written) <= form.most:
            raise self._wrong(path, shown(written), remedy(form))

    def _single(self, form: Shape, raw: object) -> object:
        """Return a single value.

        Raises:
            ValueError: it is none; the message is the remedy, unless it is empty or msgspec's.
            OverflowError: an instant too near to the end of time.
        """
        note = form.note
        if self._folder and form.kind is bool and raw in ("true", "false"):
            return raw == "true"  # YAML 1.2 as config.yaml has it knows no truth values, nor do variables
        if self._folder and raw == "":
            raise ValueError
        if not (note.read or note.parse or form.kind is Path):
            value = msgspec.convert(raw, form.annotation)
            if form.pattern and isinstance(value, str) and not re.fullmatch(form.pattern, value):
                raise ValueError  # msgspec searches, and Python's `$` lets a last end of line through
            return value.astimezone(datetime.UTC) if isinstance(value, datetime.datetime) else value
        text = msgspec.convert(raw, str)
        if note.parse:
            return (self._parsers[note.parse] if isinstance(note.parse, str) else note.parse)(text)
        path = (self._folder or Path()) / text
        if note.read is None:
            return path
        self._files.add(path)
        return note.read(path)

    def _group(self, raw: object, path: KeyPath) -> Mapping[str, object]:
        if isinstance(raw, dict):
            return raw
        how = ", one a line, indented" if self._folder else ""
        raise self._wrong(path, shown(raw), f"write a group of {self._word}s here{how}")

    def _unreadable(self, form: Shape, raw: object, path: KeyPath, error: Exception) -> _ReportedError:
        said = "" if isinstance(error, msgspec.ValidationError | OverflowError) else str(error)
        if form.note.read and isinstance(raw, str) and looks_pasted(raw):
            words = "not shown, as it looks like a secret itself: put it into a file, and name the file here"
            return self._wrong(path, "", words)
        is_hidden = form.note.hidden or (isinstance(raw, str) and holds_password(raw))
        return self._wrong(path, "" if is_hidden else shown(raw), said or remedy(form))

    def _wrong(self, path: KeyPath, value: str, words: str) -> _ReportedError:
        self._count += 1
        self._report(path, value, words)
        return _ReportedError()
