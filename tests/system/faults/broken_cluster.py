"""A cluster whose parts break as a schedule says, and what has to be true of it once all is whole."""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import dns.exception

from tests.rigs.etcd import Version
from tests.system.cluster import LEASE_TTL, Cluster
from tests.system.faults.links import Link, Way
from tests.system.faults.schedule import SIZE, Fault, Kind, Part, Schedule
from tests.system.installation import Installation
from tests.waiting import until

_SLOW = 0.4  # seconds, each way
_BETWEEN_RESETS = 0.3  # seconds
_START = 30.0  # seconds that a node may take to be back
HEALED = LEASE_TTL + 2.0  # seconds after which everything is as it should be (promise 7)
BUSY = 3.0  # seconds that a busy machine may add to that


class BreakableCluster(Cluster):
    """Three nodes that call the members and the nameserver over links of their own."""

    def __init__(
        self, folder: Path, version: Version, program: tuple[str, ...] = (), **settings: Any
    ) -> None:
        """`program` runs a node in the place of `python -m ddnsd`."""
        super().__init__(folder, version, **settings)
        self._links = AsyncExitStack()
        self._program = program
        self.member_links: dict[tuple[int, int], Link] = {}  # by node and member
        self.nameserver_links: dict[int, Link] = {}  # by node
        self._isolated: set[int] = set()  # members
        self._starting: set[asyncio.Task[None]] = set()

    async def __aexit__(self, *failure: object) -> None:
        for task in self._starting:
            task.cancel()
        await asyncio.gather(*self._starting, return_exceptions=True)
        await self._links.aclose()
        await super().__aexit__(*failure)

    async def _start_servers(self, stack: AsyncExitStack) -> None:
        await super()._start_servers(stack)
        for node in range(SIZE):
            for number, member in enumerate(self.etcd.members):
                link = Link(self.network.gateway, (member.place.address, member.client_port))
                self.member_links[node, number] = await self._links.enter_async_context(link)
            link = Link(self.network.gateway, (self.nameserver.address, self.nameserver.port))
            self.nameserver_links[node] = await self._links.enter_async_context(link)

    def node(self, name: str, *arguments: Any, **settings: Any) -> Installation:
        """Return a node that calls over its links."""
        node, number = super().node(name, *arguments, **settings), int(name.removeprefix("node"))
        node.program = self._program or node.program
        here = self.network.gateway
        ports = [self.member_links[number, member].port for member in range(SIZE)]
        node.config["store"]["etcd"]["endpoints"] = [f"http://{here}:{port}" for port in ports]
        where = {"address": here, "port": self.nameserver_links[number].port}
        node.config["nameservers"]["default"] |= where
        return node

    async def suffer(self, schedule: Schedule) -> None:
        """Let everything happen that the schedule says; return when all is whole again."""
        async with asyncio.TaskGroup() as group:
            for fault in schedule:
                group.create_task(self._happens(fault), name=str(fault))
        if self._starting:
            await asyncio.wait(self._starting)
        for task in self._starting:
            task.result()
        self._starting.clear()

    async def _happens(self, fault: Fault) -> None:
        await _pass(fault.at)
        match fault.part:
            case Part.NODE if fault.kind in (Kind.KILLED, Kind.STOPPED):
                await self._process(fault, self.nodes[fault.number])
            case Part.MEMBER if fault.kind is Kind.ISOLATED:
                await self._isolate(fault)
            case Part.MEMBER:
                await self._process(fault, _Server(self.etcd.members[fault.number]))
            case Part.NAMESERVER:
                await self._process(fault, _Server(self.nameserver))
            case _:
                await self._link(fault)

    async def _process(self, fault: Fault, process: "Installation | _Server") -> None:
        if fault.kind is Kind.STOPPED:
            process.freeze()
            await _pass(fault.seconds)
            process.thaw()
            return
        await process.kill()
        await _pass(fault.seconds)
        self._starting.add(asyncio.create_task(process.start(), name=f"start after {fault}"))

    async def _isolate(self, fault: Fault) -> None:
        self._isolated.add(fault.number)
        self._cut()
        await _pass(fault.seconds)
        self._isolated.remove(fault.number)
        self._cut()

    def _cut(self) -> None:
        self.network.heal()
        places = [member.place for member in self.etcd.members]
        for number in self._isolated:
            self.network.cut(places[number], *places[:number], *places[number + 1 :])

    async def _link(self, fault: Fault) -> None:
        links = tuple(self._links_of(fault))
        match fault.kind:
            case Kind.SLOW:
                await _while(fault.seconds, links, lambda link: link.delay(_SLOW), lambda link: link.delay(0))
            case Kind.RESET:
                for _ in range(max(1, int(fault.seconds / _BETWEEN_RESETS))):
                    await _while(_BETWEEN_RESETS, links, Link.reset, lambda _: None)
            case _:
                ways = {Kind.DEAF: (Way.BACK,), Kind.MUTE: (Way.OUT,)}.get(fault.kind, tuple(Way))
                await _while(
                    fault.seconds, links, lambda link: link.hold(*ways), lambda link: link.release(*ways)
                )

    def _links_of(self, fault: Fault) -> Iterator[Link]:
        match fault.part:
            case Part.MEMBER_LINK:
                yield self.member_links[fault.number, fault.peer]
            case Part.NAMESERVER_LINK:
                yield self.nameserver_links[fault.number]
            case _:
                yield from (self.member_links[fault.number, member] for member in range(SIZE))
                yield self.nameserver_links[fault.number]

    async def demand_whole(self, gone: list[str]) -> float:
        """Wait until all is as it should be; return the seconds that it took.

        `gone` are hosts that were deleted.

        Raises:
            AssertionError: it is not, although the time is over that promise 7 allows.
        """
        told = ""

        async def is_whole() -> bool:
            nonlocal told
            try:
                async with asyncio.timeout(5):
                    told = await self._blemish(gone)
            except (OSError, asyncio.IncompleteReadError, dns.exception.DNSException) as error:
                told = repr(error)
            return not told

        began = time.monotonic()
        try:
            await until(is_whole, HEALED + BUSY, "")
        except AssertionError:
            raise AssertionError(f"not whole after {time.monotonic() - began:.1f} s: {told}") from None
        return time.monotonic() - began

    async def _blemish(self, gone: list[str]) -> str:
        """Return what is not as it should be, "" where nothing is."""
        shown = await asyncio.gather(*map(_hosts, self.nodes))
        if any(each != shown[0] for each in shown):
            names = sorted({name for each in shown for name in each})
            different = [name for name in names if len({str(each.get(name, "none")) for each in shown}) > 1]
            return (
                f"the nodes differ: {[[each.get(name, 'none') for each in shown] for name in different[:3]]}"
            )
        for name, status in shown[0].items():
            served = await self.nameserver.query(name, "A")
            wanted = (status["ip"],) if status else ()
            if served != wanted or (status and (status["error"] or not status["published"])):
                return f"{name}: {served} is served, committed is {status}"
        for name in gone:
            if name not in shown[0] and (served := await self.nameserver.query(name, "A")):
                return f"{name}: {served} is served, and it was deleted"
        if len(await self.leaders()) != 1:
            return "not one node leads"
        ready = [(await node.health.get("/readyz")).status for node in self.nodes]
        return "" if set(ready) == {200} else f"/readyz: {ready}"


class _Server:
    """A member or the nameserver, as a process like a node's."""

    def __init__(self, server: Any) -> None:
        self._server = server
        self.freeze: Callable[[], None] = server.freeze
        self.thaw: Callable[[], None] = server.thaw

    async def kill(self) -> None:
        self._server.kill()

    async def start(self) -> None:
        if hasattr(self._server, "launch"):
            self._server.launch()
        else:
            await self._server.restart()


async def _pass(seconds: float) -> None:
    """Let the time of the schedule pass."""
    await asyncio.sleep(seconds)


async def _while(
    seconds: float, links: tuple[Link, ...], begin: Callable[[Link], None], end: Callable[[Link], None]
) -> None:
    for link in links:
        begin(link)
    await _pass(seconds)
    for link in links:
        end(link)


async def _hosts(node: Installation) -> dict[str, dict[str, Any] | None]:
    """Return what a node shows of each host's IPv4 address."""
    reply = await node.admin("GET", "hosts?limit=1000")
    return {item["metadata"]["name"]: item.get("status", {}).get("A") for item in reply.json["items"]}
