"""A real nameserver that refuses or holds back what a test has it, and counts what it is asked."""

from asyncio import Event
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from ddnsd.nameserver.embedded import EmbeddedNameserver
from ddnsd.nameserver.interface import (
    Hidden,
    QueryRefusedError,
    Rcode,
    RecordType,
    RRset,
    UnreachableError,
    Update,
)
from ddnsd.store.embedded import open_embedded
from tests.leader.node import POLICY, Node, embedded_nameservers, example, node_on
from tests.rigs.forwarding import ForwardingNameserver
from tests.waiting import until

Judge = Callable[[Update], Rcode | None]


class Moody(ForwardingNameserver):
    """A real nameserver, but for what the test has it refuse."""

    def __init__(self, real: EmbeddedNameserver) -> None:
        super().__init__(real)
        self.judge: Judge = lambda _: None
        self.transfers = True
        self.updates: list[Update] = []
        self.queries = 0
        self.is_silent = False
        self.transferring = Event()  # a transfer has begun ...
        self.passes = Event()  # ... and goes on once this is set
        self.passes.set()

    async def asked(self, times: int) -> float:
        """Wait until it has been asked so many times more; return how many seconds that took."""
        before = len(self.updates) + self.queries
        return await until(lambda: len(self.updates) + self.queries >= before + times)

    async def update(self, update: Update) -> Rcode:
        self.updates.append(update)
        return self.judge(update) or await self.real.update(update)

    async def query(self, zone: str, name: str, type: RecordType) -> RRset | Hidden | None:
        self.queries += 1
        if self.is_silent:
            raise UnreachableError("no connection")
        return await self.real.query(zone, name, type)

    async def transfer(self, zone: str) -> AsyncIterator[Sequence[RRset]]:
        if not self.transfers:
            raise QueryRefusedError("no transfers here")
        self.transferring.set()
        await self.passes.wait()
        async for part in self.real.transfer(zone):
            yield part


@asynccontextmanager
async def moody_node(
    folder: Path, *, timeout: float = 8.0, reconcile: float = 3600
) -> AsyncIterator[tuple[Node, Moody]]:
    store = await open_embedded(folder / "store")
    policy = replace(POLICY, reconcile_interval=reconcile)
    try:
        async with embedded_nameservers(folder) as servers:
            moody = Moody(servers["default"])
            async with node_on(store, {"default": moody}, timeout=timeout, policy=policy) as node:
                node.lead()
                await node.apply(*example())
                yield node, moody
    finally:
        await store.close()
