"""What asyncio leaves to its users.

Waits and their ends, work that is due, supervised tasks, places for a few, long work that nobody notices.
"""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterable
from contextlib import asynccontextmanager, suppress
from typing import Any, NoReturn, TypeVar
from weakref import WeakKeyDictionary

import structlog

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


async def wait_for(event: asyncio.Event, seconds: float) -> bool:
    """Wait until the event is set, at most `seconds`; return whether it is."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
    return event.is_set()


class Trigger:
    """Has a step done whenever it is due: one at a time, and once more for all that came due meanwhile."""

    def __init__(self) -> None:
        self._due = asyncio.Event()

    def due(self) -> None:
        """Have the step done soon; idempotent until it begins."""
        self._due.set()

    async def run(
        self,
        step: Callable[[], Awaitable[None]],
        *,
        every: float | None = None,
        retry_on: type[Exception] | tuple[type[Exception], ...] = (),
        retry_after: float = 1.0,
        failed: Callable[[Exception], None] = lambda _: None,
    ) -> NoReturn:
        """Do the step whenever it is due, and every so many seconds. Never returns.

        What a step raises of `retry_on` is handed to `failed`, and the step is due again after `retry_after`
        seconds; any other exception ends the run.
        """
        while True:
            if every is None:
                await self._due.wait()
            else:
                await wait_for(self._due, every)
            self._due.clear()
            try:
                await step()
            except retry_on as error:
                failed(error)
                await asyncio.sleep(retry_after)
                self._due.set()


async def first_of(*waits: Coroutine[None, None, object], timeout: float | None = None) -> None:
    """Wait until one of these has ended, `timeout` seconds at most; the others are cancelled.

    How they end is not reported: they are waits, such as an event's.
    """
    tasks = [asyncio.create_task(wait) for wait in waits]
    try:
        await asyncio.wait(tasks, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def run_until(end: Coroutine[Any, Any, object], running: Coroutine[Any, Any, None]) -> None:
    """Run until it ends, and raise what it raises; cancelled, and waited for, once the other has ended."""
    task = asyncio.create_task(running)
    try:
        await first_of(asyncio.wait([task]), end)
        if task.done():
            task.result()
    finally:
        await cancel(task)


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


async def cancel(*tasks: asyncio.Task[Any]) -> None:
    """Cancel the tasks and wait until each has ended; their failures are not raised here."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


_log = structlog.get_logger(__name__)


class TaskFellError(Exception):
    """A task that runs for as long as the node does has ended; the node must stop."""


class Supervisor:
    """Keeps the node's tasks."""

    def __init__(self) -> None:
        self._tasks: list[asyncio.Task[None]] = []
        self._first: asyncio.Future[asyncio.Task[None]] = asyncio.get_running_loop().create_future()

    def start(self, name: str, running: Coroutine[None, None, None]) -> asyncio.Task[None]:
        """Start a task that is expected to run until it is cancelled."""
        task = asyncio.create_task(running, name=name)
        self.keep(task)
        return task

    def keep(self, task: asyncio.Task[None]) -> None:
        """Keep a task that was started elsewhere, and is expected to run until it is cancelled."""
        self._tasks.append(task)
        task.add_done_callback(self._note_end)

    async def fallen(self) -> None:
        """Wait until a task ends, one too that is started later.

        Raises:
            TaskFellError: a task ended, with its own failure as the cause.
        """
        task = await self._first
        error = asyncio.CancelledError() if task.cancelled() else task.exception()
        _log.error("task.fell", task=task.get_name(), exc_info=error)
        raise TaskFellError(f"the task {task.get_name()!r} ended: {error!r}") from error

    async def stop(self) -> None:
        """Cancel the tasks, the last one started first, and wait for each."""
        for task in reversed(self._tasks):
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def _note_end(self, task: asyncio.Task[None]) -> None:
        if not self._first.done():
            self._first.set_result(task)


_SECONDS = 0.001  # an update waits for several turns of the loop: each has to be short


def background() -> Slice:
    """Return what leaves most of the event loop to others: in embedded mode clients wait for it, too."""
    return Slice(_SECONDS)
