"""When a zone is reconciled: after each claim, on a timer, and when an operator asks."""

import asyncio
import contextlib
from typing import Protocol

import structlog

from ddnsd.leader.claim import Claim, Entrance
from ddnsd.leader.footprint import Footprints
from ddnsd.leader.mandate import Mandate
from ddnsd.leader.pace import growing_pauses
from ddnsd.leader.reconcile import Comparison, Reconciler
from ddnsd.model.records import Site
from ddnsd.nameserver.interface import Nameserver, NameserverError, RefusedError
from ddnsd.store.interface import UnavailableError

_log = structlog.get_logger(__name__)


# The longest pauses between two tries, in seconds.
_MOST, _MOST_UNVERIFIED = 60.0, 3.0


class Claims(Protocol):
    """Who holds the site's claim."""

    @property
    def is_urgent(self) -> bool:
        """Say whether somebody waits for this site."""
        ...

    @property
    def claim(self) -> Claim | None:
        """The confirmed claim, None while there is none."""
        ...

    def reclaim(self) -> None:
        """Claim the zone anew before anything else is sent."""
        ...


class DriftWatch:
    """Reconciles one site; after the first time the site counts as verified."""

    def __init__(
        self, site: Site, nameserver: Nameserver, mandate: Mandate, claims: Claims, entrance: Entrance
    ) -> None:
        self._site = site
        self._mandate = mandate
        self._claims = claims
        self._reconciler = Reconciler(site, nameserver, mandate, entrance)
        self._footprints = Footprints(site, mandate)
        self._due = asyncio.Event()
        self._failures = 0  # one after the other
        self._reason = ""  # of the last one
        self._one_at_a_time = asyncio.Lock()

    def due(self) -> None:
        """Reconcile now."""
        self._due.set()

    async def run(self) -> None:
        """Reconcile whenever it is due, and at the latest after each interval. Never returns."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._mandate.policy.reconcile_interval):
                    await self._due.wait()
            self._due.clear()
            try:
                is_done = await self._reconcile()
            except (NameserverError, UnavailableError) as error:
                is_done = False
                self._note(str(error))
                self._due.set()
            if is_done:
                self._failures, self._reason = 0, ""
            else:
                self._failures += 1
                await asyncio.sleep(self._pause)

    @property
    def _pause(self) -> float:
        """Seconds before the next try: twice as many each time; few while the zone is not answered for."""
        most = _MOST if self._footprints.is_verified else _MOST_UNVERIFIED
        return min(self._mandate.policy.probe_interval * (1 << min(self._failures - 1, 16)), most)

    def _note(self, reason: str) -> None:
        """Log what fails, once."""
        if reason != self._reason:
            _log.warning("reconcile.failed", **self._site._asdict(), reason=reason)
        self._reason = reason

    async def check(self) -> tuple[str, ...]:
        """Return how the zone differs from the store, a line for each record.

        Raises:
            NameserverError: the zone could not be transferred.
        """
        return (await self._reconciler.compare(_asked)).findings

    async def repair(self) -> tuple[str, ...]:
        """Make what differs pending; return it, a line for each record.

        Where the zone may not be read, everything is published anew.

        Raises:
            NameserverError: the transfer broke off.
            UnavailableError: the store cannot take it now.
        """
        async with self._one_at_a_time:
            try:
                comparison = await self._reconciler.compare(_asked)
            except RefusedError as error:
                await self._reconciler.mark_all()
                return (f"everything is published anew, as the zone cannot be compared: {error}",)
            await self._reconciler.mark(comparison)
        return comparison.findings

    async def _reconcile(self) -> bool:
        """Compare, and mark what differs; return False if what was transferred is not to be trusted.

        Raises:
            NameserverError: the transfer broke off.
            UnavailableError: the store cannot take it now.
        """
        claim = self._claims.claim
        if claim is None or self._mandate.state.is_retired(self._site):
            return True  # a claim is followed by a reconcile of its own
        async with self._one_at_a_time:
            try:
                comparison = await self._fresh(claim)
            except RefusedError as error:
                await self._without_transfer(str(error))
            else:
                if comparison.fence != claim.prerequisite.values:
                    return self._mistrust(claim)
                await self._mark(comparison)
            if self._claims.claim is claim and not self._footprints.is_verified:
                await self._footprints.verify()
        return True

    async def _fresh(self, claim: Claim) -> Comparison:
        """Compare the zone as it is after the claim: what is transferred may be a moment older."""
        comparison = await self._reconciler.compare(self._is_urgent)
        for pause in growing_pauses(self._mandate.policy.timeout):
            is_old = comparison.fence != claim.prerequisite.values and self._claims.claim is claim
            if not is_old or not await self._reconciler.has(claim):
                break
            await asyncio.sleep(pause)
            comparison = await self._reconciler.compare(self._is_urgent)
        return comparison

    def _is_urgent(self) -> bool:
        """Say whether somebody waits for the comparison: until it is written the zone is not answered for."""
        return self._claims.is_urgent and not self._footprints.is_verified

    def _mistrust(self, claim: Claim) -> bool:
        """Claim anew: what was transferred does not carry the fence of the claim it was asked under.

        The claim asks for a transfer. A nameserver that always transfers an older zone is not hurried.
        """
        if self._claims.claim is not claim:
            return True
        _log.warning("fence.replaced", **self._site._asdict())
        self._claims.reclaim()
        return False

    async def _mark(self, comparison: Comparison) -> None:
        marked = await self._reconciler.mark(comparison)
        if marked:
            _log.warning("drift.found", **self._site._asdict(), records=marked)

    async def _without_transfer(self, reason: str) -> None:
        """Where the zone may not be read, publishing everything anew is what makes it known."""
        _log.warning("reconcile.transfer_refused", **self._site._asdict(), reason=reason)
        if self._footprints.is_verified:
            await self._reconciler.mark_refused()
        else:
            await self._reconciler.mark_all()


def _asked() -> bool:
    """An operator waits for what he has asked for."""
    return True
