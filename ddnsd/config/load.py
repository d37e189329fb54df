"""config.yaml + environment + secret files → `Settings`, or everything that is wrong with them."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from ddnsd.config.document import Raw, parse_document
from ddnsd.config.environment import overlay
from ddnsd.config.loader import YamlError
from ddnsd.config.mistakes import ConfigError, Mistake
from ddnsd.config.tree import Settings
from ddnsd.config.validate import Walk

_NO_FILE = "name one that can; `ddnsd serve` without --config and config.yaml takes every default"


class Reading(NamedTuple):
    """The settings, or all that is wrong with them; and the files that this depends on."""

    settings: Settings | ConfigError
    files: frozenset[Path]


class Source(NamedTuple):
    """Where the settings come from: a file, if there is one, and the environment over it."""

    path: Path | None
    environ: Mapping[str, str]

    def __str__(self) -> str:
        return str(self.path) if self.path else "the environment"

    def read(self) -> Reading:
        """Read and check everything once; all files are read anew.

        Relative paths in the file start at its folder, that of a symbolic link at the link's: Kubernetes
        replaces what its links lead to. Without a file they start at the working folder.
        """
        files = {self.path} if self.path else set()
        try:
            return Reading(self._settings(files), frozenset(files))
        except ConfigError as error:
            return Reading(error, frozenset(files))

    def _settings(self, files: set[Path]) -> Settings:
        folder = self.path.absolute().parent if self.path else Path.cwd()
        mistakes: list[Mistake] = []
        raw = self._raw(mistakes)
        if raw.get("nameservers") in (None, {}):
            raw["nameservers"] = {"default": {"kind": "embedded"}}
        origins = overlay(Settings, raw, self.environ, mistakes)
        settings = Walk(folder, origins, mistakes, files).tree(Settings, raw)
        if settings is None or mistakes:
            raise ConfigError(str(self), tuple(mistakes))
        return settings

    def _raw(self, mistakes: list[Mistake]) -> dict[str, Raw]:
        if self.path is None:
            return {}
        try:
            raw = parse_document(self.path.read_bytes(), mistakes)
        except OSError as error:
            remedy = f"cannot be read: {error.strerror}: {_NO_FILE}"
            raise ConfigError(str(self), (Mistake((), "", remedy),)) from error
        except YamlError as error:
            raise ConfigError(str(self), (Mistake((), "", str(error)),)) from error
        if raw is not None and not isinstance(raw, dict):
            raise ConfigError(str(self), (Mistake((), "", "write a group of keys, such as `listen:`"),))
        return raw or {}


def load(path: Path | None, environ: Mapping[str, str]) -> Settings:
    """Return the settings of a file, None for none, and an environment.

    Raises:
        ConfigError: all that is wrong with them.
    """
    settings = Source(path, environ).read().settings
    if isinstance(settings, ConfigError):
        raise settings
    return settings
