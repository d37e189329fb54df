"""Compares settings: those in force with new ones, and those of two nodes.

What may change while ddnsd runs, does; which may not, the mark RESTART at the setting says, and nothing else.
"""

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, TypeVar

import msgspec

from ddnsd.config.loader import KeyPath
from ddnsd.config.reader import Section, Shape, fields, shape
from ddnsd.config.secrets import KeyFile, SecretFile
from ddnsd.config.settings import Settings

S = TypeVar("S", bound=msgspec.Struct)

_ALIKE = ("addresses", "http", "nameservers", "publish")
_SHOWN = 12  # hexadecimal digits


class SettingsChange(NamedTuple):
    """What follows from new settings: those to be in force, and which keys differ from those before.

    `waiting` are keys that keep their value until a restart; a key is written with dots.
    """

    settings: Settings
    applied: tuple[str, ...]
    waiting: tuple[str, ...]


def change(old: Settings, new: Settings) -> SettingsChange:
    """Return what follows from new settings, where the old ones are in force."""
    applied: list[str] = []
    waiting: list[str] = []
    settings = _Comparison(applied, waiting).section(old, new, ())
    return SettingsChange(settings, tuple(applied), tuple(waiting))


def needing_restart(section: type[msgspec.Struct] = Settings, path: KeyPath = ()) -> Iterator[str]:
    """Yield each key that takes effect only when ddnsd starts; a nameserver's name is `<name>`."""
    for key, field in fields(section).items():
        form, here = shape(field.type), (*path, key)
        if form.note.restart:
            yield ".".join(here)
        if form.kind is Mapping and form.item:
            form, here = form.item, (*here, "<name>")
        for below in form.structs.values():
            yield from needing_restart(below, here)


def digests(settings: Settings) -> Mapping[str, str]:
    """Return a digest of each section that all nodes of an installation should have alike.

    Neither secrets nor the paths of files count.
    """
    return {name: _digest(getattr(settings, name)) for name in _ALIKE}


class _Comparison(NamedTuple):
    """Walks both trees at once, and notes the keys that differ."""

    applied: list[str]
    waiting: list[str]

    def section(self, old: S, new: S, path: KeyPath) -> S:
        merged = {
            key: self._value(shape(field.type), getattr(old, key), getattr(new, key), (*path, key))
            for key, field in fields(type(new)).items()
        }
        return msgspec.structs.replace(new, **merged)

    def _value(self, form: Shape, old: Any, new: Any, path: KeyPath) -> Any:
        if old == new:
            return old
        if form.note.restart:
            return self._keep(old, path)
        if form.kind is Mapping:
            names = {**old, **new}
            merged = {name: self._part(old.get(name), new.get(name), (*path, name)) for name in names}
            return {name: value for name, value in merged.items() if value is not None}
        return self._part(old, new, path)

    def _part(self, old: Any, new: Any, path: KeyPath) -> Any:
        """Merge what may be absent, or another section than before: it comes and goes as a whole."""
        if old == new:
            return old
        if isinstance(old, Section) and type(old) is type(new):
            return self.section(old, new, path)
        if any(isinstance(each, Section) and any(needing_restart(type(each))) for each in (old, new)):
            return self._keep(old, path)
        self.applied.append(".".join(path))
        return new

    def _keep(self, old: Any, path: KeyPath) -> Any:
        self.waiting.append(".".join(path))
        return old


def _digest(value: object) -> str:
    return hashlib.sha256(repr(_plain(value)).encode()).hexdigest()[:_SHOWN]


def _plain(value: Any) -> object:
    if isinstance(value, Section):
        return {key: _plain(getattr(value, key)) for key in fields(type(value))}
    if isinstance(value, Mapping):
        return {name: _plain(value[name]) for name in sorted(value)}
    return None if isinstance(value, KeyFile | SecretFile) else value
