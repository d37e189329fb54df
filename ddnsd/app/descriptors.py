"""How many files this process may have open, and so how many clients."""

import contextlib
import resource

import structlog

_log = structlog.get_logger(__name__)

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
