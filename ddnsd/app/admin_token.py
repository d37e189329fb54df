"""The admin tokens: made on first start, each kept in a file that only its owner can read."""

import contextlib
import secrets
from collections.abc import Callable
from pathlib import Path

from ddnsd import files
from ddnsd.config import Settings
from ddnsd.model.resources import MIN_SECRET_LENGTH, digest
from ddnsd.web.admin import AdminCredential, AdminScope

_ELSEWHERE = "name another file in admin.token_file (DDNSD_ADMIN_TOKEN_FILE), or in admin.tokens"


class AdminTokenError(Exception):
    """The admin token's file cannot be made or read."""


def admin_token_digest(path: Path) -> str:
    """Return the SHA-256 of the admin token; make the file, mode 0600, if there is none.

    Raises:
        AdminTokenError: it cannot be made or read, or holds too short a token.
    """
    try:
        with contextlib.suppress(FileExistsError):
            _make(path)
    except OSError as error:
        raise AdminTokenError(
            f"the admin token's file {path} cannot be made ({error.strerror}): let {files.myself()} write "
            f"{path.parent}, or {_ELSEWHERE}"
        ) from error
    return read_token_digest(path)


def read_token_digest(path: Path) -> str:
    """Return the SHA-256 of the admin token.

    Raises:
        AdminTokenError: it cannot be read, or is too short.
    """
    try:
        token = path.read_text("ascii").strip()
    except OSError as error:
        raise AdminTokenError(
            f"the admin token's file {path} cannot be read ({error.strerror}): let {files.myself()} read it, "
            f"or {_ELSEWHERE}"
        ) from error
    except UnicodeDecodeError as error:
        raise AdminTokenError(f"the admin token's file {path} is not ASCII: {_ELSEWHERE}") from error
    if len(token) < MIN_SECRET_LENGTH:
        raise AdminTokenError(
            f"the admin token in {path} is shorter than {MIN_SECRET_LENGTH} characters: "
            "delete the file to have a new one made"
        )
    return digest(token)


def admin_credentials(settings: Settings, digest_of: Callable[[Path], str]) -> tuple[AdminCredential, ...]:
    """Return the admin tokens; `digest_of` reads a file, or makes it.

    Raises:
        AdminTokenError: two are the same; and as `digest_of`.
    """
    first = settings.admin.token_file or settings.default_admin_token_file
    credentials = [AdminCredential("admin", digest_of(first), frozenset({AdminScope.ALL}))]
    for token in settings.admin.tokens:
        found = AdminCredential(token.name, digest_of(token.file), frozenset(map(AdminScope, token.scopes)))
        for other in credentials:
            if found.digest == other.digest:
                names = f"{other.name} and {found.name}"
                raise AdminTokenError(f"the admin tokens {names} are the same: give each one of its own")
        credentials.append(found)
    return tuple(credentials)


def admin_token_files(settings: Settings) -> frozenset[Path]:
    """Return where the admin tokens are."""
    first = settings.admin.token_file or settings.default_admin_token_file
    return frozenset({first, *(token.file for token in settings.admin.tokens)})


def _make(path: Path) -> None:
    """Make the file whole, under its name only when it is complete: a crash leaves no empty token."""
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    files.write(path, [secrets.token_urlsafe(32).encode() + b"\n"], replace=False)
