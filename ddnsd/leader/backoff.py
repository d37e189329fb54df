"""A placement in trouble: shown where people look, tried again with growing pauses."""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime

import msgspec
import structlog

from ddnsd.aio import wait_for
from ddnsd.leader.context import ForeignFenceError, ZoneContext
from ddnsd.nameserver.interface import (
    NameserverError,
    NoAnswerError,
    QueryRefusedError,
    RecordType,
    UnreachableError,
)
from ddnsd.store.interface import UnavailableError

_log = structlog.get_logger(__name__)

_PROBE_SECONDS = 1.0
# The longest pauses between two tries, in seconds: what waits for a zone that was mended is published
# within the lease TTL (2 s at least) + 2 s; nobody waits for the rest.
_MOST_AWAITED, _MOST, _MOST_LEAVING = 3.0, 60.0, 300.0
_KINDS: Mapping[type[NameserverError], str] = {
    UnreachableError: "unreachable",
    NoAnswerError: "no_answer",
    QueryRefusedError: "refused",
}


def kind_of(error: NameserverError) -> str:
    """Return the error's `kind` in the metrics."""
    return _KINDS[type(error)]


class UnpublishedError(Exception):
    """The placement takes nothing now; the message says why."""


class PlacementBackoff:
    """What is wrong with one placement, and how long to wait for better times."""

    def __init__(self, context: ZoneContext) -> None:
        self._context = context
        self._placement = context.placement
        self._reason = ""
        self._known = asyncio.Event()  # it was claimed once, or it is noted why it could not be
        self._since: datetime | None = None  # when the present trouble began
        self._pause = 0.0  # seconds, before the next try
        self._earliest = 0.0  # on the loop's clock: when it may be, whatever the pause
        self.stirred = asyncio.Event()  # the end of the pause may be another one now: a change may be waiting
        self._hurried = False  # something has changed: the next try need not wait

    async def note(self, reason: str, kind: str, **found: object) -> None:
        """Show the trouble: once in the log, in the metrics, and, with what was `found`, in the store.

        Raises:
            DeposedError: this node does not lead.
        """
        self._context.leader.metrics.nameserver_error(self._placement.nameserver, kind)
        if reason != self._reason:
            _log.warning("publish.trouble", **self._placement._asdict(), reason=reason)
        self._reason = reason
        noted = self._context.noted
        # A node of an older version clears the error alone.
        self._since = self._since or (noted.since if noted.error else None) or datetime.now(UTC)
        noted = msgspec.structs.replace(noted, error=reason, since=self._since, **found)
        try:
            await self._context.note(noted)
        except UnavailableError as error:
            _log.warning("publish.store_unavailable", zone=self._placement.zone, reason=str(error))
        self._known.set()

    def over(self) -> None:
        """Note that the placement takes UPDATEs: the next trouble is a new one."""
        self._reason, self._since, self._pause = "", None, 0.0
        self._known.set()

    def hurry(self) -> None:
        """Try at once: somebody has changed something, or asks for it."""
        self._hurried = True
        self.stirred.set()

    async def demand_none(self) -> None:
        """Wait until the zone is claimed, or it is known why it cannot be; what is known is tried once more.

        Raises:
            ForeignFenceError: somebody else holds the fence.
            UnpublishedError: for any other reason nothing is published.
        """
        if self._reason:
            self._known.clear()
            self.hurry()
        await self._known.wait()
        noted = self._context.noted
        if noted.holder:
            raise ForeignFenceError(noted.holder)
        if noted.error:
            raise UnpublishedError(noted.error)

    async def rest(self) -> None:
        """Go on at once after a first failure; pause after each further one, twice as long each time."""
        loop, interval = asyncio.get_running_loop(), self._context.policy.probe_interval
        pause = max(self._pause, self._earliest - loop.time())
        self._pause = min(max(interval, 2 * self._pause), _MOST_LEAVING)
        await self._sleep(pause)
        self._earliest = loop.time() + interval

    async def end_of_silence(self, given_up: Callable[[], bool]) -> None:
        """Wait until the nameserver answers, be it an error, or is `given_up`.

        It is asked every `probe_interval`; with growing pauses where the placement is only to be left.
        """
        loop, pause = asyncio.get_running_loop(), self._context.policy.probe_interval
        while not given_up():
            asked = loop.time()
            try:
                async with asyncio.timeout(_PROBE_SECONDS):
                    await self._context.nameserver.query(
                        self._placement.zone, self._placement.zone, RecordType.SOA
                    )
            except QueryRefusedError:
                return
            except (NameserverError, TimeoutError) as error:
                _log.debug("nameserver.silent", nameserver=self._placement.nameserver, reason=str(error))
            else:
                return
            self._known.set()  # that it still is so
            await self._sleep(asked + pause - loop.time())
            pause = 2 * pause if self._context.is_retired else self._context.policy.probe_interval

    async def _sleep(self, seconds: float) -> None:
        """Sleep so long, or shorter: as soon as that is too long now, or nothing needs to be waited for."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        while not self._hurried and (left := began + min(seconds, self._most) - loop.time()) > 0:
            self.stirred.clear()
            await wait_for(self.stirred, left)
        self._hurried = False

    @property
    def _most(self) -> float:
        if self._context.is_retired:
            return _MOST_LEAVING
        return _MOST_AWAITED if self._context.is_urgent() else _MOST


_FIRST_PAUSE, _LAST_PAUSE = 0.01, 1.0  # seconds


def growing_pauses(seconds: float) -> Iterator[float]:
    """Yield pauses between questions about what was written just now, `seconds` of them in all."""
    pause, left = _FIRST_PAUSE, seconds
    while left > 0:
        yield min(pause, left)
        left -= pause
        pause = min(2 * pause, _LAST_PAUSE)
