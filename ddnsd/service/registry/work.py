"""Work asked of the leader, from any node: written to the store, and waited for there."""

import asyncio
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime

from ddnsd.model.records import Entry, Work, WorkRequest
from ddnsd.service.registry.errors import NotFoundError, StoreFailedError
from ddnsd.store import codec, keys
from ddnsd.store.commit import GroupCommit
from ddnsd.store.interface import Done, Outcome, StoreError, Update
from ddnsd.store.snapshot import Touched, WatchCache


class WorkDesk:
    """Takes requests of work and waits for their end."""

    def __init__(self, cache: WatchCache, commits: GroupCommit, timeout: float) -> None:
        """`timeout` bounds each answer of the store, in seconds."""
        self._cache = cache
        self._commits = commits
        self._timeout = timeout
        self._waiters: dict[str, asyncio.Event] = {}
        cache.subscribe(self._look)

    def reconfigure(self, timeout: float) -> None:
        """Bound it by another time, in seconds, from now on."""
        self._timeout = timeout

    async def request(self, zone: str, work: Work, *, adopt: bool = False) -> str:
        """Ask for work on a zone; return the request's id. `adopt`: see `WorkRequest`.

        Raises:
            NotFoundError: nothing is, or was, published there.
            StoreFailedError: perhaps not asked.
        """
        try:
            await self._cache.current()
            state = self._cache.state
            if zone not in state.zones and not any(state.sites_of(zone)):
                raise NotFoundError(f"there is no Zone {zone}")
            id = secrets.token_hex(9)
            value = codec.encode(WorkRequest(work, zone, datetime.now(UTC), adopt=adopt))
            outcome = await self._commit(Update({keys.request(id): 0}, {keys.request(id): value}))
        except StoreError as error:
            raise StoreFailedError(f"the store cannot do it now ({error}): try again") from error
        if not isinstance(outcome, Done):
            raise StoreFailedError("the store's answer was lost: try again")
        return id

    async def finished(self, id: str, timeout: float) -> WorkRequest | None:
        """Wait for the end of a request, and clear it away; None if it takes longer than `timeout` seconds.

        Raises:
            NotFoundError: there is no such request (any more).
            StoreFailedError: the store cannot be read.
        """
        woken = self._waiters[id] = asyncio.Event()
        try:
            async with asyncio.timeout(timeout):
                await self._cache.current()
                while (entry := self._entry(id)).value.finished is None:
                    woken.clear()
                    await woken.wait()
        except TimeoutError:
            return None
        except StoreError as error:
            raise StoreFailedError(f"the store cannot be read now ({error}): try again") from error
        finally:
            del self._waiters[id]
        await self._clear(entry)
        return entry.value

    def _entry(self, id: str) -> Entry[WorkRequest]:
        entry = self._cache.state.requests.get(id)
        if entry is None:
            raise NotFoundError(f"there is no request {id}")
        return entry

    def _look(self, touched: Sequence[Touched]) -> None:
        if self._waiters:
            for place in touched:
                if place.shelf == keys.REQUESTS and isinstance(place.id, str) and place.id in self._waiters:
                    self._waiters[place.id].set()

    async def _clear(self, entry: Entry[WorkRequest]) -> None:
        """Delete a finished request; one that stays is the leader's to clear away."""
        try:
            await self._commit(Update({entry.key: entry.revision}, deletes=frozenset({entry.key})))
        except StoreError:
            return

    async def _commit(self, update: Update) -> Outcome:
        try:
            async with asyncio.timeout(self._timeout):
                return await self._commits.commit(update)
        except TimeoutError as error:
            raise StoreFailedError(f"the store did not answer in {self._timeout:g} s: try again") from error
