"""`python -m bench.abuse`: what connections that know no limit cost the others.

198 connections of well-behaved clients are measured alone and beside abusive ones, as a rule two, in turn.
ddnsd has a core of its own; the clients, good and bad, have the other. Meanwhile `/readyz` is asked on a new
connection ten times a second, and it is counted whether the node lost its leadership.
"""

import argparse
import asyncio
import contextlib
import os
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from rich.console import Console
from rich.table import Table

from bench.abuser import (
    DEAD_HOST,
    DEAD_ZONE,
    FLOODS,
    HOST,
    KINDS,
    LISTENERS,
    PROXIED,
    REFUSED_HOST,
    REFUSED_ZONE,
    TOKEN,
    ZONE,
)
from bench.load import WrongAnswerError
from bench.paced import Paced
from ddnsd.model.resources import digest
from tests.rigs import BindRig
from tests.rigs.client import Record
from tests.rigs.documents import document
from tests.system.http import Client
from tests.system.installation import Installation

_RESTING = Paced("resting.example", 178, 200, changes=False, pause=100)
_MOVING = Paced("moving.example", 20, 200, changes=True, pause=500)
_AT_MOST = 2.0  # times as long may the slowest hundredth take
_READY_SECONDS = 0.5  # that `/readyz` may take
_WIDTH = 130
_MANY, _AT_ONCE = 20_000, 2_000  # hosts of the abuser's account, and how many are applied at once
_OURS, _THEIRS = 0, 1  # cores
_MEMORY = Path("/dev/shm")  # where the data are: the disk is not what is measured


class Plan(NamedTuple):
    """How much is measured, and whether other work on this machine has to wait for that.

    What comes first may have 95 % of a core (sched(7)): no way to measure what takes more.
    """

    rounds: int
    seconds: int  # of each half of a round
    first: bool


class Half(NamedTuple):
    """What the good clients saw, in milliseconds; how often the bad ones got through; ddnsd's memory."""

    p50: float
    p99: float
    changed_p99: float  # of those alone whose address was another
    abuses: int
    resident: int  # MiB
    ready: float  # the longest that /readyz took, in seconds
    elections: int


Samples = Mapping[str, Sequence[tuple[Half, Half]]]  # by kind: without and with


@contextmanager
def placed(core: int, first: bool) -> Iterator[None]:
    """Run on this core, and all that is started meanwhile, if need be ahead of what others do there."""
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    if first:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    yield
    if first:
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
    os.sched_setaffinity(0, cores)


def put_threads_first(pid: int) -> None:
    """Let a process' other threads, such as the store's, interrupt its event loop, as they else would."""
    for thread in map(int, os.listdir(f"/proc/{pid}/task")):
        if thread != pid:
            os.sched_setscheduler(thread, os.SCHED_RR, os.sched_param(2))


async def measure(plan: Plan, kinds: Sequence[str]) -> Samples:
    """Return what each kind of abuse did to the others.

    Raises:
        WrongAnswerError: a good client was not told that all is well.
    """
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ddnsd-bench-", dir=_MEMORY)))
        alias = Record(REFUSED_HOST, 60, "CNAME", "elsewhere.example.")
        bind = await stack.enter_async_context(BindRig((REFUSED_ZONE,), records=(alias,)))
        settings: dict[str, Any] = {"fair_use": {"enabled": True}, "log": {"format": "json", "level": "info"}}
        settings |= {"trusted_proxies": ["127.0.0.0/8"]} if set(kinds) & set(PROXIED) else {}
        ddnsd = Installation(folder, nameservers=_nameservers(folder, bind), **settings)
        stack.push_async_callback(ddnsd.close)
        with placed(_OURS, plan.first):
            await ddnsd.start()
        await _prepare(ddnsd, _MANY if "labels" in kinds else 0)
        if plan.first:
            put_threads_first(ddnsd.pid)
        with placed(_THEIRS, plan.first):
            return await _rounds(ddnsd, plan, kinds)


async def _rounds(ddnsd: Installation, plan: Plan, kinds: Sequence[str]) -> Samples:
    samples: dict[str, list[tuple[Half, Half]]] = {kind: [] for kind in kinds}
    for number in range(plan.rounds):
        print(f"round {number + 1} of {plan.rounds}", file=sys.stderr)
        for place, kind in enumerate(kinds):
            run = 2 * (number * len(kinds) + place) + 1
            alone = await _half(ddnsd, plan, run, "")
            samples[kind].append((alone, await _half(ddnsd, plan, run + 1, kind)))
    return samples


def _nameservers(folder: Path, bind: BindRig) -> Mapping[str, Any]:
    """Return an embedded one, one that nobody hears, and one that refuses a record."""

    def signed(name: str, secret: str) -> Mapping[str, str]:
        key = folder / f"{name}.key"
        key.touch(mode=0o600)
        key.write_text(secret)
        return {"name": bind.key_name, "algorithm": bind.key_algorithm, "secret_file": str(key)}

    address = {"kind": "rfc2136", "address": "127.0.0.1"}
    return {
        "default": {"kind": "embedded", "listen": "127.0.0.1:0"},
        "dead": {**address, "port": 1, "key": signed("dead", bind.secret_text)},
        "refusing": {**address, "port": bind.port, "key": signed("refusing", bind.secret_text)},
    }


async def _prepare(ddnsd: Installation, many: int) -> None:
    await ddnsd.apply(
        *_RESTING.documents(),
        *_MOVING.documents(),
        document("Zone", ZONE),
        document("Account", "mallory"),
        document("Zone", DEAD_ZONE, nameserver="dead"),
        document("Zone", REFUSED_ZONE, nameserver="refusing"),
        document("Host", REFUSED_HOST, account="mallory"),
        document("Host", HOST, account="mallory"),
        document("Host", DEAD_HOST, account="mallory"),
        document("Token", "mallory", account="mallory", sha256=digest(TOKEN)),
    )
    hosts = [document("Host", f"h{number}.{ZONE}", account="mallory") for number in range(many)]
    for start in range(0, many, _AT_ONCE):
        await ddnsd.apply(*hosts[start : start + _AT_ONCE])
    await _RESTING.settle(ddnsd)


async def _half(ddnsd: Installation, plan: Plan, run: int, kind: str) -> Half:
    endpoint, before = ddnsd.addresses["public"], len(ddnsd.events("leader.elected"))
    abuser = await _abuser(kind, ddnsd, plan.seconds) if kind else None
    probing = asyncio.create_task(_longest_ready(ddnsd.addresses["health"]))
    resting, moving = await asyncio.gather(
        _RESTING.run(endpoint, run, plan.seconds), _MOVING.run(endpoint, run, plan.seconds)
    )
    probing.cancel()
    abuses = int((await abuser.communicate())[0]) if abuser else 0
    together = resting.and_(moving)
    pages = int(Path(f"/proc/{ddnsd.pid}/statm").read_text().split()[1])
    resident = pages * os.sysconf("SC_PAGE_SIZE") >> 20
    elections = len(ddnsd.events("leader.elected")) - before
    half, most, moved = together.quantile(0.5), together.quantile(0.99), moving.quantile(0.99)
    return Half(half, most, moved, abuses, resident, await probing, elections)


async def _longest_ready(health: str) -> float:
    """Ask `/readyz`, each time on a new connection, until cancelled; return the longest time, in seconds.

    Raises:
        WrongAnswerError: it was not ready.
    """
    longest = 0.0
    with contextlib.suppress(asyncio.CancelledError):
        while True:
            client, began = Client(health), time.perf_counter()
            reply = await client.get("/readyz")
            longest = max(longest, time.perf_counter() - began)
            await client.close()
            if reply.status != 200:
                raise WrongAnswerError(f"/readyz: {reply.status} {reply.body.decode()}")
            await asyncio.sleep(0.1)
    return longest


async def _abuser(kind: str, ddnsd: Installation, seconds: int) -> asyncio.subprocess.Process:
    """Start the abusers. They are not measured, and so come after the others on their core."""
    listener = LISTENERS.get(kind, "public")
    endpoint = ddnsd.addresses["dns"]["default"] if listener == "dns" else ddnsd.addresses[listener]
    command = [
        "chrt",
        "--other",
        "0",
        "nice",
        "-n",
        "19",
        sys.executable,
        "-m",
        "bench.abuser",
        kind,
        endpoint,
        str(seconds),
    ]
    return await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)


def table(samples: Samples, plan: Plan) -> Table:
    """Return the table: medians over the rounds; a ratio is the median of the rounds' own ratios."""
    drawn = Table(title="198 clients, alone and beside some that know no limit", title_justify="left")
    drawn.add_column("abuse")
    headings = ("a second", "p50 ms", "p99 ms", "ratio", "target", "", "changes' p99 ms", "/readyz ms", "MiB")
    for heading in headings:
        drawn.add_column(heading, justify="right")
    for kind, halves in samples.items():
        alone, beside = zip(*halves, strict=True)
        ratio = median(bad.p99 / good.p99 for good, bad in halves)
        drawn.add_row(
            kind,
            f"{median(half.abuses for half in beside) / plan.seconds:,.0f}",
            *(_both(alone, beside, index) for index in (0, 1)),
            f"{ratio:.2f}",
            f"≤ {_AT_MOST:g}",
            "met" if ratio <= _AT_MOST and _is_alive(beside) else "not met",
            _both(alone, beside, 2),
            _readiness(beside),
            f"{max(half.resident for half in beside)}",
        )
    return drawn


def _is_alive(beside: Sequence[Half]) -> bool:
    """Say whether the node was ready, and the leader, all the time."""
    return all(half.ready <= _READY_SECONDS and not half.elections for half in beside)


def _readiness(beside: Sequence[Half]) -> str:
    elections = sum(half.elections for half in beside)
    longest = f"{1000 * max(half.ready for half in beside):.0f}"
    return f"{longest}, {elections} elections" if elections else longest


def _both(alone: Sequence[Half], beside: Sequence[Half], index: int) -> str:
    return " → ".join(f"{median(half[index] for half in halves):.1f}" for halves in (alone, beside))


def main() -> int:
    """Return the exit status: 1 if an answer was wrong, never because a target was missed."""
    parser = argparse.ArgumentParser(prog="bench.abuse", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="one round of 3 seconds, for a first look")
    parser.add_argument(
        "--first", action="store_true", help="ahead of all other work on this machine (needs root)"
    )
    parser.add_argument("kinds", nargs="*", metavar="KIND", help=f"{', '.join(KINDS)}; none: all but floods")
    arguments = parser.parse_args()
    if unknown := set(arguments.kinds) - set(KINDS):
        parser.error(f"unknown: {', '.join(sorted(unknown))}")
    rounds, seconds = (1, 3) if arguments.quick else (15, 2)
    plan = Plan(rounds, seconds, arguments.first)
    try:
        samples = asyncio.run(
            measure(plan, arguments.kinds or [kind for kind in KINDS if kind not in FLOODS])
        )
    except WrongAnswerError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    Console(width=_WIDTH).print(table(samples, plan))
    return 0


if __name__ == "__main__":
    sys.exit(main())
