"""What ends by the clock or by its number: addresses, challenges, tombstones, histories, audit entries.

Hosts that are not refreshed lose their addresses, and challenges end after their day. The wall clock may be
wrong, and be set: a machine without a clock of its own starts in the past. So the leader measures with its
monotonic clock how long ago it saw each refresh arrive. It judges by the wall clock what was refreshed
before it led, and not before clients had time to come: when it has just begun, when it or its machine was
stopped, and when the wall clock was set. It does the same with a host that was suspended until now.

Tombstones go when their RRset is served nowhere; the histories that changed longest ago and the oldest
audit entries go when there are too many; and the store forgets old revisions, so that it does not grow
without end.
"""

import asyncio
import heapq
from collections import defaultdict, deque
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta

import structlog

from ddnsd.aio import Slice, Trigger, wait_for
from ddnsd.leader.context import LeaderContext
from ddnsd.model.addresses import Family, RRType
from ddnsd.model.expiry import Age, Expiry, age_by_clock, due, family_seen, is_held, stage
from ddnsd.model.publication import is_removed
from ddnsd.model.records import Committed, Entry, History, HistoryEntry, RecordKey
from ddnsd.model.request import Api
from ddnsd.model.resources import Kind
from ddnsd.store import keys
from ddnsd.store.interface import Done, Store, UnavailableError
from ddnsd.store.tables import Transaction
from ddnsd.store.watch_cache import Touched, WatchCache

_log = structlog.get_logger(__name__)

_STEP_SECONDS = 5.0  # that a clock is set by, or a look comes too late, before it means anything
_STALE_OBSERVATIONS = 1000  # of hosts that expire no more, before they are dropped


class Expirer:
    """Withdraws what has expired, as a client would: the host stays."""

    def __init__(self, context: LeaderContext) -> None:
        self._context = context
        self._began = context.policy.expiry.steady()  # when clients could come again
        self._observed: dict[RecordKey, float] = {}  # when their refreshes came, by the same clock
        self._warned: set[str] = set()
        self._held: dict[str, float] = {}  # hosts, and when they were held last, by the same clock

    async def run(self) -> None:
        """Look every few seconds. Never returns."""
        unsubscribe = self._context.cache.subscribe(self._observe)
        try:
            while True:
                await self._sleep()
                try:
                    await self._look()
                except UnavailableError as error:
                    _log.warning("expiry.failed", reason=str(error))
        finally:
            unsubscribe()

    async def _sleep(self) -> None:
        """Wait for the next look; notice what the clocks say of that time."""
        pace = self._context.policy.expiry
        wall, steady = pace.wall(), pace.steady()
        await pace.sleep(pace.period)
        passed = pace.steady() - steady
        step = (pace.wall() - wall).total_seconds() - passed
        if abs(step) > _STEP_SECONDS:
            _log.warning("clock.stepped", seconds=round(step, 1))
        if abs(step) > _STEP_SECONDS or passed - pace.period > _STEP_SECONDS:
            self._began = pace.steady()

    def _observe(self, touched: Sequence[Touched]) -> None:
        state, now = self._context.state, self._context.policy.expiry.steady()
        for place in touched:
            if place.shelf == keys.ADDRESSES and isinstance(place.id, RecordKey):
                if place.id.name in state.hosts.expiring or place.id in state.addresses.challenges:
                    self._observed[place.id] = now
            elif place.shelf == keys.SEEN and place.id in state.hosts.expiring:
                host = str(place.id)
                seen = state.seen.get(host)
                for family in Family:
                    if seen is not None and family_seen(seen.value, family) == seen.value.at:
                        self._observed[RecordKey(host, family)] = now

    def _ages(self, now: datetime) -> Age:
        """Return the ages as far as they were observed, and else as they are at this moment (UTC)."""
        steady, by_clock = self._context.policy.expiry.steady(), age_by_clock(self._context.state, now)

        def age(record: RecordKey) -> timedelta | None:
            observed = self._observed.get(record)
            return by_clock(record) if observed is None else timedelta(seconds=steady - observed)

        return age

    async def _look(self) -> None:
        state, slice, age = self._context.state, Slice(), self._ages(self._context.policy.expiry.wall())
        expired: list[RecordKey] = []
        expiring: set[str] = set()
        async for host in slice.each(list(state.hosts.expiring)):
            if is_held(state, host):
                self._held[host] = self._context.policy.expiry.steady()
                continue
            records = [RecordKey(host, family) for family in Family]
            if any(stage(state, record, age) is Expiry.EXPIRING for record in records):
                expiring.add(host)
            if self._has_waited(host):
                expired += [record for record in records if due(state, record, age)]
        async for record in slice.each(list(state.addresses.challenges)):
            if due(state, record, age):
                expired.append(record)
        self._note(expiring)
        await self._withdraw(expired)

    def _note(self, expiring: set[str]) -> None:
        hosts = self._context.state.hosts
        for host in sorted(expiring - self._warned):
            _log.warning("host.expiring", host=host)
        self._warned = expiring
        self._held = {host: last for host, last in self._held.items() if host in hosts.expiring}
        self._context.metrics.expiring(len(expiring))
        challenges = self._context.state.addresses.challenges
        if len(self._observed) > len(Family) * len(hosts.expiring) + len(challenges) + _STALE_OBSERVATIONS:
            self._observed = {
                record: at
                for record, at in self._observed.items()
                if record.name in hosts.expiring or record in challenges
            }

    def _has_waited(self, host: str) -> bool:
        """Say whether this node has led, and the host was free, for long enough for its client to come."""
        entry, pace = self._context.state.hosts.get(host), self._context.policy.expiry
        seconds = entry.value.spec.expires_after if entry else None
        could_come = pace.steady() - max(self._held.get(host, self._began), self._began)
        return seconds is not None and could_come >= min(seconds, pace.grace)

    async def _withdraw(self, records: Sequence[RecordKey]) -> None:
        by_host: defaultdict[str, list[RRType]] = defaultdict(list)
        for record in records:
            by_host[record.name].append(record.type)
        hosts, at_once = tuple(by_host), self._context.policy.expiry.at_once
        for start in range(0, len(hosts), at_once):
            part = hosts[start : start + at_once]
            await asyncio.gather(*(self._clear(name, by_host[name]) for name in part))

    async def _clear(self, host: str, types: Sequence[RRType]) -> None:
        """Leave tombstones of the host's records, but of those that were refreshed or changed meanwhile."""
        state, commit = self._context.state, self._context.new_fence().claim
        now = self._context.policy.expiry.wall()
        age, transaction, entries = self._ages(now), self._grounds(host), []
        for record in (RecordKey(host, type) for type in types):
            committed = state.addresses.get(record)
            if committed is None or not due(state, record, age):
                continue
            ip, zone = committed.value.ip, state.zone_of(host) or ""
            withdrawn = Committed("", ip, commit, now, zone, cleared=True)
            transaction.replace(keys.address(record), committed, withdrawn)
            entries.append(HistoryEntry(now, record.type, ip, "", Api.EXPIRY))
        if entries:
            transaction.append_history(state, host, *entries)
            if isinstance(await self._context.commit(transaction), Done):
                _log.info("host.expired", host=host, types=[str(entry.type) for entry in entries])

    def _grounds(self, host: str) -> Transaction:
        """Return what a withdrawal depends on beside the addresses; a prefix, too, may refresh the host."""
        state = self._context.state
        entry = state.hosts.get(host)
        transaction = Transaction().expect(keys.resource(Kind.HOST, host), entry)
        transaction.expect(keys.seen(host), state.seen.get(host))
        if entry is not None:
            account = entry.value.spec.account
            transaction.expect(keys.prefix_head(account), state.prefix_heads.get(account))
        return transaction


_AT_ONCE = 200
_RETRY_SECONDS = 1.0


class Sweeper:
    """Sweeps whenever a placement has been left. Where a zone has one, a tombstone goes with its removal."""

    def __init__(self, context: LeaderContext) -> None:
        self._context = context
        self._trigger = Trigger()
        self._records: set[RecordKey] = set()  # to look at
        self.look(context.state.addresses.tombstones)

    def look(self, records: Collection[RecordKey]) -> None:
        """Look at these tombstones: one may have done its work."""
        if records:
            self._records.update(records)
            self._trigger.due()

    async def run(self) -> None:
        """Sweep whenever it is due. Never returns."""
        await self._trigger.run(
            self._sweep,
            retry_on=UnavailableError,
            retry_after=_RETRY_SECONDS,
            failed=lambda error: _log.warning("sweep.failed", reason=str(error)),
        )

    async def _sweep(self) -> None:
        records, self._records = self._records, set()
        state = self._context.state
        removed = [record async for record in Slice().each(records) if is_removed(state, record)]
        try:
            for start in range(0, len(removed), _AT_ONCE):
                await asyncio.gather(*map(self._delete, removed[start : start + _AT_ONCE]))
        except UnavailableError:
            self._records |= records
            raise

    async def _delete(self, record: RecordKey) -> None:
        """Delete both keys, unless the record was committed again meanwhile."""
        state = self._context.state
        address, published = keys.address(record), keys.published(record)
        committed, acknowledged = state.addresses.get(record), state.published.get(record)
        if committed is not None and is_removed(state, record):
            transaction = Transaction().expect(address, committed).expect(published, acknowledged)
            await self._context.commit(transaction.delete(address, published))


_SPARE = 1_000  # more than is needed goes at once, so that not every change costs a look at all
_HISTORIES_AT_ONCE = 50  # keys of one commit


class HistoryRetention:
    """Deletes the histories of the hosts that changed longest ago."""

    def __init__(self, context: LeaderContext) -> None:
        self._context = context
        self._trigger = Trigger()

    def look(self) -> None:
        """Note that a history has grown."""
        if self._context.state.history.total > self._context.policy.most_history:
            self._trigger.due()

    async def run(self) -> None:
        """Forget whenever there is too much. Never returns."""
        self.look()
        await self._trigger.run(
            self._forget,
            retry_on=UnavailableError,
            retry_after=_RETRY_SECONDS,
            failed=lambda error: _log.warning("history.not_forgotten", reason=str(error)),
        )

    async def _forget(self) -> None:
        history, most = self._context.state.history, self._context.policy.most_history
        if history.total <= most:
            return
        excess = history.total - most + min(_SPARE, most // 10)
        chosen = []
        for entry in await _oldest(list(history.values()), excess):
            if excess <= 0:
                break
            excess -= len(entry.value.entries)
            chosen.append(entry)
        for start in range(0, len(chosen), _HISTORIES_AT_ONCE):
            part = chosen[start : start + _HISTORIES_AT_ONCE]
            transaction = Transaction({entry.key: entry.revision for entry in part})
            await self._context.commit(transaction.delete(*transaction.expects))
        await self._context.cache.current()
        self.look()


async def _oldest(histories: Iterable[Entry[History]], count: int) -> Sequence[Entry[History]]:
    """Return as many of the histories as were not written for longest, the oldest first."""
    newest_first: list[tuple[int, Entry[History]]] = []  # a heap; no two have one revision and key
    async for entry in Slice().each(histories):
        heapq.heappush(newest_first, (-entry.revision, entry))
        if len(newest_first) > count:
            heapq.heappop(newest_first)
    return [entry for _, entry in sorted(newest_first, key=lambda each: each[1].revision)]


_STEPS = 10  # compactions in the time that history is kept


class Compactor:
    """Compacts what is older than `after` seconds. A node whose watch lags behind loads a snapshot."""

    def __init__(self, store: Store, cache: WatchCache, after: float) -> None:
        """`after` 0: never."""
        self._store = store
        self._cache = cache
        self._after = after
        self._changed = asyncio.Event()
        self._marks: deque[tuple[float, int]] = deque()  # when, on the loop's clock, which revision

    def reconfigure(self, after: float) -> None:
        """Compact what is older than `after` seconds from now on; 0: nothing."""
        if after != self._after:
            self._after = after
            self._changed.set()

    async def run(self) -> None:
        """Compact for as long as this node leads. Never returns."""
        while True:
            self._changed.clear()
            await wait_for(self._changed, (self._after or 3600) / _STEPS)
            if self._after:
                await self._step()

    async def _step(self) -> None:
        now = asyncio.get_running_loop().time()
        self._marks.append((now, self._cache.revision))
        old = [revision for at, revision in self._marks if at <= now - self._after]
        if not old:
            return
        try:
            done = await self._store.compact(old[-1])
        except UnavailableError as error:
            _log.warning("compaction.failed", revision=old[-1], reason=str(error))
            return
        for _ in old:
            self._marks.popleft()
        if done:
            _log.info("compaction.done", revision=old[-1])


MOST_AUDIT_ENTRIES = 10_000  # entries
_AUDIT_ENTRIES_AT_ONCE = 50  # entries of one commit
_PAUSE_SECONDS = 5.0  # between two looks, however many resources change


class AuditRetention:
    """Deletes the oldest entries. It asks the store for their number: no node has them in memory."""

    def __init__(
        self,
        store: Store,
        context: LeaderContext,
        *,
        most: int = MOST_AUDIT_ENTRIES,
        pause: float = _PAUSE_SECONDS,
    ) -> None:
        self._store = store
        self._context = context
        self._most = most
        self._pause = pause
        self._trigger = Trigger()

    def look(self) -> None:
        """Note that there is another entry."""
        self._trigger.due()

    async def run(self) -> None:
        """Delete whenever there are too many. Never returns."""
        self.look()
        await self._trigger.run(
            self._trim,
            retry_on=UnavailableError,
            retry_after=self._pause,
            failed=lambda error: _log.warning("audit.not_trimmed", reason=str(error)),
        )

    async def _trim(self) -> None:
        while await self._delete_some():
            pass
        await asyncio.sleep(self._pause)

    async def _delete_some(self) -> bool:
        """Delete the oldest ones; return whether there are still too many."""
        found = await self._store.page(keys.audit(""), _AUDIT_ENTRIES_AT_ONCE, first=True)
        excess = found.total - self._most
        if excess <= 0:
            return False
        oldest = [key for key, _ in found.items[:excess]]
        outcome = await self._context.commit(Transaction().delete(*oldest))
        return isinstance(outcome, Done) and excess > len(oldest)
