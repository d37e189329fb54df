"""A steady load of changes, and witnesses who check what the nameserver serves meanwhile."""

import asyncio
import contextlib
import itertools
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence

import dns.exception

from ddnsd.aio import wait_for
from tests.rigs.base import NameserverRig
from tests.system.http import Client
from tests.system.installation import UPDATE, Installation
from tests.waiting import paced, until

Query = Callable[[str, str], Awaitable[tuple[str, ...]]]

UPDATED, UNCHANGED = "DDNS 更新成功", "IP 地址未变化,无需更新"
NOT_PUBLISHED, NOT_STORED = "更新 DNS 服务器失败", "更新数据库失败"
_GLANCE = 0.001  # seconds between two questions of a witness


def address(number: int) -> str:
    """Return the address that stands for a number: the n-th value of a name."""
    return f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"


def number(values: Sequence[str]) -> int:
    """Return the number that an answer stands for, -1 for none."""
    if not values:
        return -1
    assert len(values) == 1, values
    _, high, middle, low = map(int, values[0].split("."))
    return high << 16 | middle << 8 | low


class Load:
    """One client for each host. Each counts up; a change that was not published is sent again or not."""

    def __init__(self, ddnsd: Installation, hosts: Sequence[str], seed: int = 1) -> None:
        self.sent = dict.fromkeys(hosts, 0)  # newest value that may be committed
        self.done = dict.fromkeys(hosts, 0)  # newest value answered as published
        self.answers: dict[str, int] = {}
        self.lost = 0  # requests that got no answer at all
        self._ddnsd = ddnsd
        self._random = random.Random(seed)
        self._stopping = asyncio.Event()

    def stop(self) -> None:
        self._stopping.set()

    async def run(self) -> None:
        await asyncio.gather(*map(self._client, self.sent))

    async def _client(self, host: str) -> None:
        client = Client(self._ddnsd.addresses["public"])
        again = False
        while not self._stopping.is_set():
            if not again:
                self.sent[host] += 1
            try:
                again = await self._step(client, host)
            except (OSError, asyncio.IncompleteReadError):
                self.lost += 1
                again = self._random.random() < 0.5
                await wait_for(self._stopping, 0.01)
        await client.close()

    async def _step(self, client: Client, host: str) -> bool:
        """Send the newest value; say whether to send it again."""
        sent = self.sent[host]
        reply = await client.get(UPDATE, domain=host, ip=address(sent), token=self._ddnsd.secret)
        self.answers[reply.message] = self.answers.get(reply.message, 0) + 1
        if reply.message in (UPDATED, UNCHANGED):
            self.done[host] = sent
            return False
        assert reply.message in (NOT_PUBLISHED, NOT_STORED), reply
        return self._random.random() < 0.5


class Witness:
    """Asks for the names over and over. A name never goes back, and never stops resolving."""

    def __init__(self, query: Query, hosts: Sequence[str]) -> None:
        self.seen = dict.fromkeys(hosts, -1)
        self.looks = 0
        self._query = query

    async def run(self) -> None:
        async for host in paced(itertools.cycle(self.seen), _GLANCE):
            await self.look(host)

    async def look(self, host: str) -> None:
        try:
            now = number(await self._query(host, "A"))
        except (OSError, dns.exception.DNSException):
            return
        assert now >= self.seen[host], f"{host} went from value {self.seen[host]} back to {now}"
        self.seen[host] = now
        self.looks += 1


@contextlib.asynccontextmanager
async def running(*coroutines: Coroutine[None, None, None]) -> AsyncIterator[list[asyncio.Task[None]]]:
    """Run these beside the block; a failure of one is the block's."""
    tasks = [asyncio.create_task(coroutine) for coroutine in coroutines]
    try:
        yield tasks
        for task in tasks:
            if task.done():
                task.result()
    finally:
        for task in tasks:
            while not task.done():  # asyncio.wait_for of Python 3.11, in dnspython, can lose a cancellation
                task.cancel()
                await asyncio.wait([task], timeout=0.1)


async def go_on(seconds: float, *clients: asyncio.Task[None]) -> None:
    """Let the clients go on for so long; a failure of one is raised at once."""
    done, _ = await asyncio.wait(clients, timeout=seconds, return_when=asyncio.FIRST_EXCEPTION)
    for client in done:
        client.result()


async def all_served(rig: NameserverRig, values: dict[str, int], seconds: float) -> float:
    """Wait until the nameserver serves these values; return how long that took."""
    missing = dict(values)

    async def served() -> bool:
        for host, value in list(missing.items()):
            try:
                if number(await rig.query(host, "A")) != value:
                    return False
            except (OSError, dns.exception.DNSException):
                return False
            del missing[host]
        return True

    return await until(served, seconds, f"all of {len(values)} names served")
