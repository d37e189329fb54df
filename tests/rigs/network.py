"""A network of its own for one test: each part in a namespace, on one bridge, and any two can be cut apart.

A cut is silent, as in a real partition: each of the two sends the other's packets to a hardware address
that nobody has. No error comes back, connections stay open, and TCP sends again until the heal.

This process takes part from the machine's own namespace, by the bridge's address. It needs root.
"""

import fcntl
import os
import signal
import subprocess
import tempfile
from pathlib import Path
from typing import IO, Self

import pytest

from .place import Place
from .process import find_program

# For tests between networks (RFC 2544 appendix C.2.2), so that it is nobody's real network.
_PREFIX = "198.18"
_NOBODY = "02:00:00:00:00:ff"  # locally administered
_NETWORKS = range(1, 255)
_NAMESPACES, _LINKS = Path("/run/netns"), Path("/sys/class/net")
_LOCKS = Path(tempfile.gettempdir()) / f"ddnsd-networks-{os.getuid()}"


class Network:
    """`with Network() as network:` makes the bridge; nothing is left behind."""

    def __init__(self) -> None:
        """Take a number that no other process has; it is held by a file lock, which a killed one loses.

        Where namespaces cannot be made, the test is skipped.
        """
        find_program("ip", "iproute2")
        if os.geteuid() != 0:
            pytest.skip("network namespaces need root")
        self._number, self._lock = _take_number()
        self.name = f"ddnsd-{self._number}"
        self._places: dict[str, Place] = {}
        self._cuts: set[frozenset[Place]] = set()

    def __enter__(self) -> Self:
        _clear(self.name)  # what a killed run left under this number
        try:
            _run("ip", "link", "add", self.name, "type", "bridge")
        except subprocess.CalledProcessError as error:
            pytest.skip(f"no bridge can be made here: {error.stderr}")
        _run("ip", "addr", "add", f"{self._address(1)}/24", "dev", self.name)
        _run("ip", "link", "set", self.name, "up")
        return self

    def __exit__(self, *_: object) -> None:
        _clear(self.name)
        self._lock.close()

    def place(self, name: str) -> Place:
        """Add a namespace with an address."""
        number = len(self._places) + 2
        place = Place(self._address(number), f"{self.name}-{name}")
        outside, inside = f"{self.name}-{number}", ("ip", "-n", place.namespace)
        _run("ip", "netns", "add", place.namespace)
        _run("ip", "link", "add", outside, "type", "veth", "peer", "name", "eth0", "netns", place.namespace)
        _run("ip", "link", "set", outside, "master", self.name, "up")
        _run(*inside, "addr", "add", f"{place.address}/24", "dev", "eth0")
        _run(*inside, "link", "set", "eth0", "up")
        _run(*inside, "link", "set", "lo", "up")
        self._places[name] = place
        return place

    def cut(self, one: Place, *others: Place) -> None:
        """Let nothing pass between one and each of the others."""
        for other in others:
            self._cuts.add(frozenset((one, other)))
            for here, there in ((one, other), (other, one)):
                _run(
                    *_neighbours(here),
                    "replace",
                    there.address,
                    "lladdr",
                    _NOBODY,
                    "dev",
                    "eth0",
                    "nud",
                    "permanent",
                )

    def heal(self) -> None:
        """Take all cuts back."""
        for here, there in self._cuts:
            _run(*_neighbours(here), "del", there.address, "dev", "eth0")
            _run(*_neighbours(there), "del", here.address, "dev", "eth0")
        self._cuts.clear()

    def _address(self, host: int) -> str:
        return f"{_PREFIX}.{self._number}.{host}"


def _neighbours(place: Place) -> tuple[str, ...]:
    return "ip", "-n", place.namespace, "neighbour"


def _take_number() -> tuple[int, IO[str]]:
    _LOCKS.mkdir(exist_ok=True)
    for number in _NETWORKS:
        lock = (_LOCKS / str(number)).open("w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
        else:
            return number, lock
    raise RuntimeError(f"all networks of {_PREFIX}.0.0/16 are taken")


def _clear(name: str) -> None:
    """Remove a network, with whatever still runs in it."""
    for namespace in _NAMESPACES.glob(f"{name}-*"):
        for pid in _run("ip", "netns", "pids", namespace.name).split():
            os.kill(int(pid), signal.SIGKILL)
        _run("ip", "netns", "del", namespace.name)
    for link in _LINKS.glob(f"{name}*"):
        if link.name == name or link.name.startswith(f"{name}-"):
            # Deleting a namespace deletes its links too, only later.
            subprocess.run(["ip", "link", "del", link.name], check=False, capture_output=True)


def _run(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
