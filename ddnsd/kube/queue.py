"""The objects whose status waits to be written: each once, errors first."""

import asyncio

from ddnsd.kube.objects import Ref


class StatusQueue:
    """A queue of objects, for one reader. What is put again while it waits is written once, as it is then."""

    def __init__(self) -> None:
        self._urgent: dict[Ref, None] = {}
        self._others: dict[Ref, None] = {}
        self._filled = asyncio.Event()

    def __len__(self) -> int:
        return len(self._urgent) + len(self._others)

    def put(self, ref: Ref, *, urgent: bool = False) -> None:
        """Add an object; an urgent one comes before all that are not."""
        if urgent:
            self._others.pop(ref, None)
            self._urgent[ref] = None
        elif ref not in self._urgent:
            self._others[ref] = None
        self._filled.set()

    async def take(self) -> Ref:
        """Wait for the next object; the one that waits longest, of the urgent ones if there are any."""
        while not (queue := self._urgent or self._others):
            self._filled.clear()
            await self._filled.wait()
        ref = next(iter(queue))
        del queue[ref]
        return ref
