"""Nodes on etcd, over HTTP: one in one process, and one of two workers."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import NamedTuple

from bench.hosts import Hosts
from bench.load import Rate, load
from bench.table import Figure
from tests.rigs import BindRig
from tests.rigs.etcd import EtcdRig, versions
from tests.system.installation import Installation

ZONES = ("one.example", "two.example")
"""The zones that the nameserver must have for them."""


class EtcdNode(NamedTuple):
    """A node that runs, with its names, and which figures it is measured for."""

    ddnsd: Installation
    hosts: Hosts
    changed: Figure
    unchanged: Figure

    async def measure(self, round: int, seconds: int) -> Sequence[tuple[Figure, Rate]]:
        """Return what one round came to.

        Raises:
            WrongAnswerError: an answer was not the one expected.
        """
        endpoint = self.ddnsd.addresses["public"]
        return [
            (self.changed, await load(endpoint, self.hosts.changing(round), seconds)),
            (self.unchanged, await load(endpoint, self.hosts.resting(), seconds)),
        ]


@asynccontextmanager
async def etcd_nodes(folder: Path, bind: BindRig, names: int) -> AsyncIterator[Sequence[EtcdNode]]:
    """Start an etcd of one member, its data in memory, and both nodes, each under a prefix of its own."""
    figures = (
        (1, Figure.CHANGED_ETCD, Figure.UNCHANGED_ETCD),
        (2, Figure.CHANGED_WORKERS, Figure.UNCHANGED_WORKERS),
    )
    async with AsyncExitStack() as stack:
        etcd = stack.enter_context(EtcdRig(versions()[0]))
        nodes = []
        for zone, (workers, changed, unchanged) in zip(ZONES, figures, strict=True):
            (folder / zone).mkdir()
            cluster = {"endpoints": [etcd.members[0].url], "prefix": f"{zone}/"}
            ddnsd = Installation(
                folder / zone,
                bind,
                workers=workers,
                store={"kind": "etcd", "etcd": cluster},
                log={"format": "json", "level": "info"},
            )
            await stack.enter_async_context(ddnsd)
            node = EtcdNode(ddnsd, Hosts(zone, names), changed, unchanged)
            await node.hosts.make(ddnsd)
            await node.hosts.settle(ddnsd)
            nodes.append(node)
        yield nodes
        for node in nodes:
            await node.ddnsd.terminate()
