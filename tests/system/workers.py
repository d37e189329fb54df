"""A node of several workers, seen from outside: who is who, a connection to each, and visitors."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from prometheus_client.core import Sample
from prometheus_client.parser import text_string_to_metric_families

from tests.system.http import Client
from tests.system.installation import SECRET, UPDATE, Installation
from tests.system.load import UPDATED, address
from tests.system.wire import Wire
from tests.waiting import until


def pids(ddnsd: Installation) -> dict[int, int]:
    """Return the process id of each worker, by its number, as the parent logged it last."""
    return {event["worker"]: event["pid"] for event in ddnsd.events("worker.started")}


@contextmanager
def only(ddnsd: Installation, number: int) -> Iterator[None]:
    """Freeze all workers but this one; for less than a lease lasts."""
    others = [pid for other, pid in pids(ddnsd).items() if other != number]
    for pid in others:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in others:
            os.kill(pid, signal.SIGCONT)


@asynccontextmanager
async def through(ddnsd: Installation, number: int, listener: str = "public") -> AsyncIterator[Client]:
    """Yield a client with one connection, to this worker."""
    client = Client(ddnsd.addresses[listener])
    with only(ddnsd, number):
        await client.get("/")
    yield client
    await client.close()


async def samples(ddnsd: Installation) -> list[Sample]:
    """Return all metrics; they are in Prometheus' format, each family once."""
    client = Client(ddnsd.addresses["health"])
    text = (await client.get("/metrics")).body.decode()
    await client.close()
    for mark in ("# HELP ", "# TYPE "):
        names = [line.split()[2] for line in text.splitlines() if line.startswith(mark)]
        assert len(names) == len(set(names))
    return [sample for family in text_string_to_metric_families(text) for sample in family.samples]


async def all_run(ddnsd: Installation, count: int = 2) -> None:
    """Wait until each worker tells its metrics, and one of them leads."""

    async def run() -> bool:
        leads = [sample for sample in await samples(ddnsd) if sample.name == "ddnsd_leader"]
        return len(leads) == count and sum(sample.value for sample in leads) == 1

    await until(run, 20, f"{count} workers run")


def is_gone(pid: int) -> bool:
    """Say whether a process has ended, or is dead and not yet buried."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except FileNotFoundError:
        return True


class Visitor:
    """Changes one name's address over and over, each time over a new connection, until it is refused."""

    def __init__(self, ddnsd: Installation, host: str) -> None:
        self.answers: list[str] = []
        self.lost = 0  # connected, and not answered
        self.was_refused = False
        self._ddnsd = ddnsd
        self._host = host
        self._leaving = False

    def leave(self) -> None:
        """End after the next answer."""
        self._leaving = True

    async def run(self) -> None:
        """Go on until refused, or told to leave."""
        number = 0
        while not self._leaving and not self.was_refused:
            number += 1
            try:
                await self._visit(address(number))
            except ConnectionRefusedError:
                self.was_refused = True

    async def _visit(self, ip: str) -> None:
        query = f"{UPDATE}?domain={self._host}&ip={ip}"
        head = f"GET {query} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {SECRET}\r\nConnection: close\r\n"
        async with Wire(self._ddnsd.addresses["public"]) as wire:
            await wire.send(f"{head}\r\n".encode())
            reply = await wire.receive("GET")
        if reply is None:
            self.lost += 1
        else:
            self.answers.append(reply.message)


class Visitors:
    """Some visitors at once, each with a host of its own."""

    def __init__(self, ddnsd: Installation, hosts: list[str]) -> None:
        self.all = [Visitor(ddnsd, host) for host in hosts]

    async def run(self) -> None:
        """Until each has been refused, or told to leave."""
        await asyncio.gather(*(visitor.run() for visitor in self.all))

    async def leave(self) -> None:
        for visitor in self.all:
            visitor.leave()

    async def come(self, rounds: int) -> None:
        """Wait until each has been answered so many times more."""
        wanted = [len(visitor.answers) + rounds for visitor in self.all]

        async def came() -> bool:
            return all(len(each.answers) >= want for each, want in zip(self.all, wanted, strict=True))

        await until(came, 20, f"{rounds} answers to each visitor")

    def wrong(self) -> set[str]:
        """Return the answers that a change should not get."""
        return {answer for visitor in self.all for answer in visitor.answers} - {UPDATED}
