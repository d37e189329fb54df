"""Requests that have been accepted and are owed an answer: a node that drains waits for them."""

import asyncio


class Owed:
    """A set of requests; `drain` waits until it is empty."""

    def __init__(self) -> None:
        self._requests: set[object] = set()
        self._waiting: list[asyncio.Future[None]] = []

    def add(self, request: object) -> None:
        """Note that an answer is owed."""
        self._requests.add(request)

    def settle(self, request: object) -> None:
        """Note that a request has its answer, or needs none any more; idempotent."""
        self._requests.discard(request)
        if self._requests:
            return
        for future in self._waiting:
            if not future.done():
                future.set_result(None)
        self._waiting.clear()

    async def drain(self) -> None:
        """Wait until no answer is owed."""
        if self._requests:
            empty: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.append(empty)
            await empty
