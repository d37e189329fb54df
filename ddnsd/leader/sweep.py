"""Deleting what has done its work: tombstones whose RRset stands nowhere any more."""

import asyncio

import structlog

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
        self._due.set()

    def due(self) -> None:
        """Sweep now."""
        self._due.set()

    async def run(self) -> None:
        """Sweep whenever it is due. Never returns."""
        while True:
            await self._due.wait()
            self._due.clear()
            try:
                await self._sweep()
            except UnavailableError as error:
                _log.warning("sweep.failed", reason=str(error))
                await asyncio.sleep(_RETRY_SECONDS)
                self._due.set()

    async def _sweep(self) -> None:
        state = self._mandate.state
        removed = [record for record in state.addresses if is_removed(state, record)]
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
