"""What asyncio leaves to its users: long work that others do not notice, places for a few, waits together."""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from contextlib import asynccontextmanager
from typing import TypeVar
from weakref import WeakKeyDictionary

Item = TypeVar("Item")

SLICE_SECONDS = 0.002
SLICE_SHARE = 0.25


class Slice:
    """Cuts long work into slices: at most `seconds` at a time, and at most `share` of the event loop.

    The share belongs to all long work of a loop together: a hundred scans that begin at once take turns,
    and take no more of the loop than one does.

    State read before a pause may be another one after it. So a sliced scan may only hand names to a look
    at the state of that moment, or write on the condition of the revisions that it read. What counts or
    decides uses an index, in one piece.
    """

    def __init__(self, seconds: float = SLICE_SECONDS, share: float = SLICE_SHARE) -> None:
        self._seconds = seconds
        self._every = seconds / share
        self._end = 0.0

    async def pause(self) -> None:
        """Give way if the slice is used up. Call it often: between steps that take well below `seconds`."""
        if time.perf_counter() < self._end:
            return
        await _turns().take(self._every)
        self._end = time.perf_counter() + self._seconds

    async def each(self, items: Iterable[Item]) -> AsyncIterator[Item]:
        """Yield the items, with pauses between them. What is iterated must not change meanwhile."""
        for item in items:
            if time.perf_counter() >= self._end:
                await self.pause()
            yield item


class Gate:
    """Lets a few in at a time. A place that is free goes to the first one in a hurry, else to the first."""

    def __init__(self, places: Callable[[], int]) -> None:
        """`places` says how many there are now."""
        self._places = places
        self._inside = 0
        self._waiting: dict[asyncio.Future[None], Callable[[], bool]] = {}

    @asynccontextmanager
    async def place(self, is_urgent: Callable[[], bool]) -> AsyncIterator[None]:
        """Take a place. `is_urgent` is asked each time one is free: what is not urgent may become so."""
        if self._inside >= self._places():
            free = asyncio.get_running_loop().create_future()
            self._waiting[free] = is_urgent
            try:
                await free  # who lets it in counts it, too
            except asyncio.CancelledError:
                if free.cancelled():
                    self._waiting.pop(free, None)
                else:
                    self._leave()
                raise
        else:
            self._inside += 1
        try:
            yield
        finally:
            self._leave()

    def _leave(self) -> None:
        self._inside -= 1
        while self._waiting and self._inside < self._places():
            free = next((free for free, is_urgent in self._waiting.items() if is_urgent()), None)
            free = free or next(iter(self._waiting))
            del self._waiting[free]
            if not free.done():  # else its task is being cancelled
                self._inside += 1
                free.set_result(None)


async def first_of(*waits: Coroutine[None, None, object], timeout: float | None = None) -> None:
    """Wait until one of these has ended, `timeout` seconds at most; the others are cancelled.

    How they end is not told: they are waits, such as an event's.
    """
    tasks = [asyncio.create_task(wait) for wait in waits]
    try:
        await asyncio.wait(tasks, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class _Turns:
    """Turns of the long work on one event loop, in the order in which they were asked for."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._new_future = loop.create_future
        self._call_later = loop.call_later
        self._waiting: deque[tuple[asyncio.Future[None], float]] = deque()
        self._free_at = 0.0  # by `time.perf_counter`: when the next turn may begin
        self._is_timed = False

    async def take(self, length: float) -> None:
        """Wait for a turn; the next one begins `length` seconds after it."""
        if not self._waiting and time.perf_counter() >= self._free_at:
            self._free_at = time.perf_counter() + length
            return
        turn = self._new_future()
        self._waiting.append((turn, length))
        self._time()
        await turn

    def _time(self) -> None:
        if self._waiting and not self._is_timed:
            self._is_timed = True
            self._call_later(max(0.0, self._free_at - time.perf_counter()), self._give)

    def _give(self) -> None:
        self._is_timed = False
        while self._waiting:
            turn, length = self._waiting.popleft()
            if not turn.done():  # a task that was cancelled needs none
                turn.set_result(None)
                self._free_at = time.perf_counter() + length
                break
        self._time()


_TURNS: WeakKeyDictionary[asyncio.AbstractEventLoop, _Turns] = WeakKeyDictionary()


def _turns() -> _Turns:
    loop = asyncio.get_running_loop()
    turns = _TURNS.get(loop)
    if turns is None:
        turns = _TURNS[loop] = _Turns(loop)
    return turns
