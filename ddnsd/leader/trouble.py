"""A site in trouble: shown where people look, tried again without haste."""

import asyncio
from collections.abc import Callable, Mapping

import msgspec
import structlog

from ddnsd.leader.claim import ForeignFenceError
from ddnsd.leader.footprint import Footprints
from ddnsd.leader.mandate import Mandate
from ddnsd.model.records import Site
from ddnsd.nameserver.interface import (
    Nameserver,
    NameserverError,
    NoAnswerError,
    RecordType,
    RefusedError,
    UnreachableError,
)
from ddnsd.store.interface import UnavailableError

_log = structlog.get_logger(__name__)

_PROBE_SECONDS = 1.0
_KINDS: Mapping[type[NameserverError], str] = {
    UnreachableError: "unreachable",
    NoAnswerError: "no_answer",
    RefusedError: "refused",
}


def kind_of(error: NameserverError) -> str:
    """Return the error's `kind` in the metrics."""
    return _KINDS[type(error)]


class UnpublishedError(Exception):
    """The site takes nothing now; the message says why."""


class Trouble:
    """What is wrong with one site, and how long to wait for better times."""

    def __init__(self, site: Site, nameserver: Nameserver, mandate: Mandate) -> None:
        self._site = site
        self._nameserver = nameserver
        self._mandate = mandate
        self._footprints = Footprints(site, mandate)
        self._reason = ""
        self._known = asyncio.Event()  # it was claimed once, or it is noted why it could not be
        self._next_try = 0.0  # when, on the loop's clock, a try may fail again at once

    async def note(self, reason: str, kind: str, **found: object) -> None:
        """Show the trouble: once in the log, in the metrics, and, with what was `found`, in the footprint.

        Raises:
            DeposedError: this node does not lead.
        """
        self._mandate.metrics.nameserver_error(self._site.nameserver, kind)
        if reason != self._reason:
            _log.warning("publish.trouble", **self._site._asdict(), reason=reason)
        self._reason = reason
        footprint = msgspec.structs.replace(self._footprints.value, error=reason, **found)
        try:
            await self._footprints.write(footprint)
        except UnavailableError as error:
            _log.warning("publish.store_unavailable", zone=self._site.zone, reason=str(error))

        self._known.set()

    def over(self) -> None:
        """Note that the site takes UPDATEs: the next trouble is a new one."""
        self._reason = ""
        self._known.set()

    async def demand_none(self) -> None:
        """Wait until the site is claimed, or it is known why it cannot be.

        Raises:
            ForeignFenceError: somebody else holds the fence.
            UnpublishedError: for any other reason nothing is published.
        """
        await self._known.wait()
        noted = self._footprints.value
        if noted.holder:
            raise ForeignFenceError(noted.holder)
        if noted.error:
            raise UnpublishedError(noted.error)

    async def rest(self) -> None:
        """Go on at once after a first failure; let what fails for ever fail once in `probe_interval`."""
        loop = asyncio.get_running_loop()
        pause = max(0.0, self._next_try - loop.time())
        self._next_try = loop.time() + pause + self._mandate.policy.probe_interval
        await asyncio.sleep(pause)

    async def end_of_silence(self, given_up: Callable[[], bool]) -> None:
        """Wait until the nameserver answers, or is `given_up`; ask at most every `probe_interval`."""
        loop = asyncio.get_running_loop()
        while not given_up():
            asked = loop.time()
            try:
                async with asyncio.timeout(_PROBE_SECONDS):
                    await self._nameserver.query(self._site.zone, self._site.zone, RecordType.SOA)
            except (NameserverError, TimeoutError) as error:
                _log.debug("nameserver.silent", nameserver=self._site.nameserver, reason=str(error))
            else:
                return
            await asyncio.sleep(max(0.0, asked + self._mandate.policy.probe_interval - loop.time()))
