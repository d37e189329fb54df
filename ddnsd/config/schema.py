"""The tree's types, taken apart: what reading a value needs to know of its annotation."""

import types
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, fields
from functools import cache
from typing import Annotated, Any, Literal, NamedTuple, TypeVar, Union, get_args, get_origin, get_type_hints

from ddnsd.config.annotation import Section
from ddnsd.config.mistakes import Path

T = TypeVar("T")


class Shape(NamedTuple):
    """An annotation: its type or the origin of it (`tuple`, `Mapping`, `Literal`), its parts, its notes."""

    kind: Any
    parts: tuple[Any, ...]
    notes: tuple[object, ...]

    def note(self, kind: type[T]) -> T | None:
        """Return what `Annotated` adds of this type, if anything."""
        return next((note for note in self.notes if isinstance(note, kind)), None)


@cache
def shape(annotation: Any) -> Shape:
    """Take an annotation apart; that a value may be absent is the business of its default."""
    notes: tuple[object, ...] = ()
    if get_origin(annotation) is Annotated:
        annotation, *added = get_args(annotation)
        notes = tuple(added)
    parts = tuple(part for part in get_args(annotation) if part is not types.NoneType)
    origin = get_origin(annotation)
    if origin not in (Union, types.UnionType):
        return Shape(origin or annotation, parts, notes)
    return Shape(Union, parts, notes) if len(parts) > 1 else Shape(*shape(parts[0])[:2], notes)


def keys(section: type[Section]) -> Mapping[str, Any]:
    """Return a section's keys with their annotations, in their order."""
    hints = get_type_hints(section, include_extras=True)
    return {field.name: hints[field.name] for field in fields(section)}


def default(section: type[Section], key: str) -> object:
    """Return a key's default, or `dataclasses.MISSING` where it has to be written."""
    field = next(field for field in fields(section) if field.name == key)
    return field.default if field.default_factory is MISSING else field.default_factory()


def sections(form: Shape) -> Mapping[str, type[Section]]:
    """Return the sections that a value of this shape can be, by the word in their key `kind`."""
    found = form.parts if form.kind is Union else (form.kind,)
    return {_word(part): part for part in found if isinstance(part, type) and issubclass(part, Section)}


def listed(form: Shape) -> Mapping[str, type[Section]]:
    """Return the sections that a value of this shape is a list of."""
    return sections(shape(form.parts[0])) if form.kind is tuple else {}


def leaves(annotation: Any, path: Path, raw: object) -> Iterator[tuple[Path, Shape]]:
    """Yield every single value that can be set at or below a path.

    The keys of a mapping are the operator's, so they come from what is written (`raw`). Lists of sections
    are no single values.
    """
    form = shape(annotation)
    written = raw if isinstance(raw, dict) else {}
    if form.kind is Mapping:
        for name, value in written.items():
            yield from leaves(form.parts[1], (*path, name), value)
    elif found := sections(form):
        for section in found.values():
            for key, below in keys(section).items():
                yield from leaves(below, (*path, key), written.get(key))
    elif not listed(form):
        yield path, form


def _word(section: type[Section]) -> str:
    kind = shape(keys(section).get("kind"))
    return str(kind.parts[0]) if kind.kind is Literal else ""
