"""How long the turns of an event loop are, by the CPU time of its thread."""

import asyncio
import selectors
import time
from collections.abc import Coroutine
from typing import Any


class TurnMeter(selectors.DefaultSelector):
    """The selector of a loop. From one end of its waiting to the next begin the loop does one turn."""

    def __init__(self) -> None:
        super().__init__()
        self.longest = 0.0  # seconds of CPU
        self._began = time.thread_time()

    def restart(self) -> None:
        """Forget the turns so far, and what the present one has taken until now."""
        self.longest, self._began = 0.0, time.thread_time()

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self.longest = max(self.longest, time.thread_time() - self._began)
        ready = super().select(timeout)
        self._began = time.thread_time()
        return ready


def run_metered(meter: TurnMeter, running: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine on a loop with this selector."""
    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(meter)) as runner:
        runner.run(running)
