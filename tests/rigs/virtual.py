"""An event loop with a clock of its own: when nothing is left to do, it goes on to the next timer at once."""

import asyncio
import selectors
from collections.abc import Coroutine
from selectors import SelectorKey
from typing import Any, TypeVar

Result = TypeVar("Result")


class _Selector(selectors.DefaultSelector):
    """Does not wait for the time that a timer has left, but lets it pass."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[SelectorKey, int]]:
        """Wait for what comes from outside only where no timer could end the waiting."""
        ready = super().select(timeout if timeout is None else 0)
        if not ready and timeout:
            self.now += timeout
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """Its `time` is that of its timers, which pass while other threads work: wait for none of these so."""

    def __init__(self) -> None:
        self._virtual = _Selector()
        super().__init__(self._virtual)

    def time(self) -> float:
        return self._virtual.now

    def stop_process(self, seconds: float) -> None:
        """Let time pass in which nothing runs, as between SIGSTOP and SIGCONT."""
        self._virtual.now += seconds


def run_virtually(main: Coroutine[Any, Any, Result]) -> Result:
    """Run a coroutine on such a loop."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)


async def pass_time(seconds: float) -> None:
    """Let so much of the time of such a loop pass, and no other."""
    assert isinstance(asyncio.get_running_loop(), VirtualLoop)
    await asyncio.sleep(seconds)
