"""`python -m bench.pairs BEFORE [--pairs 15]`: is this checkout as fast as another one?

BEFORE is the folder of a checkout, with a .venv of its own where its libraries are others. Both are started
once and measured in turns, so that what else the machine does meets both alike; ddnsd has a core of its own,
and with `--first` goes ahead of everything else there. What counts is the median of the pairs' ratios, with
its 95 % interval (order statistics: it supposes no distribution).
"""

import argparse
import asyncio
import json
import math
import os
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple, Self

from rich.console import Console
from rich.table import Table

from bench.abuse import placed, put_threads_first
from bench.backlog import replacement
from bench.hosts import Hosts
from bench.load import WrongAnswerError, load
from tests.rigs import BindRig
from tests.rigs.etcd import EtcdRig, versions
from tests.rigs.former import environ_of
from tests.system.installation import Installation

_ROOT = Path(__file__).parents[1]
_OURS, _THEIRS = 0, 1  # cores
_WIDTH = 120
_CONFIDENCE = 0.95
_FIRST_TTL = 60


class Figure(NamedTuple):
    """What is measured. `is_rate`: more is better, and no ratio below the bound; else none above it."""

    name: str
    unit: str
    is_rate: bool
    ratio: float  # that the median of the ratios has to reach, or may not exceed
    most: float | None = None  # that the median of this checkout's own figures may not exceed, in the unit


_RATE = ("a second", True, 0.97)
FIGURES = {
    figure.name: figure
    for figure in (
        Figure("changed, embedded", *_RATE),
        Figure("unchanged, embedded", *_RATE),
        Figure("changed, etcd", *_RATE),
        Figure("unchanged, etcd", *_RATE),
        Figure("published", *_RATE),
        Figure("committed", *_RATE),
        Figure("memory of a node", "MiB", False, 1.03),
        Figure("ddnsd --version", "s", False, math.inf, 0.1),
        Figure("ddnsd status", "s", False, math.inf, 0.5),
    )
}
_MOST_UNSURE = 0.05  # half of the interval, where a rate that has lost more may still be as good as it was


class Plan(NamedTuple):
    """How much is measured."""

    pairs: int
    seconds: int  # of each load
    names: int  # of each sort, in each zone
    is_first: bool


class Side:
    """One of the two checkouts, with all of its nodes running."""

    def __init__(self, tree: Path, name: str, plan: Plan, stack: AsyncExitStack) -> None:
        own = tree / ".venv" / "bin" / "python"
        self._python = str(own) if own.exists() else sys.executable
        self._environ = environ_of(tree)
        self._tree = tree
        self._plan = plan
        self._stack = stack
        self._hosts = {
            kind: Hosts(f"{kind}.{name}.example", plan.names) for kind in ("embedded", "etcd", "bind")
        }

    @staticmethod
    def zones(name: str) -> Sequence[str]:
        """Return the zones that BIND must have."""
        return f"etcd.{name}.example", f"bind.{name}.example"

    async def start(self, folder: Path, bind: BindRig, etcd: EtcdRig) -> Self:
        """Start its three nodes and the process that commits."""
        cluster = {"endpoints": [etcd.members[0].url], "prefix": f"{folder.name}/"}
        self._embedded = await self._node(folder / "embedded", self._hosts["embedded"])
        etcd_store = {"kind": "etcd", "etcd": cluster}
        self._etcd = await self._node(folder / "etcd", self._hosts["etcd"], bind, store=etcd_store)
        self._bind = await self._node(folder / "bind", self._hosts["bind"], bind)
        self._committer = await self._stack.enter_async_context(self._committing())
        return self

    async def _node(
        self, folder: Path, hosts: Hosts, rig: BindRig | None = None, **settings: Any
    ) -> Installation:
        folder.mkdir(parents=True)
        settings |= {
            "log": {"format": "json", "level": "info"},
            "http": {"idle_timeout": 3600},  # the connection is kept from one round to the next
        }
        node = Installation(folder, rig, environ=self._environ, **settings)
        node.program = (self._python, "-m", "ddnsd")
        self._stack.push_async_callback(node.close)
        with placed(_OURS, self._plan.is_first):
            await node.start()
        if self._plan.is_first:
            put_threads_first(node.pid)
        await hosts.make(node)
        await hosts.settle(node)
        return node

    @asynccontextmanager
    async def _committing(self) -> AsyncIterator[asyncio.subprocess.Process]:
        """Start `bench.store` of the checkout, with an etcd of its own: both write the same keys."""
        pipe = asyncio.subprocess.PIPE
        with placed(_THEIRS, False):
            etcd = self._stack.enter_context(EtcdRig(versions()[0]))
        with placed(_OURS, self._plan.is_first):
            process = await asyncio.create_subprocess_exec(
                *(self._python, "-m", "bench.store", etcd.members[0].url),
                cwd=self._tree,
                env={**os.environ, **self._environ},
                stdin=pipe,
                stdout=pipe,
            )
        assert process.stdin
        try:
            yield process
        finally:
            process.stdin.close()
            await process.wait()

    async def measure(self, figure: str, round: int) -> float:
        """Return one figure of one round.

        Raises:
            WrongAnswerError: an answer was not the one expected.
        """
        match figure.split(", "):
            case ["changed" | "unchanged" as what, kind]:
                node = self._embedded if kind == "embedded" else self._etcd
                hosts = self._hosts[kind]
                walk = hosts.changing(round) if what == "changed" else hosts.resting()
                return (await load(node.addresses["public"], walk, self._plan.seconds)).per_second
            case ["published"]:
                hosts = self._hosts["bind"]
                return await replacement(self._bind, hosts.zone, hosts.number, _FIRST_TTL + round)
            case ["committed"]:
                return await self._commit()
            case ["memory of a node"]:
                pages = int(Path(f"/proc/{self._embedded.pid}/statm").read_text().split()[1])
                return pages * os.sysconf("SC_PAGE_SIZE") / 2**20
            case ["ddnsd --version"]:
                return await self._command("--version")
            case ["ddnsd status"]:
                return await self._command("status")
        raise ValueError(figure)

    async def _commit(self) -> float:
        assert self._committer.stdin
        assert self._committer.stdout
        self._committer.stdin.write(f"commits {self._plan.seconds}\n".encode())
        answer = await self._committer.stdout.readline()
        if not answer:
            raise WrongAnswerError("nothing was committed")
        return float(json.loads(answer)[0])

    async def _command(self, *arguments: str) -> float:
        """Return how long a command takes, from its start to its end, in seconds."""
        began = time.perf_counter()
        with placed(_OURS, self._plan.is_first):
            process = await asyncio.create_subprocess_exec(
                *(self._python, "-m", "ddnsd", *arguments),
                env={
                    **os.environ,
                    **self._environ,
                    "DDNSD_SERVER": f"http://{self._embedded.addresses['admin']}",
                    "DDNSD_ADMIN_TOKEN_FILE": str(self._embedded.data / "admin-token"),
                },
                stdout=asyncio.subprocess.DEVNULL,
            )
            status = await process.wait()
        if status:
            raise WrongAnswerError(f"ddnsd {' '.join(arguments)}: exit status {status}")
        return time.perf_counter() - began


Pair = tuple[float, float]
"""What the commit before came to, and what this one."""


async def measure(before: Path, plan: Plan, figures: Sequence[str]) -> Mapping[str, Sequence[Pair]]:
    """Measure all pairs, by figure."""
    pairs: defaultdict[str, list[Pair]] = defaultdict(list)
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="ddnsd-pairs-", dir=_memory())))
        with placed(_THEIRS, False):
            bind = await stack.enter_async_context(BindRig((*Side.zones("before"), *Side.zones("after"))))
            etcd = stack.enter_context(EtcdRig(versions()[0]))
        sides = [
            await Side(tree, name, plan, stack).start(folder / name, bind, etcd)
            for name, tree in (("before", before), ("after", _ROOT))
        ]
        with placed(_THEIRS, False):
            for round in range(1, plan.pairs + 1):
                print(f"pair {round} of {plan.pairs}", file=sys.stderr)
                for name in figures:
                    turns = (0, 1) if round % 2 else (1, 0)  # neither is always the first
                    found = {turn: await sides[turn].measure(name, round) for turn in turns}
                    pairs[name].append((found[0], found[1]))
    return pairs


def _memory() -> str | None:
    return "/dev/shm" if Path("/dev/shm").is_dir() else None


def interval(ratios: Iterable[float]) -> tuple[float, float]:
    """Return the 95 % interval of the median, the whole range where there are too few to have one."""
    ordered = sorted(ratios)
    rank, below = 0, 0.0  # how probable it is that the median lies below the value of that rank
    while True:
        below += math.comb(len(ordered), rank) / 2 ** len(ordered)
        if below > (1 - _CONFIDENCE) / 2:
            break
        rank += 1
    place = max(rank - 1, 0)
    return ordered[place], ordered[-1 - place]


def is_met(figure: Figure, pairs: Sequence[Pair]) -> bool:
    """Say whether the target is reached."""
    ratios = [after / before for before, after in pairs]
    if figure.most is not None:
        return median(after for _, after in pairs) <= figure.most
    if not figure.is_rate:
        return median(ratios) <= figure.ratio
    low, high = interval(ratios)
    is_the_same = low <= 1 <= high and (high - low) / 2 <= _MOST_UNSURE
    return median(ratios) >= figure.ratio or is_the_same


def table(pairs: Mapping[str, Sequence[Pair]], plan: Plan) -> Table:
    """Return the table: medians of both, and of the pairs' ratios."""
    drawn = Table(title=f"The commit before and this one, {plan.pairs} pairs", title_justify="left")
    drawn.add_column("figure")
    for heading in ("", "before", "now", "ratio", "95 %", "target", ""):
        drawn.add_column(heading, justify="right")
    for name, several in pairs.items():
        figure = FIGURES[name]
        ratios = [after / before for before, after in several]
        low, high = interval(ratios)
        sign = "≥" if figure.is_rate else "≤"
        target = f"≤ {figure.most:g} s" if figure.most is not None else f"{sign} {figure.ratio:g}"
        before, after = (median(each[side] for each in several) for side in (0, 1))
        drawn.add_row(
            name,
            figure.unit,
            *(f"{each:,.0f}" if each >= 1000 else f"{each:.3g}" for each in (before, after)),
            f"{median(ratios):.3f}",
            f"{low:.3f}-{high:.3f}",
            target,
            "met" if is_met(figure, several) else "not met",
        )
    return drawn


def main() -> int:
    """Return the exit status: 1 if an answer was wrong, never because a target was missed."""
    parser = argparse.ArgumentParser(prog="bench.pairs", description=__doc__)
    parser.add_argument("before", type=Path, metavar="BEFORE", help="the folder of the other checkout")
    parser.add_argument("figures", nargs="*", metavar="FIGURE", help=f"{'; '.join(FIGURES)}; none: all")
    parser.add_argument("--pairs", type=int, default=15)
    parser.add_argument("--seconds", type=int, default=3, help="of each load")
    parser.add_argument("--names", type=int, default=2000, help="hosts of each sort")
    parser.add_argument(
        "--first", action="store_true", help="ahead of all other work on this machine (needs root)"
    )
    arguments = parser.parse_intermixed_args()
    if unknown := set(arguments.figures) - set(FIGURES):
        parser.error(f"unknown: {', '.join(sorted(unknown))}")
    plan = Plan(arguments.pairs, arguments.seconds, arguments.names, arguments.first)
    try:
        pairs = asyncio.run(measure(arguments.before.resolve(), plan, arguments.figures or list(FIGURES)))
    except WrongAnswerError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    Console(width=_WIDTH).print(table(pairs, plan))
    return 0


if __name__ == "__main__":
    sys.exit(main())
