"""A network of its own for one test: each part in a namespace, on one bridge, and any two can be cut apart.

A cut is silent, as in a real partition: each of the two sends the other's packets to a hardware address
that nobody has. No error comes back, connections stay open, and TCP sends again until the heal.

This process takes part from the machine's own namespace, by the bridge's address. It needs root.
"""

import subprocess
from typing import Self

import pytest

from tests.rigs.place import Place
from tests.rigs.subnet import Subnet, run

_NOBODY = "02:00:00:00:00:ff"  # locally administered


class Network:
    """`with Network() as network:` makes the bridge; nothing is left behind."""

    def __init__(self) -> None:
        """Where namespaces cannot be made, the test is skipped."""
        self._subnet = Subnet()
        self.name = self._subnet.name
        self._places: dict[str, Place] = {}
        self._cuts: set[frozenset[Place]] = set()

    def __enter__(self) -> Self:
        self._subnet.clear()  # what a killed run left under this number
        try:
            run("ip", "link", "add", self.name, "type", "bridge")
        except subprocess.CalledProcessError as error:
            pytest.skip(f"no bridge can be made here: {error.stderr}")
        run("ip", "addr", "add", f"{self._subnet.address(1)}/24", "dev", self.name)
        run("ip", "link", "set", self.name, "up")
        return self

    def __exit__(self, *_: object) -> None:
        self._subnet.release()

    @property
    def gateway(self) -> str:
        """This process's address, on the bridge."""
        return self._subnet.address(1)

    @property
    def services(self) -> str:
        """A /24 beside it that nobody has: for addresses that stand for others."""
        return self._subnet.services

    def place(self, name: str) -> Place:
        """Add a namespace with an address."""
        number = len(self._places) + 2
        place = Place(self._subnet.address(number), f"{self.name}-{name}")
        outside, inside = f"{self.name}-{number}", ("ip", "-n", place.namespace)
        run("ip", "netns", "add", place.namespace)
        run("ip", "link", "add", outside, "type", "veth", "peer", "name", "eth0", "netns", place.namespace)
        run("ip", "link", "set", outside, "master", self.name, "up")
        run(*inside, "addr", "add", f"{place.address}/24", "dev", "eth0")
        run(*inside, "link", "set", "eth0", "up")
        run(*inside, "link", "set", "lo", "up")
        self._places[name] = place
        return place

    def cut(self, one: Place, *others: Place) -> None:
        """Let nothing pass between one and each of the others."""
        for other in others:
            self._cuts.add(frozenset((one, other)))
            for here, there in ((one, other), (other, one)):
                run(
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
            run(*_neighbours(here), "del", there.address, "dev", "eth0")
            run(*_neighbours(there), "del", here.address, "dev", "eth0")
        self._cuts.clear()


def _neighbours(place: Place) -> tuple[str, ...]:
    return "ip", "-n", place.namespace, "neighbour"
