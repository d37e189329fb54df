"""config.yaml + environment + secret files → `Settings`, or everything that is wrong with them.

A variable overrides the setting that it names: `DDNSD_` and the path, in upper case, joined by `_`.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ddnsd.config.loader import SETTINGS, KeyPath, YamlError, dotted, load_yaml, plain_setting
from ddnsd.config.reader import (
    ConfigError,
    Reader,
    SettingProblem,
    Shape,
    did_you_mean,
    fields,
    setting_problem,
    shape,
)
from ddnsd.config.settings import Settings

Raw = dict[str, "Raw"] | list["Raw"] | str | int | float | None

PREFIX = "DDNSD_"
CLIENT_VARIABLES = frozenset({"DDNSD_CONFIG", "DDNSD_SERVER"})
"""Variables of the command line. Its DDNSD_ADMIN_TOKEN_FILE is also the setting `admin.token_file`."""

# Kubernetes gives every container the addresses of its namespace's services, one of them named like us:
# https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables
_SERVICE_LINK = re.compile(r"DDNSD_(\w+_)?(SERVICE_(HOST|PORT(_\w+)?)|PORT_\d+_(TCP|UDP|SCTP)(_\w+)?)")
_SERVICE_URL = re.compile(r"(tcp|udp|sctp)://.*")
_MAX_BYTES = 1_048_576
_NO_FILE = "name one that can; `ddnsd serve` without --config and config.yaml takes every default"


class SettingsSource(NamedTuple):
    """Where the settings come from: a file, if there is one, and the environment over it."""

    path: Path | None
    environ: Mapping[str, str]

    def __str__(self) -> str:
        return str(self.path) if self.path else "the environment"

    def read(self) -> tuple[Settings | ConfigError, frozenset[Path]]:
        """Return the settings, or all that is wrong with them; and the files that this depends on.

        Everything is read and checked once; nothing is kept of an earlier reading.

        Relative paths in the file start at its folder, that of a symbolic link at the link's: Kubernetes
        replaces what its links lead to. Without a file they start at the working folder.
        """
        files = {self.path} if self.path else set()
        try:
            return self._settings(files), frozenset(files)
        except ConfigError as error:
            return error, frozenset(files)

    def _settings(self, files: set[Path]) -> Settings:
        folder = self.path.absolute().parent if self.path else Path.cwd()
        errors = _Errors([], {})
        raw = self._raw(errors)
        if raw.get("nameservers") in (None, {}):
            raw["nameservers"] = {"default": {"kind": "embedded"}}
        _overlay(raw, self.environ, errors)
        settings = Reader(errors.report, folder, files=files).read(Settings, raw)
        if settings is None or errors.problems:
            raise ConfigError(str(self), tuple(errors.problems))
        return settings

    def _raw(self, errors: "_Errors") -> dict[str, Raw]:
        if self.path is None:
            return {}
        try:
            content = self.path.read_bytes()
        except OSError as error:
            raise self._error(f"cannot be read: {error.strerror}: {_NO_FILE}") from error
        if len(content) > _MAX_BYTES:
            raise self._error(f"larger than {_MAX_BYTES} bytes")
        try:
            documents = load_yaml(content, SETTINGS, errors.report)
        except YamlError as error:
            raise self._error(str(error)) from error
        raw = documents[0] if documents else None
        if raw is not None and not isinstance(raw, dict):
            raise self._error("write a group of keys, such as `listen:`")
        return raw or {}

    def _error(self, remedy: str) -> ConfigError:
        return ConfigError(str(self), (setting_problem("", "", remedy),))


class _Errors(NamedTuple):
    """Gathers what is wrong; `origins` has the variables that values came from."""

    problems: list[SettingProblem]
    origins: dict[KeyPath, str]

    def report(self, path: KeyPath, value: str, remedy: str) -> None:
        of_item = path[:-1] if path and path[-1].startswith("[") else path
        origin = self.origins.get(path) or self.origins.get(of_item)
        said = f"{value} from {origin}".strip() if origin else value
        self.problems.append(setting_problem(dotted(path), said, remedy))


def load(path: Path | None, environ: Mapping[str, str]) -> Settings:
    """Return the settings of a file, None for none, and an environment.

    Raises:
        ConfigError: all that is wrong with them.
    """
    settings, _ = SettingsSource(path, environ).read()
    if isinstance(settings, ConfigError):
        raise settings
    return settings


def _overlay(raw: dict[str, Raw], environ: Mapping[str, str], errors: "_Errors") -> None:
    """Write the variables' values into the plain values.

    An empty variable counts as not set. An unknown one is an error, and its value is not shown.
    """
    known = _variables(raw)
    for name, text in sorted(_ours(environ)):
        places = known.get(name, {})
        if len(places) != 1:
            errors.report((name,), "", _remedy(name, known, places, raw))
        elif not text.isprintable():
            errors.report((name,), "", "has characters that cannot be printed")
        else:
            ((path, form),) = places.items()
            _put(raw, path, _plain(form, text))
            errors.origins[path] = name


def variable(path: KeyPath) -> str:
    """Return the name of the variable that overrides a setting."""
    return PREFIX + "_".join(path).upper().replace("-", "_")


def _variables(raw: dict[str, Raw]) -> Mapping[str, dict[KeyPath, Shape]]:
    known: dict[str, dict[KeyPath, Shape]] = {}
    for path, form in _leaves(shape(Settings), (), raw):
        known.setdefault(variable(path), {})[path] = form
    return known


def _leaves(form: Shape, path: KeyPath, raw: object) -> Iterator[tuple[KeyPath, Shape]]:
    """Yield every single value that can be set at or below a path.

    The keys of a mapping are the operator's, so they come from what is written (`raw`). Lists of sections
    are no single values.
    """
    written = raw if isinstance(raw, dict) else {}
    if form.kind is Mapping and form.item:
        for name, value in written.items():
            yield from _leaves(form.item, (*path, name), value)
    elif form.structs:
        for section in form.structs.values():
            for key, field in fields(section).items():
                yield from _leaves(shape(field.type), (*path, key), written.get(key))
    elif not (form.item and form.item.structs):
        yield path, form


def _ours(environ: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    for name, text in environ.items():
        linked = _SERVICE_LINK.fullmatch(name) or _SERVICE_URL.fullmatch(text)
        if name.startswith(PREFIX) and text and name not in CLIENT_VARIABLES and not linked:
            yield name, text


def _remedy(
    name: str, known: Mapping[str, object], places: Mapping[KeyPath, object], raw: Mapping[str, Raw]
) -> str:
    if places:
        return f"means each of {', '.join(map('.'.join, places))}: set it in config.yaml instead"
    written = raw.get("nameservers")
    names = sorted(written) if isinstance(written, dict) else []
    if absent := _absent_nameserver(name, known, names):
        return f"there is no nameserver {absent!r} in the file; known: {', '.join(names)}"
    return f"unknown variable; {did_you_mean(name, known)}"


def _absent_nameserver(name: str, known: Iterable[str], names: Iterable[str]) -> str:
    """Return which nameserver a variable is for, by its end; "" if it is for one of these, or for none."""
    prefixes = tuple(variable(("nameservers", each)) + "_" for each in names)
    group = variable(("nameservers",)) + "_"
    if not name.startswith(group) or name.startswith(prefixes):
        return ""
    ends = {each.removeprefix(prefix) for prefix in prefixes for each in known if each.startswith(prefix)}
    rests = [name.removesuffix(f"_{end}") for end in ends if name.endswith(f"_{end}")]
    shortest = min(rests, key=len, default="")  # without CONNECT_TIMEOUT rather than TIMEOUT
    return shortest.removeprefix(group).lower().replace("_", "-")


def _plain(form: Shape, text: str) -> Raw:
    if form.kind is tuple:
        return [part.strip() for part in text.split(",")]
    value = plain_setting(text)
    return value if form.kind in (int, float) and value is not None else text


def _put(raw: dict[str, Raw], path: KeyPath, value: Raw) -> None:
    *groups, key = path
    node: Any = raw
    for group in groups:
        node[group] = {} if node.get(group) is None else node[group]
        node = node[group]
        if not isinstance(node, dict):  # an error in config.yaml that the reader reports
            return
    node[key] = value
