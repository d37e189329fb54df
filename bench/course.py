"""One run: everything started once, then rounds in which each figure has its turn."""

import asyncio
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import NamedTuple, Self

from bench.backlog import check_served, commit_addresses, first_publication, replacement
from bench.bare import bare_server
from bench.cluster import ZONES, EtcdNode, etcd_nodes
from bench.hosts import Hosts
from bench.load import Rate, Walk, address, load
from bench.raw import RawFeed
from bench.store import StoreProcess, store_process
from bench.table import Figure, Samples
from tests.rigs import BindRig
from tests.rigs.documents import document
from tests.system.installation import Installation

_ZONE, _BACKLOG_ZONE, _RAW_ZONE = "example.com", "backlog.example", "raw.example"
_BATCH = 200  # publish.batch, as config.yaml has it
_IP = address(0)
_FIRST_TTL = 60  # a zone's default


class Plan(NamedTuple):
    """How much is measured."""

    rounds: int
    seconds: int  # of each round of load
    names: int  # that the load walks through
    backlog: int  # records
    singles: int  # UPDATEs of one record


class Course:
    """The installations, nameservers and bare servers of a run. Make it with `start`."""

    def __init__(
        self, plan: Plan, folder: Path, bind: BindRig, on_bind: Installation, embedded: Installation
    ) -> None:
        self._plan = plan
        self._folder = folder
        self._bind = bind
        self._on_bind = on_bind
        self._embedded = embedded
        self._walked = Hosts(_ZONE, plan.names)
        self._hosts = _names(plan.backlog, _BACKLOG_ZONE)
        self._samples: defaultdict[Figure, list[Rate]] = defaultdict(list)

    @classmethod
    async def start(cls, plan: Plan, folder: Path, stack: AsyncExitStack) -> Self:
        """Start all that is measured; leaving the stack ends it."""
        bind = await stack.enter_async_context(BindRig((_ZONE, _BACKLOG_ZONE, _RAW_ZONE, *ZONES)))
        log = {"format": "json", "level": "info"}
        on_bind = Installation(_made(folder / "bind"), bind, log=log)
        embedded = Installation(_made(folder / "embedded"), log=log)
        for ddnsd in (on_bind, embedded):
            await stack.enter_async_context(ddnsd)
            await Hosts(_ZONE, plan.names).make(ddnsd)
        return cls(plan, folder, bind, on_bind, embedded)

    async def run(self) -> Samples:
        """Measure everything.

        Raises:
            WrongAnswerError: an answer, or what is served in the end, is not what it should be.
        """
        await self._first_publication()
        async with AsyncExitStack() as stack:
            body = await self._walked.settle(self._embedded)
            bare = {
                kind: await stack.enter_async_context(bare_server(kind, body))
                for kind in ("handler", "delegate")
            }
            raw = RawFeed(self._bind, _RAW_ZONE)
            raw.replace(_names(self._plan.backlog, _RAW_ZONE), _FIRST_TTL, _IP, _BATCH)
            store = await stack.enter_async_context(store_process())
            nodes = await stack.enter_async_context(etcd_nodes(self._folder, self._bind, self._plan.names))
            for number in range(1, self._plan.rounds + 1):
                print(f"round {number} of {self._plan.rounds}", file=sys.stderr)
                await self._changed(number)
                await self._unchanged(bare)
                await self._on_etcd(nodes, number)
                await self._published(number, raw)
                await self._shared(store)
        return self._samples

    async def _first_publication(self) -> None:
        ddnsd = self._on_bind
        await ddnsd.apply(
            document("Zone", _BACKLOG_ZONE, ttl=_FIRST_TTL),
            *(document("Host", host, account="alice") for host in self._hosts),
        )
        await ddnsd.terminate()
        await commit_addresses(ddnsd, self._hosts, _IP)
        await ddnsd.start()
        self._note(Figure.FIRST, await first_publication(ddnsd, _BACKLOG_ZONE))
        await check_served(self._bind, _BACKLOG_ZONE, self._hosts, _FIRST_TTL, _IP)

    async def _changed(self, round: int) -> None:
        walk = self._walked.changing(round)
        await self._load(Figure.CHANGED_BIND, self._on_bind.addresses["public"], walk)
        await self._load(Figure.CHANGED_EMBEDDED, self._embedded.addresses["public"], walk)

    async def _unchanged(self, bare: Mapping[str, str]) -> None:
        walk = self._walked.resting()
        await self._load(Figure.UNCHANGED, self._embedded.addresses["public"], walk)
        await self._load(Figure.HANDLER, bare["handler"], walk)
        await self._load(Figure.DELEGATE, bare["delegate"], walk)

    async def _on_etcd(self, nodes: Sequence[EtcdNode], round: int) -> None:
        for node in nodes:
            for figure, rate in await node.measure(round, self._plan.seconds):
                self._samples[figure].append(rate)

    async def _load(self, figure: Figure, endpoint: str, walk: Walk) -> None:
        self._samples[figure].append(await load(endpoint, walk, self._plan.seconds))

    async def _published(self, round: int, raw: RawFeed) -> None:
        """Let both do the very same: give each record of a zone another TTL."""
        plan, ttl, hosts = self._plan, _FIRST_TTL + round, _names(self._plan.backlog, _RAW_ZONE)
        self._note(Figure.REPLACED, await replacement(self._on_bind, _BACKLOG_ZONE, plan.backlog, ttl))
        await check_served(self._bind, _BACKLOG_ZONE, self._hosts, ttl, _IP)
        self._note(Figure.RAW_BATCHED, await asyncio.to_thread(raw.replace, hosts, ttl, _IP, _BATCH))
        await check_served(self._bind, _RAW_ZONE, hosts, ttl, _IP)
        self._note(
            Figure.RAW_SINGLE,
            await asyncio.to_thread(raw.replace, hosts[: plan.singles], ttl, address(round), 1),
        )

    async def _shared(self, store: StoreProcess) -> None:
        """Measure what callers gain by sharing a question to etcd, or a transaction."""
        for figure, name in (
            (Figure.READS, "reads"),
            (Figure.GETS, "gets"),
            (Figure.COMMITS, "commits"),
            (Figure.TXNS, "txns"),
        ):
            self._samples[figure].append(await store.measure(name, self._plan.seconds))

    def _note(self, figure: Figure, per_second: float) -> None:
        self._samples[figure].append(Rate(per_second))


def _names(count: int, zone: str) -> Sequence[str]:
    return [f"h{number}.{zone}" for number in range(count)]


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder
