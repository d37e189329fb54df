"""Plain values → the typed tree: one walk that collects every mistake on its way."""

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import MISSING
from pathlib import Path as FilePath
from typing import Any, NamedTuple, TypeVar

from ddnsd.config.annotation import Bounds, Example, FromFile, Section
from ddnsd.config.mistakes import Mistake, Path, SectionError, did_you_mean, shown
from ddnsd.config.schema import Shape, default, keys, sections, shape
from ddnsd.config.secrets import holds_password, looks_pasted
from ddnsd.config.values import read_value

S = TypeVar("S", bound=Section)

_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")


class _ReportedError(Exception):
    """A value is unusable; why is among the mistakes already."""


class Walk(NamedTuple):
    """One reading of a tree.

    `folder` is where relative paths start, `origins` names the variable that a value came from;
    `mistakes`, and the `files` that settings name, are added to.
    """

    folder: FilePath
    origins: Mapping[Path, str]
    mistakes: list[Mistake]
    files: set[FilePath]

    def tree(self, section: type[S], raw: object) -> S | None:
        """Read the whole tree; None where there were mistakes."""
        with suppress(_ReportedError):
            return self._section(section, raw, ())
        return None

    def _value(self, annotation: Any, raw: object, path: Path) -> object:
        form = shape(annotation)
        if form.kind is Mapping:
            return self._mapping(form, raw, path)
        if form.kind is tuple:
            return self._list(form, raw, path)
        if found := sections(form):
            return self._section(self._variant(found, raw, path), raw, path)
        if form.note(FromFile) and isinstance(raw, str):
            self.files.add(self.folder / raw)
        try:
            return read_value(form, raw, self.folder)
        except ValueError as error:
            raise self._unreadable(form, raw, path, str(error)) from error

    def _section(self, section: type[S], raw: object, path: Path) -> S:
        known, written, before = keys(section), self._group(raw, path), len(self.mistakes)
        for key in sorted(written.keys() - known.keys()):
            # Its value is not shown: it might be a secret at a wrong place.
            self._wrong((*path, key), "", f"unknown key; {did_you_mean(key, known)}")
        values = {}
        for key, annotation in known.items():
            with suppress(_ReportedError):
                raw_value = written.get(key)
                here = (*path, key)
                values[key] = (
                    self._default(section, annotation, here)
                    if raw_value is None
                    else self._value(annotation, raw_value, here)
                )
        if len(self.mistakes) > before:
            raise _ReportedError
        return self._complete(section(**values), path)

    def _default(self, section: type[Section], annotation: Any, path: Path) -> object:
        value = default(section, path[-1])
        if value is MISSING:
            example = shape(annotation).note(Example)
            raise self._wrong(path, "", f"missing: write {example.text if example else 'it'}")
        return self.folder / value if isinstance(value, FilePath) else value

    def _complete(self, section: S, path: Path) -> S:
        try:
            return section.complete()
        except SectionError as error:
            for mistake in error.mistakes:
                self._wrong((*path, *mistake.path), mistake.value, mistake.remedy)
            raise _ReportedError from error

    def _variant(self, found: Mapping[str, type[Section]], raw: object, path: Path) -> type[Section]:
        if len(found) == 1:
            return next(iter(found.values()))
        kind = self._group(raw, path).get("kind")
        if not isinstance(kind, str) or kind not in found:
            value = "" if kind is None else shown(kind)
            raise self._wrong((*path, "kind"), value, f"write {' or '.join(found)}")
        return found[kind]

    def _mapping(self, form: Shape, raw: object, path: Path) -> Mapping[str, object]:
        written = self._group(raw, path)
        self._count(form, written, path)
        values = {}
        for name, value in written.items():
            with suppress(_ReportedError):
                if not _NAME.fullmatch(name):
                    raise self._wrong((*path, name), "", "a name is lower-case letters, digits and hyphens")
                values[name] = self._value(form.parts[1], {} if value is None else value, (*path, name))
        return values

    def _list(self, form: Shape, raw: object, path: Path) -> Sequence[object]:
        written = raw if isinstance(raw, list) else [raw]  # a single value is a list of one
        self._count(form, written, path)
        values = []
        for at, value in enumerate(written):
            with suppress(_ReportedError):
                values.append(
                    self._value(form.parts[0], value, (*path, str(at)) if len(written) > 1 else path)
                )
        return tuple(values)

    def _count(self, form: Shape, written: Mapping[str, object] | Sequence[object], path: Path) -> None:
        bounds = form.note(Bounds)
        if bounds and not bounds.least <= len(written) <= bounds.most:
            raise self._wrong(path, shown(written), f"write {bounds.least:g} to {bounds.most:g} entries")

    def _group(self, raw: object, path: Path) -> Mapping[str, object]:
        if isinstance(raw, dict):
            return raw
        raise self._wrong(path, shown(raw), "write a group of keys here, one a line, indented")

    def _unreadable(self, form: Shape, raw: object, path: Path, remedy: str) -> _ReportedError:
        from_file = form.note(FromFile)
        if from_file and isinstance(raw, str) and looks_pasted(raw):
            remedy = "not shown, as it looks like a secret itself: put it into a file, and name the file here"
            return self._wrong(path, "", remedy)
        hidden = (from_file and from_file.hidden) or (isinstance(raw, str) and holds_password(raw))
        return self._wrong(path, "" if hidden else shown(raw), remedy)

    def _wrong(self, path: Path, value: str, remedy: str) -> _ReportedError:
        origin = self.origins.get(path)
        self.mistakes.append(Mistake(path, f"{value} from {origin}".strip() if origin else value, remedy))
        return _ReportedError()
