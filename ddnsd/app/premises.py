"""What a node needs before it starts, made once for all of its workers."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import structlog

from ddnsd import files
from ddnsd.app.role import Role
from ddnsd.app.secret import admin_credentials, admin_token_digest
from ddnsd.app.sockets import Bound, bind_listeners
from ddnsd.config import EXPOSED_REMEDY, Settings, exposures
from ddnsd.web.admin import Credential


class Premises(NamedTuple):
    """The sockets by listener, and the admin tokens."""

    bound: Mapping[str, Bound]
    admin_tokens: tuple[Credential, ...]

    def leave(self) -> None:
        """Let nobody in any more; this process's sockets are closed."""
        for bound in self.bound.values():
            bound.turn_away()
            bound.close()


_log = structlog.get_logger(__name__)


_ELSEWHERE = "name another folder with `data` in config.yaml, or DDNSD_DATA"
_LET = f"let {files.myself()} write there, or"


class DataFolderError(Exception):
    """The data folder cannot be used."""

    def __init__(self, text: str) -> None:
        super().__init__(f"the data folder {text}")


class ExposedError(Exception):
    """Others could take ddnsd over by its files."""


def prepare(settings: Settings, role: Role) -> Premises:
    """Make the data folder and the admin token where there are none, and bind the role's listeners.

    Raises:
        AdminTokenError, DataFolderError, ExposedError, ListenError: it cannot be; each says what to do.
    """
    _check_files(settings)  # before a secret is put there
    _make_data(settings.data)
    tokens = admin_credentials(settings, admin_token_digest)
    return Premises(bind_listeners(settings, role.listeners), tokens)


def _make_data(folder: Path) -> None:
    """Make the data folder, and see that it can be used.

    Raises:
        DataFolderError: it cannot.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except FileExistsError as error:  # something else stands there, or where a folder above it should
        raise DataFolderError(
            f"{folder} cannot be made: {error.filename} is not a folder: {_ELSEWHERE}"
        ) from error
    except OSError as error:
        raise DataFolderError(f"{folder} cannot be made ({error.strerror}): {_LET} {_ELSEWHERE}") from error
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        is_read_only = os.statvfs(folder).f_flag & os.ST_RDONLY
        reason = "the file system is read-only" if is_read_only else "permission denied"
        raise DataFolderError(f"{folder} cannot be written ({reason}): {_LET} {_ELSEWHERE}")


def _check_files(settings: Settings) -> None:
    found = tuple(exposures(settings))
    if found and settings.data_check == "refuse":
        raise ExposedError("; ".join(f"{each}; {EXPOSED_REMEDY}" for each in found))
    for each in found:
        _log.warning("data.exposed", reason=each)
