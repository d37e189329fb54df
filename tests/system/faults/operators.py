"""Operators at work during faults: tokens that are allowed and revoked, hosts that come and go.

Each has one operator, who does one thing after the other and repeats it until it is done. So what a request
may find is known: what was done last, or what is being done at that moment.
"""

import asyncio
import itertools
import random
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from math import inf
from typing import Any, NamedTuple

from ddnsd.aio import wait_for
from ddnsd.model.resources import digest
from tests.rigs.documents import document
from tests.system.http import Client, Reply
from tests.system.installation import UPDATE, Installation
from tests.system.load import UNCHANGED, UPDATED
from tests.waiting import paced

PATIENCE = 3.0  # seconds that an operator, or a client, waits for an answer
_PAUSE = 0.2  # seconds between two things that one of them does
_FAILED = 0.1  # seconds after a failure
NO_TOKEN = "无效的 token"


class Order(NamedTuple):
    """What an operator asked for: from `begin` on it may be so, from `end` on it is; inf: not answered."""

    allows: bool
    begin: float
    end: float


class Look(NamedTuple):
    """What a client's request found: whether it was let in."""

    allowed: bool
    begin: float
    end: float


class Subject:
    """Something that is allowed or not, by turns: all orders and all looks."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.orders: list[Order] = []
        self.looks: list[Look] = []

    def faults(self) -> list[str]:
        """Return the looks that no order of the orders explains.

        An order may come into force at any time after it began, also long after its answer was lost: until
        then what was done before holds. What is answered has come into force.
        """
        wrong = (look for look in self.looks if not self._fits(look))
        return [f"{self.name}: {look} after {self._before(look)}" for look in wrong]

    def _fits(self, look: Look) -> bool:
        newest = max((order.end for order in self.orders if order.end < look.begin), default=-inf)
        for order in self.orders:
            may_hold = order.begin < look.end and (order.end >= newest)
            if may_hold and order.allows == look.allowed:
                return True
        return not self.orders or newest == -inf

    def _before(self, look: Look) -> Sequence[Order]:
        return [order for order in self.orders if order.begin < look.end][-4:]


def _any_of(nodes: Sequence[Installation], chance: random.Random) -> Iterator[Installation]:
    """Yield one of the nodes, again and again."""
    while True:
        yield chance.choice(nodes)


class Operator:
    """Allows and revokes one subject by turns, at any node, while a client asks any node for it."""

    def __init__(self, number: int, nodes: Sequence[Installation], seed: int) -> None:
        self.leaving = asyncio.Event()
        self.subject = Subject(f"subject {number}")
        self._number = number
        self._secret = f"operators-secret-{number:08}"
        self._host = f"subject{number}.example.com"
        self._nodes = nodes
        self._chance = random.Random(f"{seed} {number}")

    def documents(self) -> list[dict[str, Any]]:
        """Return what has to be there before: the subject is allowed."""
        account = f"account{self._number}"
        host = document("Host", self._host, account=account)
        return [document("Account", account), self._token(allowed=True), host]

    async def run(self) -> None:
        """Go on until it is `leaving`; then the subject is allowed."""
        self.subject.orders.append(Order(True, time.monotonic(), time.monotonic()))
        looking = asyncio.create_task(self._look())
        try:
            allowed = True
            while not self.leaving.is_set() or not allowed:
                allowed = not allowed
                await self._order(allowed)
                await wait_for(self.leaving, _PAUSE * self._chance.random())
        finally:
            looking.cancel()
            await asyncio.gather(looking, return_exceptions=True)

    async def _order(self, allowed: bool) -> None:
        """Repeat it until it is done."""
        async for node in paced(_any_of(self._nodes, self._chance), _FAILED):
            begin = time.monotonic()
            done = await succeeds(node, "POST", "apply", [self._token(allowed=allowed)])
            self.subject.orders.append(Order(allowed, begin, time.monotonic() if done else inf))
            if done:
                return

    async def _look(self) -> None:
        """Ask any node for a change, again and again: is it let in?"""
        async for number in paced(itertools.count(1), lambda: _PAUSE * self._chance.random()):
            client = Client(self._chance.choice(self._nodes).addresses["public"])
            begin = time.monotonic()
            try:
                async with asyncio.timeout(PATIENCE):
                    reply = await self._ask(client, f"10.9.{number >> 8 & 255}.{number & 255}")
            except (OSError, asyncio.IncompleteReadError):
                continue
            finally:
                await client.close()
            if reply.message in (UPDATED, UNCHANGED, NO_TOKEN):
                self.subject.looks.append(Look(reply.message != NO_TOKEN, begin, time.monotonic()))

    async def _ask(self, client: Client, ip: str) -> Reply:
        return await client.get(UPDATE, domain=self._host, ip=ip, token=self._secret)

    def _token(self, *, allowed: bool) -> dict[str, Any]:
        spec = {"sha256": digest(self._secret), "disabled": not allowed}
        return document("Token", f"token{self._number}", account=f"account{self._number}", **spec)


class Tenant:
    """Hosts that are made, get an address, and are deleted: one after the other, each with another name."""

    def __init__(self, number: int, nodes: Sequence[Installation], seed: int) -> None:
        self.leaving = asyncio.Event()
        self.hosts: list[str] = []
        self._number = number
        self._nodes = nodes
        self._chance = random.Random(f"tenant {seed} {number}")

    async def run(self) -> None:
        """Go on until it is `leaving`; then all hosts are deleted."""
        while not self.leaving.is_set():
            turn = len(self.hosts) + 1
            host = f"tenant{self._number}-{turn}.example.com"
            self.hosts.append(host)
            await self._repeat("POST", "apply", [document("Host", host, account="alice")])
            await self._change(host, f"10.8.{turn >> 8 & 255}.{turn & 255}")
            await self._repeat("DELETE", f"hosts/{host}")
            await wait_for(self.leaving, _PAUSE * self._chance.random())

    async def _repeat(self, method: str, path: str, body: Any = None) -> None:
        async for node in paced(_any_of(self._nodes, self._chance), _FAILED):
            if await succeeds(node, method, path, body):
                return

    async def _change(self, host: str, ip: str) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            async with asyncio.timeout(PATIENCE):
                await self._chance.choice(self._nodes).update(host, ip)


async def succeeds(node: Installation, method: str, path: str, body: Any = None) -> bool:
    """Ask a node's admin API; return whether it was done: what is to be deleted may be gone already."""
    try:
        async with asyncio.timeout(PATIENCE):
            reply = await node.admin(method, path, body)
    except (OSError, asyncio.IncompleteReadError):  # TimeoutError is an OSError
        return False
    return reply.status < 300 or (method == "DELETE" and reply.status == 404)
