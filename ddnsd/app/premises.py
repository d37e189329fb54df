"""What a node needs before it starts, made once for all of its workers."""

from collections.abc import Mapping
from typing import NamedTuple

import structlog

from ddnsd.app.configuration import admin_token_file
from ddnsd.app.role import Role
from ddnsd.app.secret import admin_token_digest
from ddnsd.app.sockets import Bound, bind_listeners
from ddnsd.config import EXPOSED_REMEDY, Settings, exposures


class Premises(NamedTuple):
    """The sockets by listener, and the SHA-256 of the admin token."""

    bound: Mapping[str, Bound]
    admin_token: str

    def leave(self) -> None:
        """Let nobody in any more; this process's sockets are closed."""
        for bound in self.bound.values():
            bound.turn_away()
            bound.close()


_log = structlog.get_logger(__name__)


class ExposedError(Exception):
    """Others could take ddnsd over by its files."""


def prepare(settings: Settings, role: Role) -> Premises:
    """Make the data folder and the admin token where there are none, and bind the role's listeners.

    Raises:
        AdminTokenError, ExposedError, ListenError, OSError: it cannot be; the message says what to do.
    """
    _check_files(settings)  # before a secret is put there
    settings.data.mkdir(parents=True, exist_ok=True, mode=0o700)
    token = admin_token_digest(admin_token_file(settings))
    return Premises(bind_listeners(settings, role.listeners), token)


def _check_files(settings: Settings) -> None:
    found = tuple(exposures(settings))
    if found and settings.data_check == "refuse":
        raise ExposedError("; ".join(f"{each}; {EXPOSED_REMEDY}" for each in found))
    for each in found:
        _log.warning("data.exposed", reason=each)
