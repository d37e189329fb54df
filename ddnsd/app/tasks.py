"""Supervised tasks: each has a name, none may end by itself, one that falls stops all."""

import asyncio
from collections.abc import Coroutine

import structlog

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
