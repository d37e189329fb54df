"""What a process does before its event loop runs: role, sockets and token, garbage collection, file limit."""

import contextlib
import gc
import os
import resource
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

import structlog

from ddnsd import files
from ddnsd.app.admin_token import admin_credentials, admin_token_digest
from ddnsd.app.sockets import LISTENERS, Bound, bind_listeners
from ddnsd.config import EXPOSED_REMEDY, Settings, exposures
from ddnsd.web.admin import AdminCredential


class Role(StrEnum):
    """What `ddnsd serve --role` names."""

    NODE = "node"  # answers, publishes when it leads
    CONTROLLER = "controller"  # puts the custom resources of Kubernetes into the store
    ALL = "all"  # both, as the embedded store is for one process

    @property
    def listeners(self) -> tuple[str, ...]:
        """The names of the HTTP listeners that it opens."""
        return ("health",) if self is Role.CONTROLLER else LISTENERS

    @property
    def controls(self) -> bool:
        """Say whether it may be the controller of custom resources."""
        return self is not Role.NODE


class Bootstrap(NamedTuple):
    """The sockets by listener, and the admin tokens."""

    bound: Mapping[str, Bound]
    admin_tokens: tuple[AdminCredential, ...]

    def leave(self) -> None:
        """Accept no further connection in any worker, and close this process's sockets."""
        for bound in self.bound.values():
            bound.turn_away()
            bound.close()


_log = structlog.get_logger(__name__)


_ELSEWHERE = "name another folder with `data` in config.yaml, or DDNSD_DATA"
_LET = f"let {files.myself()} write there, or"


def prepare(settings: Settings, role: Role) -> Bootstrap:
    """Make the data folder and the admin token where there are none, and bind the role's listeners.

    Raises:
        AdminTokenError, OSError: it cannot be; the message says what to do.
    """
    _check_files(settings)  # before a secret is put there
    _make_data(settings.data)
    tokens = admin_credentials(settings, admin_token_digest)
    return Bootstrap(bind_listeners(settings, role.listeners), tokens)


def _make_data(folder: Path) -> None:
    """Make the data folder, and see that it can be used.

    Raises:
        OSError: it cannot; the message says what to do.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except FileExistsError as error:  # something else stands there, or where a folder above it should
        raise OSError(
            f"the data folder {folder} cannot be made: {error.filename} is not a folder: {_ELSEWHERE}"
        ) from error
    except OSError as error:
        raise OSError(
            f"the data folder {folder} cannot be made ({error.strerror}): {_LET} {_ELSEWHERE}"
        ) from error
    if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        is_read_only = os.statvfs(folder).f_flag & os.ST_RDONLY
        reason = "the file system is read-only" if is_read_only else "permission denied"
        raise OSError(f"the data folder {folder} cannot be written ({reason}): {_LET} {_ELSEWHERE}")


def _check_files(settings: Settings) -> None:
    found = tuple(exposures(settings))
    if found and settings.data_check == "refuse":
        raise OSError("; ".join(f"{each}; {EXPOSED_REMEDY}" for each in found))
    for each in found:
        _log.warning("data.exposed", reason=each)


# Objects made before a young collection, and collections of one generation before one of the next.
# Python's 700, 10 and 10 have it look at young objects every few requests, though hardly any of ours
# lie in a cycle: reference counting alone frees them.
_THRESHOLDS = (20_000, 50, 100)


def settle() -> None:
    """Take what is in memory now, the loaded state above all, out of the collector's sight.

    A full collection over a big state would hold the loop for tens of milliseconds. Reference counting
    still frees what is replaced later.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_THRESHOLDS)


RESERVE = 256
"""Files for all but clients: the other listeners and their connections, store, nameservers, logs."""

INTERNAL = 64
"""Connections to each of the two other listeners, admin and health; together half of the reserve."""


def room_for(connections: int) -> int:
    """Return how many clients may be connected at once: so many, or as many as there are files for.

    The limit of this process (`ulimit -n`) is raised as far as is needed and allowed.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = connections + RESERVE
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return connections
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
        soft = allowed
    if soft >= wanted:
        return connections
    room = max(soft - RESERVE, soft // 2)
    _log.warning("connections.lowered", wanted=connections, room=room, open_files=soft)
    return room


def internal_room(connections: int) -> int:
    """Return how many may be connected to each of the other listeners, where `room_for` was given so many.

    Fewer than `INTERNAL` where files are short: what is reserved is for store and nameservers as well.
    """
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY:
        return INTERNAL
    reserved = max(soft - connections, min(RESERVE, soft - soft // 2))
    return max(1, min(INTERNAL, reserved // 4))
