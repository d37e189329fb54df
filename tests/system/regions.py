"""Three regions that are one installation: docs/multi-region.md, small, with each region in a namespace.

Every node runs the config.yaml of its region's release (`release.py`). The first region has the primary.
"""

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import NamedTuple, Self

from tests.rigs.base import NameserverRig
from tests.rigs.etcd import EtcdRig, Member, Version
from tests.rigs.secondaries import RegionalBind, RegionalKnot
from tests.rigs.wan import Wan
from tests.system.installation import Installation
from tests.system.release import Release
from tests.waiting import until

PREFIX = "ddnsd/"  # of the keys in etcd
MEMBERS = {"eu-west": 2, "us-east": 2, "ap-south": 1}
HOME, NEXT = "eu-west", "us-east"  # the first has the primary; the next one leads where the first cannot
ROUND_TRIPS = {  # seconds
    ("eu-west", "us-east"): 0.04,
    ("eu-west", "ap-south"): 0.08,
    ("us-east", "ap-south"): 0.08,
}
SECONDARIES = {"eu-west": RegionalBind, "us-east": RegionalBind, "ap-south": RegionalKnot}
# docs/multi-region.md: these are etcd's own defaults, and fit round trips of up to 100 ms.
ETCD_OPTIONS = ("--pre-vote", "--heartbeat-interval=100", "--election-timeout=1000")


class Region(NamedTuple):
    """What runs in one region, beside the primary."""

    name: str
    release: Release
    node: Installation
    secondary: RegionalBind | RegionalKnot
    members: Sequence[Member]


class Regions:
    """`async with Regions(folder, version) as regions:` starts all and leaves nothing behind."""

    wan: Wan
    etcd: EtcdRig
    primary: RegionalBind
    all: Mapping[str, Region]

    def __init__(self, folder: Path, version: Version) -> None:
        self._folder = folder
        self._version = version

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            self.wan = stack.enter_context(Wan(ROUND_TRIPS))
            members = self._make_etcd(stack)
            secondaries = self._make_nameservers(stack)
            await asyncio.gather(self._start_etcd(), self._start_nameservers(secondaries))
            self.all = {
                name: self._region(name, members, secondary) for name, secondary in secondaries.items()
            }
            for region in self.all.values():
                stack.push_async_callback(region.node.close)
            await asyncio.gather(*(region.node.start() for region in self.all.values()))
            await until(lambda: self.is_led_by(HOME), 20, "the node beside the primary leads")
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    @property
    def home(self) -> Region:
        """The region with the primary."""
        return self.all[HOME]

    async def is_led_by(self, name: str) -> bool:
        """Say whether this region's node leads."""
        return bool(await self.all[name].node.metric("ddnsd_leader"))

    def lead_etcd_from(self, name: str) -> None:
        """Let a member of this region lead etcd."""
        leader = self.etcd.leader()
        if leader not in self.all[name].members:
            self.etcd.move_leader(leader, self.all[name].members[0])

    async def kill(self, name: str) -> None:
        """Kill all that runs in a region."""
        for part in (*self.all[name].members, *self._nameservers(name)):
            part.kill()
        await self.all[name].node.kill()

    async def restart(self, name: str) -> None:
        """Start all that ran in a region, with what it has on disk."""
        await self.restart_etcd(name)
        node = self.all[name].node
        await asyncio.gather(node.start(), *(server.restart() for server in self._nameservers(name)))

    async def restart_etcd(self, name: str) -> None:
        """Start a region's members, and wait until all answer."""
        for member in self.all[name].members:
            member.launch()
        await asyncio.to_thread(self.etcd.wait)

    async def move_primary(self, name: str) -> None:
        """Make a region's secondary the primary, and upgrade all releases but the old one's."""
        promoted = self.all[name].secondary
        assert isinstance(promoted, RegionalBind)
        promoted.primary = None
        promoted.followers = [region.secondary for region in self.all.values() if region.name != name]
        await promoted.reconfigure()
        self.primary = promoted
        for region in self.all.values():
            if region.name != HOME:
                more = {"leader": {"priority": 30}} if region.name == name else {}
                region.node.config |= region.release.render(self.primary, **more)
                region.node.write_config()

    async def follow(self, name: str) -> None:
        """Let a region's secondary follow the primary of now, and forget what it had."""
        secondary = self.all[name].secondary
        secondary.primary = self.primary
        secondary.forget()
        await secondary.reconfigure()

    def _nameservers(self, name: str) -> list[RegionalBind | RegionalKnot]:
        beside = [self.primary] if name == HOME else []
        return [self.all[name].secondary, *beside]

    def _make_etcd(self, stack: AsyncExitStack) -> Mapping[str, Sequence[Member]]:
        names = [name for name, count in MEMBERS.items() for _ in range(count)]
        places = [self.wan.place(name) for name in names]
        self.etcd = EtcdRig(self._version, places=places, options=ETCD_OPTIONS)
        stack.callback(self.etcd.close)
        placed = list(zip(names, self.etcd.members, strict=True))
        return {name: [member for where, member in placed if where == name] for name in MEMBERS}

    def _make_nameservers(self, stack: AsyncExitStack) -> Mapping[str, RegionalBind | RegionalKnot]:
        self.primary = RegionalBind(self.wan.place(HOME))
        stack.callback(self.primary.close)
        secondaries = {name: kind(self.wan.place(name), self.primary) for name, kind in SECONDARIES.items()}
        for secondary in secondaries.values():
            stack.callback(secondary.close)
        self.primary.followers = list(secondaries.values())
        return secondaries

    async def _start_etcd(self) -> None:
        for member in self.etcd.members:
            member.launch()  # here, not in a thread: they end with the thread that started them
        await asyncio.to_thread(self.etcd.wait)

    async def _start_nameservers(self, secondaries: Mapping[str, NameserverRig]) -> None:
        await self.primary.start()
        await asyncio.gather(*(secondary.start() for secondary in secondaries.values()))

    def _region(
        self, name: str, members: Mapping[str, Sequence[Member]], secondary: RegionalBind | RegionalKnot
    ) -> Region:
        folder, place = self._folder / name, self.wan.place(name)
        folder.mkdir()
        release = Release(name, folder, place, members)
        environ = {"DDNSD_DATA": str(folder / "data")}  # the chart wants it on a volume of the pod's
        node = Installation(folder, place=place, environ=environ, **release.render(self.primary))
        return Region(name, release, node, secondary, members[name])


def round_trip(one: str, other: str) -> float:
    """Return how long a packet takes to another region and back, in seconds."""
    return 0.0 if one == other else ROUND_TRIPS.get((one, other)) or ROUND_TRIPS[other, one]
