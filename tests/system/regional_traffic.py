"""A steady load of changes in every region, each at its own node, and an onlooker at every nameserver."""

import asyncio
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Self

from tests.rigs.base import NameserverRig
from tests.system.history import Record
from tests.system.load import go_on, running
from tests.system.regions import MEMBERS, Regions
from tests.system.traffic import Onlooker, Resident

RESIDENTS = {name: [f"{name}-{number}.example.com" for number in range(3)] for name in MEMBERS}
KEPT = {name: f"kept-{name}.example.com" for name in MEMBERS}  # for the test itself
CHANGED = {name: f"changed-{name}.example.com" for name in MEMBERS}
_GLANCE = 0.02  # seconds between two questions to a nameserver


class RegionalTraffic:
    """`async with RegionalTraffic(regions) as traffic:` runs it; `stop` ends the changes.

    `record` has the answers, and what the primary served; `secondaries`, by region, what these served.
    """

    def __init__(self, regions: Regions) -> None:
        self.record = Record()
        self.secondaries = {name: Record() for name in regions.all}
        self._residents = [
            Resident(host, [regions.all[name].node.addresses["public"]], self.record)
            for name, hosts in RESIDENTS.items()
            for host in hosts
        ]
        everything = [host for hosts in RESIDENTS.values() for host in hosts]
        seen: list[tuple[NameserverRig, Record]] = [(regions.primary, self.record)]
        seen += [(region.secondary, self.secondaries[name]) for name, region in regions.all.items()]
        self._onlookers = [Onlooker(everything, server, record, _GLANCE) for server, record in seen]
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        everybody = [one.run() for one in self._residents] + [one.run() for one in self._onlookers]
        tasks = await self._stack.enter_async_context(running(*everybody))
        self._tasks, self._busy = tasks, tasks[: len(self._residents)]
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
        await go_on(seconds, *self._tasks)

    async def stop(self) -> None:
        """Let every resident come to its end; what is served is still looked at."""
        for resident in self._residents:
            resident.leaving.set()
        await asyncio.gather(*self._busy)
