"""How the parts of one store wake each other, and learn that it is closed."""

import asyncio

from ddnsd.store.interface import UnavailableError


class Pulse:
    """Beats at every change; all who wait wake and look for themselves whether it was theirs."""

    def __init__(self) -> None:
        self._next = asyncio.Event()
        self.stopped = False

    def beat(self) -> None:
        """Wake everybody who waits now."""
        self._next.set()
        self._next = asyncio.Event()

    def stop(self) -> None:
        """Beat for the last time: the store is closed."""
        self.stopped = True
        self.beat()

    def check(self) -> None:
        """Go on only while the store is open.

        Raises:
            UnavailableError: it is closed.
        """
        if self.stopped:
            raise UnavailableError("the store is closed")

    async def wait(self) -> None:
        """Wait for the next beat.

        Raises:
            UnavailableError: the store is closed, or was meanwhile.
        """
        self.check()
        await self._next.wait()
        self.check()
