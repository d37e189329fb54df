"""A /24 network that no other process on this machine has, and the names of what is made for it."""

import fcntl
import os
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import IO

import pytest

from tests.rigs.process import find_program

# For tests between networks (RFC 2544 appendix C.2.2), so that it is nobody's real network.
_PREFIX, _SERVICES = "198.18", "198.19"
_NUMBERS = range(1, 255)
_NAMESPACES, _LINKS = Path("/run/netns"), Path("/sys/class/net")
_LOCKS = Path(tempfile.gettempdir()) / f"ddnsd-networks-{os.getuid()}"


class Subnet:
    """Its namespaces and links begin with `name`. It is held by a file lock, which a killed process loses."""

    def __init__(self) -> None:
        """Take a number that nobody has. Where namespaces cannot be made, skip the test."""
        find_program("ip", "iproute2")
        if os.geteuid() != 0:
            pytest.skip("network namespaces need root")
        self._number, self._lock = _take_number()
        self.name = f"ddnsd-{self._number}"

    def address(self, host: int) -> str:
        """Return an address, 1 to 254."""
        return f"{_PREFIX}.{self._number}.{host}"

    @property
    def services(self) -> str:
        """Another network, with the same number: for a Kubernetes cluster's Services."""
        return f"{_SERVICES}.{self._number}.0/24"

    def clear(self) -> None:
        """Remove its namespaces, with whatever still runs in them, and its links."""
        for namespace in _NAMESPACES.glob(f"{self.name}-*"):
            for pid in run("ip", "netns", "pids", namespace.name).split():
                os.kill(int(pid), signal.SIGKILL)
            run("ip", "netns", "del", namespace.name)
        for link in _LINKS.glob(f"{self.name}*"):
            if link.name == self.name or link.name.startswith(f"{self.name}-"):
                # Deleting a namespace deletes its links too, only later.
                subprocess.run(["ip", "link", "del", link.name], check=False, capture_output=True)

    def release(self) -> None:
        """Remove what is left, and let others have it."""
        self.clear()
        self._lock.close()


def run(*command: str) -> str:
    """Run a command that must succeed; return what it prints."""
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def _take_number() -> tuple[int, IO[str]]:
    _LOCKS.mkdir(exist_ok=True)
    for number in _NUMBERS:
        lock = (_LOCKS / str(number)).open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
        else:
            return number, lock
    raise RuntimeError(f"all networks of {_PREFIX}.0.0/16 are taken")
