"""Deleting what has done its work: tombstones whose RRset stands nowhere any more."""

import asyncio
from collections.abc import Collection

import structlog

from ddnsd.aio import Slice
from ddnsd.leader.mandate import Mandate
from ddnsd.model.publication import is_removed
from ddnsd.model.records import RecordKey
from ddnsd.store import keys
from ddnsd.store.interface import UnavailableError

_log = structlog.get_logger(__name__)

_AT_ONCE = 200
_RETRY_SECONDS = 1.0


class Sweeper:
    """Sweeps whenever a site has been left. A tombstone of a zone with one site goes with its removal."""

    def __init__(self, mandate: Mandate) -> None:
        self._mandate = mandate
        self._due = asyncio.Event()
        self._records: set[RecordKey] = set()  # to look at
        self.look(mandate.state.addresses.tombstones)

    def look(self, records: Collection[RecordKey]) -> None:
        """Look at these tombstones: one may have done its work."""
        if records:
            self._records.update(records)
            self._due.set()

    async def run(self) -> None:
        """Sweep whenever it is due. Never returns."""
        while True:
            await self._due.wait()
            self._due.clear()
            records, self._records = self._records, set()
            try:
                await self._sweep(records)
            except UnavailableError as error:
                _log.warning("sweep.failed", reason=str(error))
                await asyncio.sleep(_RETRY_SECONDS)
                self.look(records)

    async def _sweep(self, records: Collection[RecordKey]) -> None:
        state = self._mandate.state
        removed = [record async for record in Slice().each(records) if is_removed(state, record)]
        for start in range(0, len(removed), _AT_ONCE):
            await asyncio.gather(*map(self._delete, removed[start : start + _AT_ONCE]))

    async def _delete(self, record: RecordKey) -> None:
        """Delete both keys, unless the record was committed anew meanwhile."""
        state = self._mandate.state
        address, published = keys.address(record), keys.published(record)
        committed, acknowledged = state.addresses.get(record), state.published.get(record)
        if committed is not None and is_removed(state, record):
            expects = {address: committed.revision, published: acknowledged.revision if acknowledged else 0}
            await self._mandate.commit(expects, deletes=frozenset({address, published}))
