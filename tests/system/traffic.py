"""A steady load of changes on all nodes of a cluster, by clients that follow docs/api.md; all is recorded."""

import asyncio
import itertools
import random
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Self

import dns.exception

from ddnsd.aio import wait_for
from tests.rigs.base import NameserverRig
from tests.system.history import Answer, Record, Sample
from tests.system.http import Client
from tests.system.installation import SECRET, UPDATE
from tests.system.load import UNCHANGED, UPDATED, address, go_on, running
from tests.waiting import paced

PATIENCE = 3.0  # seconds that a client waits for an answer, before it asks another node
_PAUSE = 0.1  # seconds between a name's changes
_BACKOFF = 0.1  # seconds after a failure
_GLANCE = 0.005  # seconds


class Customer(ABC):
    """Changes one name's address again and again."""

    patience = PATIENCE

    def __init__(self, host: str, nodes: Sequence[str], record: Record) -> None:
        """`nodes` are their public addresses."""
        self.leaving = asyncio.Event()
        self._host = host
        self._record = record
        self._clients = [Client(node) for node in nodes]
        self._random = random.Random(host)

    async def run(self) -> None:
        """Go on until it is `leaving`."""
        numbers = itertools.count(1)
        while not self.leaving.is_set():
            await self._change(address(next(numbers)))
            await wait_for(self.leaving, _PAUSE)
        for client in self._clients:
            await client.close()

    @abstractmethod
    async def _change(self, address: str) -> None:
        """Do what it takes to change the address."""

    async def _ask(self, node: int, address: str) -> bool:
        """Ask for a change; return whether it was answered as done.

        Raises:
            OSError, IncompleteReadError: no answer.
        """
        begin = time.monotonic()
        self._record.asked[self._host, address] += 1
        async with asyncio.timeout(self.patience):
            reply = await self._clients[node].get(UPDATE, domain=self._host, ip=address, token=SECRET)
        previous = reply.json.get("data", {}).get("old_ip")
        answer = Answer(self._host, node, address, reply.message, previous, begin, time.monotonic())
        self._record.answers.append(answer)
        return reply.message in (UPDATED, UNCHANGED)


class Wanderer(Customer):
    """Asks any node, and the next one after a failure; some changes it gives up for newer ones."""

    async def _change(self, address: str) -> None:
        node = self._random.randrange(len(self._clients))
        while not await self._try(node, address):
            if self.leaving.is_set() or self._random.random() < 0.3:
                return
            await wait_for(self.leaving, _BACKOFF)
            node = (node + 1) % len(self._clients)
        if self._random.random() < 0.2:  # what one node has answered, all must know
            await self._try((node + 1) % len(self._clients), address)

    async def _try(self, node: int, address: str) -> bool:
        try:
            return await self._ask(node, address)
        except (OSError, asyncio.IncompleteReadError):  # TimeoutError is an OSError
            self._record.lost += 1
            return False


class Resident(Wanderer):
    """Asks the one node of its region, and waits until that has an answer."""

    patience = 20.0  # above `publish.timeout` there


class Caller(Customer):
    """Connects for each change, to the next address where that is refused; nothing else may fail."""

    async def _change(self, address: str) -> None:
        first = self._random.randrange(len(self._clients))
        for node in (*range(first, len(self._clients)), *range(first)):
            try:
                assert await self._ask(node, address), self._record.answers[-1]
                return
            except ConnectionRefusedError:
                self._record.lost += 1
            finally:
                await self._clients[node].close()
        raise AssertionError(f"refused by all: {self._host}")


class Onlooker:
    """Asks the nameserver for all names, over and over."""

    def __init__(
        self, hosts: Sequence[str], nameserver: NameserverRig, record: Record, glance: float = _GLANCE
    ) -> None:
        """`glance`: seconds between two questions."""
        self._hosts = hosts
        self._glance = glance
        self._nameserver = nameserver
        self._record = record

    async def run(self) -> None:
        """Never ends."""
        async for host in paced(itertools.cycle(self._hosts), self._glance):
            await self._look(host)

    async def _look(self, host: str) -> None:
        begin = time.monotonic()
        try:
            found = await self._nameserver.query(host, "A")
        except (OSError, dns.exception.DNSException):
            return
        self._record.samples.append(Sample(host, " ".join(found), begin, time.monotonic()))


class Traffic:
    """`async with Traffic(hosts, nodes, nameserver) as traffic:` runs it; `stop` ends the changes."""

    def __init__(
        self,
        hosts: Sequence[str],
        nodes: Sequence[str],
        nameserver: NameserverRig,
        customer: type[Customer] = Wanderer,
    ) -> None:
        """`nodes` are their public addresses, or that of a proxy."""
        self.record = Record()
        self._customers = [customer(host, nodes, self.record) for host in hosts]
        self._onlooker = Onlooker(hosts, nameserver, self.record)
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        everybody = (self._onlooker.run(), *(customer.run() for customer in self._customers))
        self._looking, *self._busy = await self._stack.enter_async_context(running(*everybody))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        failure: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._stack.__aexit__(kind, failure, traceback)

    async def go_on(self, seconds: float) -> None:
        """Let all go on for so long; a failure of one is raised at once."""
        await go_on(seconds, self._looking, *self._busy)

    async def stop(self) -> None:
        """Let every client come to its end; what is served is still looked at."""
        for customer in self._customers:
            customer.leaving.set()
        await asyncio.gather(*self._busy)
