"""The audit is bounded: the oldest entries go, a few at a time."""

import asyncio

import structlog

from ddnsd.leader.mandate import Mandate
from ddnsd.store import keys
from ddnsd.store.interface import Done, Store, UnavailableError

_log = structlog.get_logger(__name__)

MOST = 10_000  # entries
_AT_ONCE = 50  # entries of one commit
_PAUSE_SECONDS = 5.0  # between two looks, however many resources change


class AuditRetention:
    """Deletes the oldest entries. It asks the store for their number: no node has them in memory."""

    def __init__(
        self, store: Store, mandate: Mandate, *, most: int = MOST, pause: float = _PAUSE_SECONDS
    ) -> None:
        self._store = store
        self._mandate = mandate
        self._most = most
        self._pause = pause
        self._due = asyncio.Event()
        self._due.set()

    def look(self) -> None:
        """Note that there is another entry."""
        self._due.set()

    async def run(self) -> None:
        """Delete whenever there are too many. Never returns."""
        while True:
            await self._due.wait()
            self._due.clear()
            try:
                while await self._delete_some():
                    pass
            except UnavailableError as error:
                _log.warning("audit.not_trimmed", reason=str(error))
                self._due.set()
            await asyncio.sleep(self._pause)

    async def _delete_some(self) -> bool:
        """Delete the oldest ones; return whether there are still too many."""
        found = await self._store.page(keys.audit(""), _AT_ONCE, first=True)
        excess = found.total - self._most
        if excess <= 0:
            return False
        oldest = frozenset(key for key, _ in found.items[:excess])
        outcome = await self._mandate.commit({}, deletes=oldest)
        return isinstance(outcome, Done) and excess > len(oldest)
