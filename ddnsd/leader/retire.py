"""Leaving a site: the zone was deleted, or lives at another nameserver now."""

from collections.abc import Callable, Iterator, Sequence

from ddnsd.leader.claim import Claim
from ddnsd.leader.mandate import Mandate
from ddnsd.leader.push import Pusher
from ddnsd.leader.rrsets import record_type
from ddnsd.model.publication import doubted, portion, to_leave
from ddnsd.model.records import RecordKey, Site
from ddnsd.nameserver.interface import Exists


class Retirement:
    """Takes ddnsd's own records and then its fence out of a zone; everything else stays."""

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
        names = {record: own for record in records if (own := to_leave(state, self._site, record))}
        counts = {record: len(own) for record, own in names.items()}
        left = list(names)
        while left:
            part = portion(left, self._pusher.batch, counts)
            await self._pusher.remove(claim, {record: names[record] for record in part})
            del left[: len(part)]
        await self._pusher.release(claim, self._doubted(records))
        if not state.is_retired(self._site):
            return False  # it came back meanwhile; what was removed is drift now
        await self._pusher.remove_fence(claim)
        return True

    def _doubted(self, records: Sequence[RecordKey]) -> Iterator[Exists]:
        """Yield what is removed only if it is what an UPDATE without an answer was to write."""
        state = self._mandate.state
        for record in records:
            entry = state.published.get(record)
            if entry is not None and (taking := entry.value.taking) is not None:
                for name in doubted(state, self._site, record):
                    yield Exists(name, record_type(record), taking.values)
