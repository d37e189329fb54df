"""A whole installation: three etcd members, three nodes and BIND, each with an address of its own.

Any part can be killed, started again, frozen, or cut off from others.
"""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Self

from tests.rigs.bind import BindRig
from tests.rigs.etcd import EtcdRig, Version
from tests.rigs.network import Network
from tests.rigs.place import Place
from tests.system.installation import Installation
from tests.waiting import until

PREFIX = "ddnsd/"  # of the keys in etcd
LEASE_TTL = 3  # seconds
SIZE = 3  # nodes, and members


class Cluster:
    """`async with Cluster(folder, version) as cluster:` starts it and leaves nothing behind."""

    network: Network
    etcd: EtcdRig
    nameserver: BindRig
    nodes: Sequence[Installation]

    def __init__(self, folder: Path, version: Version, **settings: Any) -> None:
        """`settings` are added to each node's config.yaml."""
        self._folder = folder
        self._version = version
        self._settings = settings

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            self.network = stack.enter_context(Network())
            await self._start_servers(stack)
            self.nodes = [self.node(f"node{number}") for number in range(SIZE)]
            for node in self.nodes:
                stack.push_async_callback(node.close)
            await asyncio.gather(*(node.start() for node in self.nodes))
            await until(self.is_led, 10, "a node leads")
            self._stack = stack.pop_all()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def _start_servers(self, stack: AsyncExitStack) -> None:
        self.nameserver = BindRig(place=self.network.place("bind"))
        stack.callback(self.nameserver.close)
        places = [self.network.place(f"etcd{number}") for number in range(SIZE)]
        # Before etcd 3.5 not by itself: without it a member that comes back forces an election.
        self.etcd = EtcdRig(self._version, places=places, options=("--pre-vote",))
        stack.callback(self.etcd.close)
        for member in self.etcd.members:
            member.launch()  # here, not in a thread: they end with the thread that started them
        await asyncio.gather(asyncio.to_thread(self.etcd.wait), self.nameserver.start())

    def node(self, name: str, prefix: str = PREFIX, **settings: Any) -> Installation:
        """Return a node with a place of its own, to be started and closed."""
        folder = self._folder / name
        folder.mkdir()
        etcd = {
            "endpoints": [member.url for member in self.etcd.members],
            "prefix": prefix,
            "lease_ttl": LEASE_TTL,
        }
        return Installation(
            folder,
            self.nameserver,
            place=self.network.place(name),
            store={"kind": "etcd", "etcd": etcd},
            **self._settings | settings,
        )

    async def leaders(self) -> list[Installation]:
        """Return the nodes that say that they lead; a frozen one must not be among them."""
        return [node for node in self.nodes if await node.metric("ddnsd_leader")]

    async def is_led(self) -> bool:
        """Say whether one node leads."""
        return len(await self.leaders()) == 1

    async def leader(self) -> Installation:
        """Return the node that leads."""
        (leader,) = await self.leaders()
        return leader

    async def follower(self) -> Installation:
        """Return a node that does not lead."""
        leader = await self.leader()
        return next(node for node in self.nodes if node is not leader)

    @property
    def addresses(self) -> Sequence[str]:
        """Where the nodes take changes."""
        return [node.addresses["public"] for node in self.nodes]

    @property
    def places(self) -> Sequence[Place]:
        """Where the parts are."""
        members, nodes = self.etcd.members, self.nodes
        return [*(member.place for member in members), self.nameserver.place, *(node.place for node in nodes)]

    def isolate(self, place: Place) -> None:
        """Cut a part off from all others; clients still reach it."""
        self.network.cut(place, *(other for other in self.places if other != place))
