"""Long work on the event loop, in slices."""

import asyncio
import time

_SECONDS = 0.005


class TimeSlice:
    """Makes room for others every few milliseconds, if long work calls `pause` often enough."""

    def __init__(self) -> None:
        self._began = time.perf_counter()

    async def pause(self) -> None:
        """Give way if the slice is used up."""
        if time.perf_counter() - self._began >= _SECONDS:
            await asyncio.sleep(0)
            self._began = time.perf_counter()
