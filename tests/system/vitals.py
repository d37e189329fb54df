"""What a fault must not leave behind on the nodes: tasks, and memory."""

import asyncio
from collections.abc import Sequence
from typing import NamedTuple, Self

from tests.system.installation import Installation
from tests.waiting import until

_GROWTH = 1.2  # of a node's memory, at most


class Vitals(NamedTuple):
    """Of all nodes together: who leads, and has more tasks, may change."""

    tasks: float
    memory: float  # bytes

    @classmethod
    async def of(cls, nodes: Sequence[Installation]) -> Self:
        """Measure now."""
        tasks = await asyncio.gather(*(node.metric("ddnsd_tasks") for node in nodes))
        memory = await asyncio.gather(*(node.metric("process_resident_memory_bytes") for node in nodes))
        return cls(sum(tasks), sum(memory))

    async def recovered(self, nodes: Sequence[Installation], seconds: float) -> None:
        """Wait until the nodes have no more tasks and hardly more memory than now.

        Raises:
            AssertionError: they still have.
        """
        now = self

        async def is_recovered() -> bool:
            nonlocal now
            now = await self.of(nodes)
            return now.tasks <= self.tasks and now.memory <= self.memory * _GROWTH

        try:
            await until(is_recovered, seconds, "")
        except AssertionError as error:
            raise AssertionError(f"after {seconds} s {now}, before {self}") from error
