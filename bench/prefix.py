"""`python -m bench.prefix`: one call gives all hosts behind a router their addresses below another prefix.

etcd (one member, its data in memory), ddnsd and BIND on one machine. The clock runs from the call to its
answer, which says that the nameserver has it all; a zone transfer then says the same. Beside it somebody
else's host changes its address again and again: what the move costs the others.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import NamedTuple

from bench.load import CONNECTIONS, WrongAnswerError, address
from ddnsd.model.resources import digest
from tests.rigs import BindRig
from tests.rigs.documents import document
from tests.rigs.etcd import EtcdRig, versions
from tests.system.http import Client
from tests.system.installation import SECRET, Installation, example
from tests.system.load import UPDATED
from tests.system.prefix import NEW, OLD, Router

_TIMEOUT = 60  # seconds; publish.timeout
_PAUSE = 0.02  # seconds between two changes of the other host
_OTHER, _OTHER_SECRET = "other.example.com", "somebody-elses-0123456789"


class Beside(NamedTuple):
    """The latencies of somebody else's changes, in seconds."""

    latencies: list[float]

    def __str__(self) -> str:
        ordered = sorted(self.latencies)
        p50, p99 = (1000 * ordered[len(ordered) * percent // 100] for percent in (50, 99))
        return f"p50 {p50:.1f} ms, p99 {p99:.1f} ms, longest {1000 * ordered[-1]:.0f} ms of {len(ordered)}"


class Bench:
    """An installation whose hosts follow prefixes."""

    def __init__(self, ddnsd: Installation, bind: BindRig, router: Router) -> None:
        self._ddnsd = ddnsd
        self._bind = bind
        self._router = router
        self._laps = count()

    @classmethod
    @asynccontextmanager
    async def running(cls, hosts: int) -> AsyncIterator["Bench"]:
        """Start everything, with `hosts` hosts that have A alone."""
        router = Router(hosts)
        with tempfile.TemporaryDirectory(prefix="ddnsd-bench-") as folder, EtcdRig(versions()[0]) as etcd:
            async with BindRig((router.zone,)) as bind:
                ddnsd = Installation(
                    Path(folder),
                    bind,
                    store={"kind": "etcd", "etcd": {"endpoints": [etcd.members[0].url]}},
                    publish={"timeout": _TIMEOUT},
                    fair_use={"enabled": False},
                    log={"format": "json", "level": "info"},
                )
                async with ddnsd:
                    bench = cls(ddnsd, bind, router)
                    await bench._make()
                    yield bench

    async def _make(self) -> None:
        other = [
            document("Account", "bob"),
            document("Token", "bob", account="bob", sha256=digest(_OTHER_SECRET)),
            document("Host", _OTHER, account="bob"),
        ]
        await self._ddnsd.apply(*example([]), *other, *self._router.documents)
        gate = asyncio.Semaphore(CONNECTIONS)

        async def give(host: str, ip: str) -> None:
            async with gate:
                reply = await self._ddnsd.update(host, ip)
            _demand(reply.message == UPDATED, reply.message)

        await asyncio.gather(*(give(record.name, record.value) for record in self._router.ipv4))

    async def move(self, prefix: str) -> tuple[float, Beside]:
        """Move all hosts; return after how many seconds that was answered, and what went on beside it.

        Raises:
            WrongAnswerError: the answer, or what is served then, is not what it should be.
        """
        client = Client(self._ddnsd.addresses["public"])
        async with self._changes() as beside:
            began = time.perf_counter()
            reply = await self._router.move(client, prefix, SECRET)
            seconds = time.perf_counter() - began
        await client.close()
        _demand(reply.message == UPDATED, reply.body.decode())
        counted = reply.json["data"]["prefix"]
        _demand(counted["hosts"] == counted["moved"] == self._router.count, str(counted))
        await self._check(prefix)
        return seconds, beside

    async def beside_nothing(self, seconds: float) -> Beside:
        """Return what the other host's changes take when there is nothing else."""
        async with self._changes() as beside:
            await asyncio.sleep(seconds)
        return beside

    @asynccontextmanager
    async def _changes(self) -> AsyncIterator[Beside]:
        """Change the other host's address as long as the block takes; the last one is waited for."""
        beside, is_over = Beside([]), asyncio.Event()

        async def change() -> None:
            while not is_over.is_set():
                began = time.perf_counter()
                reply = await self._ddnsd.update(_OTHER, address(next(self._laps)), _OTHER_SECRET)
                beside.latencies.append(time.perf_counter() - began)
                _demand(reply.message == UPDATED, reply.message)
                await asyncio.sleep(_PAUSE)

        async with asyncio.TaskGroup() as group:
            group.create_task(change())
            yield beside
            is_over.set()

    async def _check(self, prefix: str) -> None:
        """Compare what the nameserver serves (AXFR) with what all hosts should have, of both families."""
        served = await self._bind.zone_records(self._router.zone)
        ours = {each for each in served if each.type in ("A", "AAAA") and each.name.startswith("h")}
        wanted = {*self._router.ipv4, *self._router.ipv6(prefix)}
        _demand(ours == wanted, f"{len(wanted - ours)} records missing, {len(ours - wanted)} wrong")


def _demand(holds: bool, what: str) -> None:
    if not holds:
        raise WrongAnswerError(what)


async def measure(hosts: int) -> None:
    """Print what was measured."""
    async with Bench.running(hosts) as bench:
        print(f"somebody else's changes, beside nothing: {await bench.beside_nothing(5)}")
        for what, prefix in (("first", OLD), ("moved", NEW), ("back", OLD), ("again", NEW)):
            seconds, beside = await bench.move(prefix)
            print(
                f"{what:>6}: {hosts} hosts in {seconds:.2f} s, {hosts / seconds:,.0f}/s; meanwhile {beside}"
            )


def main() -> int:
    """Measure; return the exit status."""
    parser = argparse.ArgumentParser(prog="bench.prefix", description=__doc__)
    parser.add_argument("--hosts", type=int, default=10_000)
    try:
        asyncio.run(measure(parser.parse_args().hosts))
    except WrongAnswerError as error:
        print(f"bench.prefix: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
