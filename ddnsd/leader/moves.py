"""Prefixes that hosts have yet to follow: committing the address of each, whoever leads.

The move is one key; what is done of it shows in the hosts' own addresses, so the next leader goes on where
this one stopped. A host whose address was committed after the move keeps that, and one that a newer move
is for is left to that: every commit depends on the account's newest one (`records.PrefixHead`).
"""

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime

import structlog

from ddnsd.leader.following import KEYS_OF_A_HOST, change, ended, grounds, waiting
from ddnsd.leader.mandate import DeposedError, Mandate
from ddnsd.model.moves import Follower
from ddnsd.model.records import Entry, PrefixMove
from ddnsd.store.interface import MAX_KEYS_PER_UPDATE, Done, Outcome, Stale, UnavailableError

_log = structlog.get_logger(__name__)

_OTHER_KEYS = 8  # that a commit expects besides those of its hosts
_HOSTS = (MAX_KEYS_PER_UPDATE - _OTHER_KEYS) // KEYS_OF_A_HOST  # in one commit
_AT_ONCE = 16  # commits: no more of the loop's time at a stretch
_MOST_PENDING = (
    400  # records: enough to keep the nameserver busy; whatever clients change meanwhile waits for them
)
_LONGEST_PAUSE = 1.0  # seconds: it may be another zone's records that are not published
_RETRY_SECONDS = 1.0


class Mover:
    """Does the moves in the order in which they were committed."""

    def __init__(self, mandate: Mandate, backlog: Callable[[], int]) -> None:
        """`backlog` says how many records wait for publication."""
        self._mandate = mandate
        self._backlog = backlog
        self._progress = asyncio.Event()
        self._due = asyncio.Event()
        self._due.set()

    def due(self) -> None:
        """Look for moves now."""
        self._due.set()

    async def run(self) -> None:
        """Move hosts whenever there is a move. Never returns."""
        unsubscribe = self._mandate.cache.subscribe(lambda _: self._progress.set())
        try:
            while True:
                await self._due.wait()
                self._due.clear()
                await self._turn()
        finally:
            unsubscribe()

    async def _turn(self) -> None:
        """Do what there is to do, as far as the store lets it be done."""
        try:
            while moves := self._mandate.state.prefixes.values():
                await self._take(min(moves, key=lambda move: move.revision))
        except UnavailableError as error:
            _log.warning("move.failed", reason=str(error))
            await asyncio.sleep(_RETRY_SECONDS)
            self._due.set()

    async def _take(self, move: Entry[PrefixMove]) -> None:
        """Do a move, until it is done or another one has taken its place."""
        count, alone = 0, False
        while self._is_current(move):
            if hosts := list(waiting(self._mandate.state, move)):
                count, alone = count + len(hosts), await self._commit(move, hosts, 1 if alone else _HOSTS)
            elif await self._end(move):
                _log.info("move.done", token=move.value.token, prefix=move.value.prefix, hosts=count)
            await self._mandate.cache.current()

    def _is_current(self, move: Entry[PrefixMove]) -> bool:
        return any(each is move or each == move for each in self._mandate.state.prefixes.values())

    async def _commit(self, move: Entry[PrefixMove], hosts: Sequence[Follower], size: int) -> bool:
        """Commit what is due of as many hosts at once; return whether some were not as they seemed."""
        expected = grounds(self._mandate.state, move)
        parts = [hosts[start : start + size] for start in range(0, len(hosts), size)]
        outcomes: list[Outcome] = []
        for start in range(0, len(parts), _AT_ONCE):
            await self._room()
            state, now = self._mandate.state, datetime.now(UTC)
            changes = [change(state, move, part, now) for part in parts[start : start + _AT_ONCE]]
            due = (each for each in changes if each[1])  # else clients have done it meanwhile
            commits = (self._mandate.commit({**expected, **expects}, puts) for expects, puts in due)
            outcomes += await asyncio.gather(*commits)
        stale = await self._stale(outcomes)
        return any(_found(outcome, expected) == expected for outcome in stale)

    async def _room(self) -> None:
        """Wait, for a while, until few records are to be published: who comes now waits for all of them."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LONGEST_PAUSE):
                while self._backlog() > _MOST_PENDING:
                    self._progress.clear()
                    await self._progress.wait()

    async def _end(self, move: Entry[PrefixMove]) -> bool:
        """Delete the move; return whether that is done."""
        state = self._mandate.state
        outcome = await self._mandate.commit(grounds(state, move), deletes=ended(state, move))
        await self._stale([outcome])
        return isinstance(outcome, Done)

    async def _stale(self, outcomes: Sequence[Outcome]) -> Sequence[Stale]:
        """Return those outcomes, once it is known that they are not because another node leads."""
        stale = [outcome for outcome in outcomes if isinstance(outcome, Stale)]
        if stale and not await self._mandate.leadership.confirm():
            raise DeposedError("another node leads; this one was moving hosts to a prefix")
        return stale


def _found(outcome: Stale, expected: Mapping[str, int]) -> Mapping[str, int]:
    """Return at which revisions the keys of these were."""
    return {key: found.revision if (found := outcome.current.get(key)) else 0 for key in expected}
