"""Requests that wait until what they committed is published."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from ..model.decision import Progress, progress
from ..model.records import RecordKey
from ..model.resources import Kind
from ..store import keys
from ..store.interface import RestoredError
from ..store.snapshot import Touched, WatchCache


class _Waiter(NamedTuple):
    identity: str  # of the history that the revision is of
    revision: int
    verify: bool
    settled: asyncio.Future[Progress]


class Waiting:
    """Wakes each waiting request when, and only when, its record is settled."""

    def __init__(self, cache: WatchCache) -> None:
        self._cache = cache
        self._waiters: defaultdict[RecordKey, list[_Waiter]] = defaultdict(list)
        cache.subscribe(self._look)

    def __len__(self) -> int:
        return sum(map(len, self._waiters.values()))

    async def settled(self, record: RecordKey, revision: int, *, verify: bool) -> Progress:
        """Wait until the value committed at `revision` is published, refused or gone.

        Arguments as of `model.decision.progress`. The caller bounds the time.

        Raises:
            RestoredError: the store was restored, and perhaps knows nothing of the value.
        """
        waiter = _Waiter(self._cache.identity, revision, verify, asyncio.get_running_loop().create_future())
        self._waiters[record].append(waiter)
        self._settle(record, waiter)
        try:
            return await waiter.settled
        finally:
            self._remove(record, waiter)

    def _remove(self, record: RecordKey, waiter: _Waiter) -> None:
        waiters = self._waiters[record]
        waiters.remove(waiter)
        if not waiters:
            del self._waiters[record]

    def _look(self, touched: Sequence[Touched]) -> None:
        if self._waiters:
            for record in self._concerned(touched):
                for waiter in self._waiters[record]:
                    self._settle(record, waiter)

    def _concerned(self, touched: Sequence[Touched]) -> Iterable[RecordKey]:
        """Return the records whose progress these changes, or the end of the history, can have moved."""
        if not self._cache.identity or any(
            place.shelf in (keys.FOOTPRINTS, Kind.ZONE.plural) for place in touched
        ):
            return list(self._waiters)
        names = {place.id for place in touched if place.shelf == Kind.HOST.plural}
        records = {place.id for place in touched if place.shelf in (keys.ADDRESSES, keys.PUBLISHED)}
        if names:
            return [record for record in self._waiters if record in records or record.name in names]
        return [record for record in records if isinstance(record, RecordKey) and record in self._waiters]

    def _settle(self, record: RecordKey, waiter: _Waiter) -> None:
        if self._cache.identity != waiter.identity:
            if not waiter.settled.done():
                waiter.settled.set_exception(RestoredError("the store was restored meanwhile"))
            return
        if self._cache.revision < waiter.revision:
            return  # this node has not even seen the commit
        now = progress(self._cache.state, record, waiter.revision, verify=waiter.verify)
        if now is not Progress.WAITING and not waiter.settled.done():
            waiter.settled.set_result(now)
