"""Three regions that are one installation: docs/multi-region.md, small, with each region in a namespace.

Every node runs the config.yaml that Helm renders of its region's example values. Over these go only the
rig's own addresses, ports, keys and folders, and that etcd is spoken to without TLS and a password. The
first region has the hidden primary.
"""

import asyncio
import re
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, NamedTuple, Self

from tests.chart import helm
from tests.rigs.base import NameserverRig
from tests.rigs.etcd import EtcdRig, Member, Version
from tests.rigs.secondaries import RegionalBind, RegionalKnot
from tests.rigs.wan import Wan
from tests.system.installation import Installation
from tests.system.load import until

PREFIX = "ddnsd/"  # of the keys in etcd
MEMBERS = {"eu-west": 2, "us-east": 2, "ap-south": 1}
HOME = "eu-west"  # has the primary
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
        self._values: dict[str, Any] = {}

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            self.wan = stack.enter_context(Wan(ROUND_TRIPS))
            members = self._make_etcd(stack)
            secondaries = self._make_nameservers(stack)
            await asyncio.gather(self._start_etcd(), self._start_nameservers(secondaries))
            self.all = {
                name: Region(name, self._node(name, members), secondaries[name], members[name])
                for name in MEMBERS
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
                region.node.config |= self._release(region.name, **more)
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

    def _node(self, name: str, members: Mapping[str, Sequence[Member]]) -> Installation:
        folder = self._folder / name
        folder.mkdir()
        key = folder / "ddnsd.key"
        key.touch(mode=0o600)
        key.write_text(self.primary.secret_text)
        place = self.wan.place(name)
        endpoints = [
            _url(endpoint, members) for endpoint in helm.example(_example(name))["externalEtcd"]["endpoints"]
        ]
        self._values[name] = {
            "config": {
                "listen": {
                    listener: f"{place.address}:{port}"
                    for listener, port in (("public", 8080), ("admin", 8081), ("health", 8082))
                },
                "addresses": {"private": "accept"},  # of the load
                "admin": {"token_file": str(folder / "data" / "admin-token")},
            },
            "admin": {"existingSecret": "ddnsd-admin", "service": {"enabled": True}},
            "externalEtcd": {"endpoints": endpoints, "auth": {"user": ""}, "tls": {"existingSecret": ""}},
        }
        environ = {"DDNSD_DATA": str(folder / "data")}  # the chart wants it on a volume of the pod's
        return Installation(folder, place=place, environ=environ, **self._release(name))

    def _release(self, name: str, **config: Any) -> dict[str, Any]:
        """Return the config.yaml of a region's release, with the rig's values and more of `config`."""
        nameserver = {
            "address": self.primary.address,
            "port": self.primary.port,
            "key": {
                "name": self.primary.key_name,
                "algorithm": self.primary.key_algorithm,
                "secret_file": str(self._folder / name / "ddnsd.key"),
            },
        }
        values = self._values[name]
        config |= values["config"] | {"nameservers": {"default": nameserver}}
        path = helm.CHART / "examples" / f"{_example(name)}.yaml"
        command = ("template", "ddnsd", str(helm.CHART), "--values", str(path))
        return helm.config(helm.load(helm.run(*command, values=values | {"config": config})))


def _example(name: str) -> str:
    """Return the name of a region's example values."""
    return f"region-{name}"


def round_trip(one: str, other: str) -> float:
    """Return how long a packet takes to another region and back, in seconds."""
    return 0.0 if one == other else ROUND_TRIPS.get((one, other)) or ROUND_TRIPS[other, one]


def _url(endpoint: str, members: Mapping[str, Sequence[Member]]) -> str:
    """Return the rig's address of the member that an example's address stands for."""
    found = re.search(r"//etcd-(.*)-(\d)\.", endpoint)
    assert found, endpoint
    return members[found[1]][int(found[2]) - 1].url
