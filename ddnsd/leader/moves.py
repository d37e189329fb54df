"""Prefixes that hosts have yet to follow: committing the address of each, whoever leads.

The move is one key; what is done of it shows in the hosts' own addresses, so the next leader goes on where
this one stopped. A host whose address was committed after the move keeps that.
"""

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime

import structlog

from ddnsd.leader.mandate import DeposedError, Mandate
from ddnsd.model.history import extended
from ddnsd.model.moves import Follower, reached_by
from ddnsd.model.publication import is_refused
from ddnsd.model.records import Committed, Entry, HistoryEntry, PrefixMove
from ddnsd.store import codec, keys
from ddnsd.store.interface import Stale, UnavailableError

_log = structlog.get_logger(__name__)

_HOSTS = 24  # in one commit: four keys to compare or write for each
_AT_ONCE = 32  # commits: what a group takes, and no more of the loop's time at a stretch
_RETRY_SECONDS = 1.0


class Mover:
    """Does the moves in the order in which they were committed."""

    def __init__(self, mandate: Mandate) -> None:
        self._mandate = mandate
        self._due = asyncio.Event()
        self._due.set()

    def due(self) -> None:
        """Look for moves now."""
        self._due.set()

    async def run(self) -> None:
        """Move hosts whenever there is a move. Never returns."""
        while True:
            await self._due.wait()
            self._due.clear()
            try:
                while moves := self._mandate.state.prefixes.values():
                    await self._take(min(moves, key=lambda move: move.revision))
            except UnavailableError as error:
                _log.warning("move.failed", reason=str(error))
                await asyncio.sleep(_RETRY_SECONDS)
                self._due.set()

    async def _take(self, move: Entry[PrefixMove]) -> None:
        """Do a move, until it is done or another one has taken its place."""
        hosts, alone = 0, False
        while self._is_current(move):
            waiting = list(self._waiting(move))
            if not waiting:
                await self._mandate.commit({move.key: move.revision}, deletes=frozenset({move.key}))
                _log.info("move.done", token=move.value.token, prefix=move.value.prefix, hosts=hosts)
            else:
                hosts, alone = hosts + len(waiting), await self._commit(move, waiting, 1 if alone else _HOSTS)
            await self._mandate.cache.current()

    def _is_current(self, move: Entry[PrefixMove]) -> bool:
        return any(each is move or each == move for each in self._mandate.state.prefixes.values())

    def _waiting(self, move: Entry[PrefixMove]) -> Iterator[Follower]:
        """Yield the hosts that the move has not reached, and that nothing newer has."""
        state = self._mandate.state
        for follower in reached_by(state, move.value):
            committed = state.addresses.get(follower.record)
            if committed is None:
                yield follower
            elif committed.revision < move.revision:
                as_wanted = committed.value.ip == follower.ip
                if not as_wanted or is_refused(state, follower.record, committed.revision):
                    yield follower

    async def _commit(self, move: Entry[PrefixMove], hosts: Sequence[Follower], size: int) -> bool:
        """Commit the addresses of as many hosts at once; return whether some were not as they seemed."""
        parts = [hosts[start : start + size] for start in range(0, len(hosts), size)]
        outcomes = []
        for start in range(0, len(parts), _AT_ONCE):
            changes = [self._change(move, part) for part in parts[start : start + _AT_ONCE]]
            outcomes += await asyncio.gather(*(self._mandate.commit(*change) for change in changes))
        stale = any(isinstance(outcome, Stale) for outcome in outcomes)
        if stale and not await self._mandate.leadership.confirm():
            raise DeposedError("another node leads; this one was moving hosts to a prefix")
        return stale

    def _change(
        self, move: Entry[PrefixMove], hosts: Sequence[Follower]
    ) -> tuple[Mapping[str, int], Mapping[str, bytes]]:
        """Return what the commit of some hosts' addresses expects and writes."""
        state, now = self._mandate.state, datetime.now(UTC)
        expects, puts = {move.key: move.revision}, {}
        for record, host, _, ip in hosts:
            committed, history = state.addresses.get(record), state.history.get(record.name)
            old = committed.value.ip if committed else ""
            entry = HistoryEntry(
                *(now, record.type, old, ip, move.value.api, move.value.token, move.value.source)
            )
            address, chronicle = keys.address(record), keys.history(record.name)
            expects[host.key] = host.revision
            expects[address] = committed.revision if committed else 0
            expects[chronicle] = history.revision if history else 0
            puts[address] = codec.encode(Committed(ip, old, move.value.commit, now))
            puts[chronicle] = codec.encode(extended(history.value if history else None, entry))
        return expects, puts
