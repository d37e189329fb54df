"""One prefix, carried to all hosts that follow it."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime

import structlog

from ddnsd.aio import Slice
from ddnsd.leader.following import KEYS_OF_A_HOST, change, end, grounds, is_waiting
from ddnsd.leader.mandate import DeposedError, Mandate
from ddnsd.model.prefix_updates import Follower, reached_by
from ddnsd.model.records import Entry, PrefixMove, Site
from ddnsd.store.interface import MAX_KEYS_PER_UPDATE, Done, Outcome, Stale

_log = structlog.get_logger(__name__)

_OTHER_KEYS = 8  # that a commit expects besides those of its hosts
_HOSTS = (MAX_KEYS_PER_UPDATE - _OTHER_KEYS) // KEYS_OF_A_HOST  # in one commit
_SHARE = 0.5  # of the event loop, to look for hosts: a client waits for them
_AT_ONCE = 16  # commits: no more of the loop's time at a stretch

Room = Callable[[Collection[Site]], Awaitable[bool]]


class Errand:
    """Does a move. What is done of it shows in the hosts' addresses, so that it can be begun anew."""

    def __init__(self, mandate: Mandate, move: Entry[PrefixMove], one_look: asyncio.Lock, room: Room) -> None:
        """`one_look` is held while all hosts are looked at, as that holds the loop.

        `room` waits until sites can take more; it returns False if that is not to be waited for again.
        """
        self._mandate = mandate
        self._move = move
        self._one_look = one_look
        self._room = room

    async def run(self) -> None:
        """Do the move, until it is done or another one has taken its place.

        Raises:
            DeposedError: another node leads.
            UnavailableError: the store cannot take it now.
        """
        count, alone = 0, False
        while self._is_current():
            if hosts := await self._waiting():
                count, alone = count + len(hosts), await self._commit(hosts, 1 if alone else _HOSTS)
            elif await self._end():
                move = self._move.value
                _log.info("move.done", by=move.token, prefix=move.prefix, hosts=count)
            await self._mandate.cache.current()

    def _is_current(self) -> bool:
        return self._mandate.state.prefixes.get(self._move.key.partition("/")[2]) == self._move

    async def _waiting(self) -> Sequence[Follower]:
        async with self._one_look:
            state, move = self._mandate.state, self._move
            hosts = Slice(share=_SHARE).each(reached_by(state, move.value))
            return [host async for host in hosts if is_waiting(state, move, host)]

    async def _commit(self, hosts: Sequence[Follower], size: int) -> bool:
        """Commit what is due of as many hosts at once; return whether some were not as they seemed."""
        expected = grounds(self._mandate.state, self._move)
        parts = [hosts[start : start + size] for start in range(0, len(hosts), size)]
        outcomes: list[Outcome] = []
        spares = True
        for start in range(0, len(parts), _AT_ONCE):
            some = parts[start : start + _AT_ONCE]
            if start and spares:  # few hosts never wait
                spares = await self._room({host.site for part in some for host in part})
            state, now = self._mandate.state, datetime.now(UTC)
            changes = [change(state, self._move, part, now) for part in some]
            due = (each for each in changes if each[1])  # else clients have done it meanwhile
            commits = (self._mandate.commit({**expected, **expects}, puts) for expects, puts in due)
            outcomes += await asyncio.gather(*commits)
        stale = await self._stale(outcomes)
        return any(_found(outcome, expected) == expected for outcome in stale)

    async def _end(self) -> bool:
        """Delete the move; return whether that is done."""
        state = self._mandate.state
        puts, deletes = end(state, self._move)
        outcome = await self._mandate.commit(grounds(state, self._move), puts, deletes)
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
