"""Requests that are owed an answer, for which a node that drains waits; and those that are none."""

import asyncio

from tornado.httputil import HTTPHeaders

from ddnsd.service.limits import FairUse
from ddnsd.web.source import SourceFinder


class InFlight:
    """The requests that have been accepted and are owed an answer; `drain` waits until there are none."""

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


class Failures:
    """Counts what a source does wrong before any endpoint sees it: no such path, or too large a body."""

    def __init__(self, fair_use: FairUse, sources: SourceFinder) -> None:
        self._fair_use = fair_use
        self._sources = sources

    def __call__(self, peer: str, headers: HTTPHeaders) -> bool:
        """Note that a request is none; return whether its source has sent too many of them."""
        return self._fair_use.fails_too_often(self._sources.source(peer, headers) or peer)
