"""What a process runs with: all that its files say, of one reading, ready for use."""

import ssl
from pathlib import Path
from typing import NamedTuple

from ddnsd.app.secret import AdminTokenError, read_token_digest
from ddnsd.config import Change, ConfigError, Mistake, Settings, Source, TlsSettings, change


class Configuration(NamedTuple):
    """The settings in force, and what was made of the files that they name.

    `admin_token` is the SHA-256 of the admin token; `tls` is for the public listener, None for plain HTTP.
    """

    settings: Settings
    admin_token: str
    tls: ssl.SSLContext | None


class Reading(NamedTuple):
    """A configuration that was read anew, with what it changes, or why it cannot be taken over.

    `files` are those that this depends on.
    """

    found: tuple[Configuration, Change] | ConfigError
    files: frozenset[Path]


def configuration(settings: Settings, admin_token: str) -> Configuration:
    """Return what a process starts with.

    Raises:
        OSError: a TLS file cannot be read any more.
    """
    return Configuration(settings, admin_token, _tls_context(settings.listen.tls))


def admin_token_file(settings: Settings) -> Path:
    """Return where the admin token is."""
    return settings.admin.token_file or settings.default_admin_token_file


def read(source: Source, before: Settings) -> Reading:
    """Read everything anew, where the settings before are in force; nothing is changed by that."""
    new, files = source.read()
    if isinstance(new, ConfigError):
        return Reading(new, files)
    changed = change(before, new)
    token_file = admin_token_file(changed.settings)
    files |= {token_file}
    try:
        found = configuration(changed.settings, read_token_digest(token_file))
    except AdminTokenError as error:
        return Reading(ConfigError(str(source), (Mistake(("admin", "token_file"), "", str(error)),)), files)
    except OSError as error:  # it was replaced since it was checked
        return Reading(ConfigError(str(source), (Mistake(("listen", "tls"), "", str(error)),)), files)
    return Reading((found, changed), files)


def _tls_context(tls: TlsSettings | None) -> ssl.SSLContext | None:
    if tls is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(tls.certificate.path, tls.key.path)
    return context
