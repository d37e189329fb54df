"""What tells at a glance whether two nodes run with the same configuration. No secret goes into it."""

import hashlib
from collections.abc import Mapping
from typing import Any

from ddnsd.config.annotation import Section
from ddnsd.config.schema import keys
from ddnsd.config.secrets import KeyFile, PasswordFile, PemFile
from ddnsd.config.tree import Settings

_ALIKE = ("addresses", "http", "nameservers", "publish")
_SHOWN = 12  # hexadecimal digits


def digests(settings: Settings) -> Mapping[str, str]:
    """Return a digest of each section that all nodes of an installation should have alike.

    Neither secrets nor the paths of files count.
    """
    return {name: _digest(getattr(settings, name)) for name in _ALIKE}


def _digest(value: object) -> str:
    return hashlib.sha256(repr(_plain(value)).encode()).hexdigest()[:_SHOWN]


def _plain(value: Any) -> object:
    if isinstance(value, Section):
        return {key: _plain(getattr(value, key)) for key in keys(type(value))}
    if isinstance(value, Mapping):
        return {name: _plain(value[name]) for name in sorted(value)}
    return None if isinstance(value, KeyFile | PasswordFile | PemFile) else value
