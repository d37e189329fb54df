"""What a node needs before it starts, made once for all of its workers."""

from collections.abc import Mapping
from typing import NamedTuple

from ddnsd.app.configuration import admin_token_file
from ddnsd.app.role import Role
from ddnsd.app.secret import admin_token_digest
from ddnsd.app.sockets import Bound, bind_listeners
from ddnsd.config import Settings


class Premises(NamedTuple):
    """The sockets by listener, and the SHA-256 of the admin token."""

    bound: Mapping[str, Bound]
    admin_token: str

    def leave(self) -> None:
        """Let nobody in any more; this process's sockets are closed."""
        for bound in self.bound.values():
            bound.turn_away()
            bound.close()


def prepare(settings: Settings, role: Role) -> Premises:
    """Make the data folder and the admin token where there are none, and bind the role's listeners.

    Raises:
        AdminTokenError, ListenError, OSError: it cannot be; the message says what to do.
    """
    settings.data.mkdir(parents=True, exist_ok=True, mode=0o700)
    token = admin_token_digest(admin_token_file(settings))
    return Premises(bind_listeners(settings, role.listeners), token)
