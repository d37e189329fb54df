"""Requests that wait until what they committed is published."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from ddnsd.model.addresses import RRTYPES
from ddnsd.model.publication import Progress, progress
from ddnsd.model.records import RecordKey, account_of
from ddnsd.model.resources import Kind
from ddnsd.store import keys
from ddnsd.store.interface import RestoredError
from ddnsd.store.watch_cache import Touched, WatchCache

_MANY = 100  # records


class Awaited(NamedTuple):
    """What is waited for of one record: what was committed at `revision`, or anything newer.

    With `verify` its zone has to be verified, too. One that `may_go` is settled by its host's going.
    """

    revision: int
    verify: bool = False
    may_go: bool = False


class _Waiter:
    """The records that are still waited for, by one request or by several that wait for the same."""

    def __init__(self, identity: str, records: Mapping[RecordKey, Awaited]) -> None:
        self.identity = identity  # of the history that the revisions are of
        self.records = tuple(records)
        self.left = dict(records)
        self.requests = 0
        self.settled: asyncio.Future[Progress] = asyncio.get_running_loop().create_future()

    def is_for(self, identity: str, records: Mapping[RecordKey, Awaited]) -> bool:
        """Say whether exactly these are still waited for."""
        return not self.settled.done() and self.identity == identity and self.left == records


class Waiting:
    """Wakes each waiting request when, and only when, its records are settled."""

    def __init__(self, cache: WatchCache) -> None:
        self._cache = cache
        self._waiters: defaultdict[RecordKey, list[_Waiter]] = defaultdict(list)
        cache.subscribe(self._look)

    def __len__(self) -> int:
        return sum(map(len, self._waiters.values()))

    async def settled(self, records: Mapping[RecordKey, Awaited]) -> Progress:
        """Wait until all records are published, or one is refused or gone. The caller bounds the time.

        Raises:
            RestoredError: the store was restored, and perhaps knows nothing of what was committed.
        """
        # To wait twice for the same would take long where it is so much.
        waiter = self._alike(records) if len(records) >= _MANY else None
        if waiter is None:
            waiter = _Waiter(self._cache.identity, records)
            for record in records:
                self._waiters[record].append(waiter)
            for record in records:
                self._settle(record, waiter)
        waiter.requests += 1
        try:
            return await asyncio.shield(waiter.settled)
        finally:
            waiter.requests -= 1
            if not waiter.requests:
                for record in waiter.records:
                    self._waiters[record].remove(waiter)
                    if not self._waiters[record]:
                        del self._waiters[record]

    def _alike(self, records: Mapping[RecordKey, Awaited]) -> _Waiter | None:
        """Return who waits for the same."""
        waiters = self._waiters.get(next(iter(records)), ())
        return next((each for each in waiters if each.is_for(self._cache.identity, records)), None)

    def _look(self, touched: Sequence[Touched]) -> None:
        if self._waiters:
            for record in self._concerned(touched):
                for waiter in self._waiters[record]:
                    self._settle(record, waiter)

    def _concerned(self, touched: Sequence[Touched]) -> Iterable[RecordKey]:
        """Return the records whose progress these changes, or the end of the history, can have moved."""
        if not self._cache.identity:
            return list(self._waiters)
        concerned: set[object] = set()
        names: set[str] = set()  # of hosts that are touched as a whole
        for shelf, id in touched:
            if shelf in (keys.PLACEMENTS, Kind.ZONE.plural):
                return list(self._waiters)
            if shelf in (keys.ADDRESSES, keys.PUBLISHED):
                concerned.add(id)
            elif shelf == Kind.HOST.plural:
                names.add(str(id))
            elif shelf == keys.PREFIXES:  # meant for all that follow it
                names |= self._cache.state.hosts.followers(account_of(str(id)))
        concerned |= {RecordKey(name, type) for name in names for type in RRTYPES}
        return [record for record in concerned if isinstance(record, RecordKey) and record in self._waiters]

    def _settle(self, record: RecordKey, waiter: _Waiter) -> None:
        """End the waiting if this was the last of its records, or what became of it is an end by itself."""
        if waiter.settled.done():
            return
        if self._cache.identity != waiter.identity:
            waiter.settled.set_exception(RestoredError("the store was restored meanwhile"))
            return
        awaited = waiter.left.get(record)
        if awaited is None or self._cache.revision < awaited.revision:
            return  # settled already; or this node has not even seen the commit
        now = progress(self._cache.state, record, awaited.revision, verify=awaited.verify)
        if now is Progress.PUBLISHED or (now is Progress.GONE and awaited.may_go):
            del waiter.left[record]
            if not waiter.left:
                waiter.settled.set_result(Progress.PUBLISHED)
        elif now is not Progress.PENDING:
            waiter.settled.set_result(now)
