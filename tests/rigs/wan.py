"""Regions far from each other: each a network namespace, and a delay on each link between two of them.

Parts of one region share its namespace, each with an address of its own. This process stands beside every
region: what it sends to one has no delay, and no cut concerns it. It needs root and TUN.
"""

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Self

import pytest

from tests.rigs import forwarder
from tests.rigs.place import Place
from tests.rigs.subnet import Subnet, run

Link = tuple[str, str]
_DEVICE = "wan"  # in each namespace
_HOSTS = 64  # addresses of each region, and of this process's own


class Wan:
    """`with Wan(round_trips) as wan:` makes at most three regions; nothing is left behind."""

    def __init__(self, round_trips: Mapping[Link, float]) -> None:
        """`round_trips`, in seconds, of each two regions. Where this cannot be made, the test is skipped."""
        self.regions = sorted({region for link in round_trips for region in link})
        self._round_trips = {frozenset(link): seconds for link, seconds in round_trips.items()}
        self._subnet = Subnet()
        self._cuts: set[frozenset[str]] = set()
        self._taken = dict.fromkeys(self.regions, 0)

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.callback(self._subnet.release)
            self._subnet.clear()  # what a killed run left under this number
            stack.callback(self._start_forwarder())
            name = self._subnet.name
            run("ip", "addr", "add", f"{self._subnet.address(1)}/24", "dev", name)
            run("ip", "link", "set", name, "up")
            for link, region in zip(self._links(), self.regions, strict=True):
                _start_region(self._namespace(region), link)
            self._tell()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def place(self, region: str) -> Place:
        """Add an address to a region."""
        host = (self.regions.index(region) + 1) * _HOSTS + self._taken[region]
        self._taken[region] += 1
        place = Place(self._subnet.address(host), self._namespace(region))
        run("ip", "-n", place.namespace, "addr", "add", f"{place.address}/32", "dev", _DEVICE)
        return place

    def cut(self, *links: Link) -> None:
        """Lose every packet on these links, silently."""
        self._cuts.update(map(frozenset, links))
        self._tell()

    def isolate(self, region: str) -> None:
        """Cut a region off from all others."""
        self.cut(*((region, other) for other in self.regions if other != region))

    def heal(self) -> None:
        """Take all cuts back."""
        self._cuts.clear()
        self._tell()

    def _namespace(self, region: str) -> str:
        return f"{self._subnet.name}-{region}"

    def _links(self) -> list[str]:
        return [f"{self._subnet.name}-{number}" for number, _ in enumerate(self.regions)]

    def _start_forwarder(self) -> Callable[[], object]:
        program = (sys.executable, str(Path(forwarder.__file__)), self._subnet.name, *self._links())
        command = ["setpriv", "--pdeathsig", "KILL", *program]
        process = subprocess.Popen(
            command, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        assert process.stdin is not None
        assert process.stdout is not None
        self._orders, self._replies = process.stdin, process.stdout
        if not self._replies.readline():
            _, error = process.communicate()
            pytest.skip(f"no TUN can be made here: {error}")
        return process.communicate  # closes its input, which ends it

    def _tell(self) -> None:
        """Let the forwarder take the delays over."""
        here: list[float | None] = [None, *(0.0 for _ in self.regions)]
        rows = [[0.0, *(self._delay(one, other) for other in self.regions)] for one in self.regions]
        print(json.dumps([here, *rows]), file=self._orders, flush=True)
        self._replies.readline()

    def _delay(self, one: str, other: str) -> float | None:
        link = frozenset((one, other))
        return None if one == other or link in self._cuts else self._round_trips[link] / 2


def _start_region(namespace: str, link: str) -> None:
    run("ip", "netns", "add", namespace)
    run("ip", "link", "set", link, "netns", namespace, "name", _DEVICE)
    inside = ("ip", "-n", namespace)
    run(*inside, "link", "set", "lo", "up")
    run(*inside, "link", "set", _DEVICE, "up")
    run(*inside, "route", "add", "default", "dev", _DEVICE)
