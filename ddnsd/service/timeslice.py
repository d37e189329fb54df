"""Long work on the event loop, in slices."""

import asyncio
import time


class TimeSlice:
    """Makes room for others every few milliseconds, if long work calls `pause` often enough."""

    def __init__(self, seconds: float = 0.005, share: float = 1.0) -> None:
        """A slice takes `seconds`; with a `share` below 1 the loop has the rest of the time for itself."""
        self._seconds = seconds
        self._rest = 1 / share - 1  # in lengths of a slice
        self._began = time.perf_counter()

    async def pause(self) -> None:
        """Give way if the slice is used up."""
        took = time.perf_counter() - self._began
        if took >= self._seconds:
            await asyncio.sleep(took * self._rest)
            self._began = time.perf_counter()
