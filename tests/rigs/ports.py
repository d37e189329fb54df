"""Ports that no other rig on this machine takes, also not in another pytest-xdist worker."""

import contextlib
import fcntl
import os
import random
import socket
import tempfile
from pathlib import Path
from typing import IO

# Below the ephemeral ports (32768–60999), so that no client's source port is ever in the way.
_FIRST, _LAST = 20000, 31999
_LOCKS = Path(tempfile.gettempdir()) / f"ddnsd-rig-ports-{os.getuid()}"
ADDRESS = "127.0.0.1"


class PortLease:
    """A port, free for TCP and UDP on the loopback, held by a file lock until `release`.

    The lock outlives the server, so that a restart finds the port as free as it left it.
    """

    def __init__(self) -> None:
        _LOCKS.mkdir(exist_ok=True)
        for port in random.sample(range(_FIRST, _LAST), 500):
            lock = _try_lock(_LOCKS / str(port))
            if lock is None:
                continue
            if _is_free(port):
                self.port, self._lock = port, lock
                return
            lock.close()
        raise RuntimeError(f"no free port between {_FIRST} and {_LAST}")

    def release(self) -> None:
        """Let others have the port."""
        self._lock.close()


def _try_lock(path: Path) -> IO[str] | None:
    lock = path.open("w")
    with contextlib.suppress(BlockingIOError):
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return lock
    lock.close()
    return None


def _is_free(port: int) -> bool:
    with socket.socket() as stream, socket.socket(type=socket.SOCK_DGRAM) as datagram:
        # As the servers do: a connection in TIME_WAIT is no obstacle, a listener is.
        stream.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            stream.bind((ADDRESS, port))
            datagram.bind((ADDRESS, port))
        except OSError:
            return False
    return True
