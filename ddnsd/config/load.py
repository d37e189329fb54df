"""config.yaml + environment + secret files → `Settings`, or everything that is wrong with them."""

from collections.abc import Mapping
from pathlib import Path

from .document import DocumentError, Raw, parse_document
from .environment import overlay
from .mistakes import ConfigError, Mistake
from .tree import Settings
from .validate import Walk

_NO_FILE = "name one that can; `ddnsd serve` without --config and config.yaml takes every default"


def load(path: Path | None, environ: Mapping[str, str]) -> Settings:
    """Read and check the settings, once.

    Relative paths in them start at the file's folder; without a file, at the working folder.

    Raises:
        ConfigError: all that is wrong with them.
    """
    source = str(path) if path else "the environment"
    folder = path.resolve().parent if path else Path.cwd()
    mistakes: list[Mistake] = []
    raw = _read(path, source, mistakes)
    if raw.get("nameservers") in (None, {}):
        raw["nameservers"] = {"default": {"kind": "embedded"}}
    origins = overlay(Settings, raw, environ, mistakes)
    settings = Walk(folder, origins, mistakes).tree(Settings, raw)
    if settings is None or mistakes:
        raise ConfigError(source, tuple(mistakes))
    return settings


def _read(path: Path | None, source: str, mistakes: list[Mistake]) -> dict[str, Raw]:
    if path is None:
        return {}
    try:
        raw = parse_document(path.read_bytes(), mistakes)
    except OSError as error:
        remedy = f"cannot be read: {error.strerror}: {_NO_FILE}"
        raise ConfigError(source, (Mistake((), "", remedy),)) from error
    except DocumentError as error:
        raise ConfigError(source, (Mistake((), "", str(error)),)) from error
    if raw is not None and not isinstance(raw, dict):
        raise ConfigError(source, (Mistake((), "", "write a group of keys, such as `listen:`"),))
    return raw or {}
