"""Carries each IPv6 prefix to all hosts that follow it, by committing the address of each.

A prefix update is one key; what is done of it shows in the hosts' own addresses, so the next leader
continues where this one stopped. A host with an address that was committed later keeps that, and one that a
newer update is for is left to that: every commit depends on the account's newest one
(`records.PrefixHead`). So the order in which the updates are done does not matter.
"""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime

import structlog

from ddnsd.aio import Slice, Trigger, cancel
from ddnsd.leader.context import DeposedError, LeaderContext
from ddnsd.model.addresses import Family
from ddnsd.model.authorization import Follower, reached_by
from ddnsd.model.expiry import is_stale_sighting, sighting
from ddnsd.model.publication import holding
from ddnsd.model.records import Committed, Entry, HistoryEntry, Placement, PrefixUpdate, revision_of
from ddnsd.model.state import State
from ddnsd.store import keys
from ddnsd.store.interface import Done, Outcome, Stale, UnavailableError
from ddnsd.store.tables import Transaction


def is_waiting(state: State, update: Entry[PrefixUpdate], follower: Follower) -> bool:
    """Say whether the update has not reached the host, and nothing newer has."""
    return _is_to_have(state, update, follower) or _is_to_be_seen(state, update, follower)


def grounds(state: State, update: Entry[PrefixUpdate]) -> Mapping[str, int]:
    """Return what every commit because of the update expects: it, and that no newer one is unknown here."""
    account = update.value.account
    head = state.prefix_heads.get(account)
    return {update.key: update.revision, keys.prefix_head(account): revision_of(head)}


def end(state: State, update: Entry[PrefixUpdate]) -> Transaction:
    """Return the end of the update, which deletes it, and with the account's last one the head.

    The end of any other writes the head as it is: of two at the same moment one knows that it is the last.
    """
    account = update.value.account
    key, head = keys.prefix_head(account), state.prefix_heads.get(account)
    others = any(each != update for each in state.prefixes.of(account))
    transaction = Transaction(grounds(state, update)).delete(update.key)
    return transaction.put(key, head.value) if others and head else transaction.delete(key)


def change(
    state: State,
    update: Entry[PrefixUpdate],
    expected: Mapping[str, int],
    hosts: Sequence[Follower],
    now: datetime,
) -> Transaction:
    """Return a commit for some of the waiting hosts, on the condition of `expected`, too."""
    transaction = Transaction(expected)
    for follower in hosts:
        transaction.expect(follower.host.key, follower.host)
        if _is_to_have(state, update, follower):
            _give(state, update, follower, now, transaction)
        if _is_to_be_seen(state, update, follower):
            seen = state.seen.get(follower.record.name)
            known = seen.value if seen else None
            value = sighting(known, (Family.AAAA,), update.value.changed)
            transaction.replace(keys.seen(follower.record.name), seen, value)
    return transaction


def _is_to_have(state: State, update: Entry[PrefixUpdate], follower: Follower) -> bool:
    committed = state.addresses.get(follower.record)
    if committed is not None and committed.revision >= update.revision:
        return False  # also of the host that the client named: that has its own address of the same commit
    _, revision = holding(state, follower.record)
    return revision == update.revision


def _is_to_be_seen(state: State, update: Entry[PrefixUpdate], follower: Follower) -> bool:
    """Say whether the host expires, and its last refresh was long before this one."""
    seen = state.seen.get(follower.record.name)
    return is_stale_sighting(follower.host.value.spec, seen, (Family.AAAA,), update.value.changed)


def _give(
    state: State,
    update: Entry[PrefixUpdate],
    follower: Follower,
    now: datetime,
    transaction: Transaction,
) -> None:
    """Give a host its address. If the nameserver has refused the same one, that is not a change."""
    record, sent, committed = follower.record, update.value, state.addresses.get(follower.record)
    address = keys.address(record)
    if committed is not None and committed.value.ip == follower.ip:
        previous, again = committed.value.previous, committed.value.again + 1
        value = Committed(follower.ip, previous, sent.commit, now, again=again)
        transaction.replace(address, committed, value)
        return
    old = committed.value.ip if committed else ""
    transaction.replace(address, committed, Committed(follower.ip, old, sent.commit, now))
    entry = HistoryEntry(now, record.type, old, follower.ip, sent.api, sent.token, sent.source)
    transaction.append_history(state, record.name, entry)


_log = structlog.get_logger(__name__)

_SHARE = 0.5  # of the event loop, to look for hosts: a client waits for them
_RETRY_SECONDS = 1.0


class PrefixUpdates:
    """Carries all prefix updates side by side: one of thousands of hosts keeps no other waiting.

    What is done of one shows in the hosts' addresses, so that it can be begun again at any point.
    """

    def __init__(self, context: LeaderContext, backlog: Callable[[Placement], int]) -> None:
        """`backlog` says how many records wait for publication at a placement."""
        self._context = context
        self._backlog = backlog
        self._trigger = Trigger()
        self._one_look = asyncio.Lock()  # held while all hosts are looked at, as that holds the loop
        self._carried: dict[str, asyncio.Task[None]] = {}  # by the id of the prefix update

    def due(self) -> None:
        """Look for prefix updates now."""
        self._trigger.due()

    async def run(self) -> None:
        """Carry a prefix to its hosts whenever there is one. Never returns.

        Raises:
            DeposedError: another node leads.
        """
        self.due()
        try:
            await self._trigger.run(self._start)
        finally:
            await cancel(*self._carried.values())

    async def _start(self) -> None:
        """Start what is new; raise what has ended one."""
        for id, task in list(self._carried.items()):
            if task.done():
                del self._carried[id]
                task.result()
        for id in self._context.state.prefixes.keys() - self._carried.keys():
            task = self._carried[id] = asyncio.create_task(self._carry(id), name=f"prefix {id}")
            task.add_done_callback(lambda _: self.due())

    async def _carry(self, id: str) -> None:
        """Carry a prefix update, and those that take its place, until there is none any more."""
        while update := self._context.state.prefixes.get(id):
            try:
                await self._carry_one(id, update)
            except UnavailableError as error:
                _log.warning("move.failed", by=update.value.token, reason=str(error))
                await asyncio.sleep(_RETRY_SECONDS)

    async def _carry_one(self, id: str, update: Entry[PrefixUpdate]) -> None:
        """Carry it until it is done, or another one has taken its place.

        Raises:
            DeposedError: another node leads.
            UnavailableError: the store cannot take it now.
        """
        count, size = 0, self._context.policy.prefixes.hosts
        while self._context.state.prefixes.get(id) == update:
            if hosts := await self._waiting(update):
                count += len(hosts)
                moved = await self._commit(update, hosts, size)
                size = 1 if moved else self._context.policy.prefixes.hosts
            elif await self._end(update):
                _log.info("move.done", by=update.value.token, prefix=update.value.prefix, hosts=count)
            await self._context.cache.current()

    async def _waiting(self, update: Entry[PrefixUpdate]) -> Sequence[Follower]:
        async with self._one_look:
            state = self._context.state
            hosts = Slice(share=_SHARE).each(reached_by(state, update.value))
            return [host async for host in hosts if is_waiting(state, update, host)]

    async def _commit(self, update: Entry[PrefixUpdate], hosts: Sequence[Follower], size: int) -> bool:
        """Commit what is due of `size` hosts at once; return whether some were not as they seemed."""
        at_once, expected = self._context.policy.prefixes.at_once, grounds(self._context.state, update)
        parts = [hosts[start : start + size] for start in range(0, len(hosts), size)]
        outcomes: list[Outcome] = []
        spares = True
        for start in range(0, len(parts), at_once):
            some = parts[start : start + at_once]
            if start and spares:  # few hosts never wait
                spares = await self._room({host.placement for part in some for host in part})
            state, now = self._context.state, datetime.now(UTC)
            changes = [change(state, update, expected, part, now) for part in some]
            due = (each for each in changes if each.puts)  # else clients have done it meanwhile
            outcomes += await asyncio.gather(*map(self._context.commit, due))
        stale = await self._stale(outcomes)
        return any(_found(outcome, expected) == expected for outcome in stale)

    async def _end(self, update: Entry[PrefixUpdate]) -> bool:
        """Delete the prefix update; return whether that is done."""
        outcome = await self._context.commit(end(self._context.state, update))
        await self._stale([outcome])
        return isinstance(outcome, Done)

    async def _stale(self, outcomes: Sequence[Outcome]) -> Sequence[Stale]:
        """Return those outcomes, once it is known that they are not because another node leads."""
        stale = [outcome for outcome in outcomes if isinstance(outcome, Stale)]
        if stale and not await self._context.leadership.confirm():
            raise DeposedError("another node leads; this one was moving hosts to a prefix")
        return stale

    async def _room(self, placements: Collection[Placement]) -> bool:
        """Wait until few records are to be published there: who comes now waits for all of them.

        Return False if it takes too long: that is not to be waited for again.
        """
        limits, progress = self._context.policy.prefixes, asyncio.Event()
        unsubscribe = self._context.cache.subscribe(lambda _: progress.set())
        try:
            async with asyncio.timeout(limits.longest_pause):
                while any(self._backlog(placement) > limits.most_pending for placement in placements):
                    progress.clear()
                    await progress.wait()
        except TimeoutError:
            return False
        finally:
            unsubscribe()
        return True


def _found(outcome: Stale, expected: Mapping[str, int]) -> Mapping[str, int]:
    """Return at which revisions the keys of these were."""
    return {key: found.revision if (found := outcome.current.get(key)) else 0 for key in expected}
