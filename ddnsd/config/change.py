"""From the settings in force to those that were read anew: what may change while ddnsd runs, does.

Which may not, says their mark in the tree (`annotation.RESTART`), and nothing else.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, NamedTuple, TypeVar

from ddnsd.config.annotation import Restart, Section
from ddnsd.config.mistakes import Path
from ddnsd.config.schema import keys, sections, shape
from ddnsd.config.tree import Settings

S = TypeVar("S", bound=Section)


class Change(NamedTuple):
    """What follows from new settings: those to be in force, and which keys differ from those before.

    `waiting` are keys that keep their value until a restart; a key is written with dots.
    """

    settings: Settings
    applied: tuple[str, ...]
    waiting: tuple[str, ...]


def change(old: Settings, new: Settings) -> Change:
    """Return what follows from new settings, where the old ones are in force."""
    applied: list[str] = []
    waiting: list[str] = []
    settings = _Comparison(applied, waiting).section(old, new, ())
    return Change(settings, tuple(applied), tuple(waiting))


def needing_restart(section: type[Section] = Settings, path: Path = ()) -> Iterator[str]:
    """Yield each key that takes effect only when ddnsd starts; a nameserver's name is `<name>`."""
    for key, annotation in keys(section).items():
        form, here = shape(annotation), (*path, key)
        if form.note(Restart):
            yield ".".join(here)
        if form.kind is Mapping:
            form, here = shape(form.parts[1]), (*here, "<name>")
        for below in sections(form).values():
            yield from needing_restart(below, here)


class _Comparison(NamedTuple):
    """Walks both trees at once, and notes the keys that differ."""

    applied: list[str]
    waiting: list[str]

    def section(self, old: S, new: S, path: Path) -> S:
        merged = {
            key: self._value(annotation, getattr(old, key), getattr(new, key), (*path, key))
            for key, annotation in keys(type(new)).items()
        }
        return replace(new, **merged)

    def _value(self, annotation: Any, old: Any, new: Any, path: Path) -> Any:
        form = shape(annotation)
        if old == new:
            return old
        if form.note(Restart):
            return self._keep(old, path)
        if form.kind is Mapping:
            names = {**old, **new}
            merged = {name: self._part(old.get(name), new.get(name), (*path, name)) for name in names}
            return {name: value for name, value in merged.items() if value is not None}
        return self._part(old, new, path)

    def _part(self, old: Any, new: Any, path: Path) -> Any:
        """Merge what may be absent, or another section than before: it comes and goes as a whole."""
        if old == new:
            return old
        if isinstance(old, Section) and type(old) is type(new):
            return self.section(old, new, path)
        if any(isinstance(each, Section) and any(needing_restart(type(each))) for each in (old, new)):
            return self._keep(old, path)
        self.applied.append(".".join(path))
        return new

    def _keep(self, old: Any, path: Path) -> Any:
        self.waiting.append(".".join(path))
        return old
