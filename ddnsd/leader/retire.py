"""Leaving a site: the zone was deleted, or lives at another nameserver now."""

from collections.abc import Callable

from ddnsd.leader.claim import Claim
from ddnsd.leader.mandate import Mandate
from ddnsd.leader.push import Pusher
from ddnsd.model.plan import portion
from ddnsd.model.publication import may_be_starred
from ddnsd.model.records import Site


class Retirement:
    """Takes ddnsd's records and then its fence out of a zone; everything else stays."""

    def __init__(self, site: Site, pusher: Pusher, mandate: Mandate, is_settled: Callable[[], bool]) -> None:
        """`is_settled` says whether nothing of the zone is pending where it lives now."""
        self._is_settled = is_settled
        self._site = site
        self._pusher = pusher
        self._mandate = mandate

    async def step(self, claim: Claim) -> bool:
        """Leave, and return True; or return False while the zone's new home is not complete.

        Raises:
            FenceLostError, ZoneFaultError, NameserverError: as `Pusher.push`; it is safe to begin anew.
        """
        state = self._mandate.state
        if self._site.zone in state.zones and not self._is_settled():
            return False
        records = [record async for record in self._mandate.records_in(self._site.zone)]
        starred = {record for record in records if may_be_starred(state, record)}
        while records:
            part = portion(records, self._pusher.batch, starred)
            await self._pusher.remove(claim, part, starred)
            del records[: len(part)]
        if not state.is_retired(self._site):
            return False  # it came back meanwhile; what was removed is drift now
        await self._pusher.remove_fence(claim)
        return True
