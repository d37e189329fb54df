"""What a process runs with: all that its files say, of one reading, ready for use."""

import ssl
from pathlib import Path
from typing import NamedTuple

from ddnsd.app.secret import AdminTokenError, admin_credentials, admin_token_files, read_token_digest
from ddnsd.config import Change, ConfigError, Mistake, Settings, Source, TlsSettings, change
from ddnsd.web.admin import Credential


class Configuration(NamedTuple):
    """The settings in force, and what was made of the files that they name.

    `admin_tokens` are known by their SHA-256; `tls` is for the public listener, None for plain HTTP.
    """

    settings: Settings
    admin_tokens: tuple[Credential, ...]
    tls: ssl.SSLContext | None


class Reading(NamedTuple):
    """A configuration that was read anew, with what it changes, or why it cannot be taken over.

    `files` are those that this depends on.
    """

    found: tuple[Configuration, Change] | ConfigError
    files: frozenset[Path]


def configuration(settings: Settings, admin_tokens: tuple[Credential, ...]) -> Configuration:
    """Return what a process starts with.

    Raises:
        OSError: a TLS file cannot be read any more.
    """
    return Configuration(settings, admin_tokens, _tls_context(settings.listen.tls))


def read(source: Source, before: Settings) -> Reading:
    """Read everything anew, where the settings before are in force; nothing is changed by that."""
    new, files = source.read()
    if isinstance(new, ConfigError):
        return Reading(new, files)
    changed = change(before, new)
    files |= admin_token_files(changed.settings)
    try:
        tokens = admin_credentials(changed.settings, read_token_digest)
        found = configuration(changed.settings, tokens)
    except AdminTokenError as error:
        return Reading(ConfigError(str(source), (Mistake(("admin",), "", str(error)),)), files)
    except OSError as error:  # it was replaced since it was checked
        return Reading(ConfigError(str(source), (Mistake(("listen", "tls"), "", str(error)),)), files)
    return Reading((found, changed), files)


def _tls_context(tls: TlsSettings | None) -> ssl.SSLContext | None:
    if tls is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(tls.certificate.path, tls.key.path)
    return context
