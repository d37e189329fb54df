"""Prefixes that hosts have yet to follow: committing the address of each, whoever leads.

A move is one key; what is done of it shows in the hosts' own addresses, so the next leader goes on where
this one stopped. A host whose address was committed after the move keeps that, and one that a newer move
is for is left to that: every commit depends on the account's newest one (`records.PrefixHead`). So the
order in which moves are done is no matter.
"""

import asyncio
import contextlib
from collections.abc import Callable, Collection

import structlog

from ddnsd.leader.errand import Errand
from ddnsd.leader.mandate import Mandate
from ddnsd.leader.tasks import cancel
from ddnsd.model.records import Site
from ddnsd.store.interface import UnavailableError

_log = structlog.get_logger(__name__)

# Records of a site: enough to keep its nameserver busy. Whatever clients change meanwhile waits for them.
_MOST_PENDING = 400
_LONGEST_PAUSE = 1.0  # seconds; a nameserver that publishes nothing in that time is not spared any more
_RETRY_SECONDS = 1.0


class Mover:
    """Does all moves side by side: one of thousands of hosts does not keep the others waiting."""

    def __init__(self, mandate: Mandate, backlog: Callable[[Site], int]) -> None:
        """`backlog` says how many records wait for publication at a site."""
        self._mandate = mandate
        self._backlog = backlog
        self._due = asyncio.Event()
        self._progress = asyncio.Event()
        self._one_look = asyncio.Lock()
        self._moving: dict[str, asyncio.Task[None]] = {}  # by the id of the move

    def due(self) -> None:
        """Look for moves now."""
        self._due.set()

    async def run(self) -> None:
        """Move hosts whenever there is a move. Never returns.

        Raises:
            DeposedError: another node leads.
        """
        unsubscribe = self._mandate.cache.subscribe(lambda _: self._progress.set())
        try:
            while True:
                self._due.clear()
                for id in self._mandate.state.prefixes.keys() - self._moving.keys():
                    self._moving[id] = asyncio.create_task(self._carry_out(id), name=f"move {id}")
                await self._event()
        finally:
            unsubscribe()
            await cancel(*self._moving.values())

    async def _event(self) -> None:
        """Wait for new moves, or for one that is done."""
        due = asyncio.create_task(self._due.wait(), name="moves")
        try:
            await asyncio.wait([due, *self._moving.values()], return_when=asyncio.FIRST_COMPLETED)
        finally:
            due.cancel()
        for id, task in list(self._moving.items()):
            if task.done():
                del self._moving[id]
                task.result()

    async def _carry_out(self, id: str) -> None:
        """Do a move, and those that take its place, until there is none any more."""
        while move := self._mandate.state.prefixes.get(id):
            try:
                await Errand(self._mandate, move, self._one_look, self._room).run()
            except UnavailableError as error:
                _log.warning("move.failed", by=move.value.token, reason=str(error))
                await asyncio.sleep(_RETRY_SECONDS)

    async def _room(self, sites: Collection[Site]) -> bool:
        """Wait until few records are to be published there: who comes now waits for all of them.

        Return False if it takes too long.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LONGEST_PAUSE):
                while any(self._backlog(site) > _MOST_PENDING for site in sites):
                    self._progress.clear()
                    await self._progress.wait()
                return True
        return False
