"""Drift: compares what a nameserver serves (AXFR) with what the store says that it does.

That happens after each claim, on a timer, and when an operator asks. What was read is never pushed. A
difference only marks the record as "not known to be served", in the store, on the condition that neither
the address nor what was published has moved since before the transfer; the record is then pending for every
node, and the next batch publishes what is committed.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import UTC, datetime
from math import inf
from typing import NamedTuple

import msgspec
import structlog

from ddnsd.aio import Slice
from ddnsd.leader.backoff import growing_pauses
from ddnsd.leader.context import Claim, ZoneContext
from ddnsd.leader.push import RECORD_TYPES
from ddnsd.model.names import ours, owner, record_at
from ddnsd.model.publication import Progress, Wanted, standing, wanted
from ddnsd.model.records import Entry, PlacementState, Published
from ddnsd.model.taking import name_in_use, unknown
from ddnsd.nameserver.interface import (
    Exists,
    QueryRefusedError,
    Rcode,
    RecordType,
    RRset,
    Update,
)
from ddnsd.store import keys
from ddnsd.store.interface import Done
from ddnsd.store.tables import Transaction

_log = structlog.get_logger(__name__)

_MARKS_AT_ONCE = 200


_Place = tuple[str, str]  # owner name and type


class Expected(NamedTuple):
    """A record as it should be served, and the revisions at which that was known."""

    want: Wanted
    published: Entry[Published]


class Difference(NamedTuple):
    """A record that is not served as the store says, at one of its owner names."""

    expected: Expected
    owner: str
    found: RRset | None

    def __str__(self) -> str:
        want = self.expected.want
        should = f"{want.ttl} {' '.join(want.values)}" if want.ip else "absent"
        found = f"{self.found.ttl} {' '.join(self.found.values)}" if self.found else "absent"
        return f"{self.owner} {want.record.type}: should be {should}, is {found}"


class Stray(NamedTuple):
    """What exists at a host's name though nothing is committed for it. `given`: ddnsd may take it."""

    rrset: RRset
    zone: str
    given: bool

    def __str__(self) -> str:
        name, type, _, values = self.rrset
        text = f"{name} {type}: no address is committed; {' '.join(values)} stays"
        if self.given:
            return f"{text} until the host's first update"
        return f"{text}, and that update is refused; {name_in_use(f'{name} {type}', self.zone)}"


class Comparison(NamedTuple):
    """One transfer compared with the store. `fence` is the fence RRset's values, () without one."""

    differences: tuple[Difference, ...]
    refused: tuple[Expected, ...]  # refused before; a reconcile tries them again
    strays: tuple[Stray, ...]
    fence: tuple[str, ...]

    @property
    def findings(self) -> tuple[str, ...]:
        """What is not as it should be, a line for each record."""
        return (*map(str, self.differences), *map(_refusal, self.refused), *map(str, self.strays))


class Reconciler:
    """Compares one placement, and marks what differs; after the first time it counts as verified."""

    def __init__(self, context: ZoneContext) -> None:
        self._context = context
        self._placement = context.placement
        self._nameserver = context.nameserver
        self._fence_name = f"{context.policy.fence_label}.{context.placement.zone}"
        self._one_at_a_time = asyncio.Lock()

    async def check(self) -> tuple[str, ...]:
        """Return how the zone differs from the store, a line for each record.

        Raises:
            NameserverError: the zone could not be transferred.
        """
        return (await self._compare(_asked)).findings

    async def repair(self) -> tuple[str, ...]:
        """Make what differs pending; return it, a line for each record.

        Where the zone may not be read, everything is published again.

        Raises:
            NameserverError: the transfer broke off.
            UnavailableError: the store cannot take it now.
        """
        async with self._one_at_a_time:
            try:
                comparison = await self._compare(_asked)
            except QueryRefusedError as error:
                await self._mark_all()
                return (f"everything is published anew, as the zone cannot be compared: {error}",)
            await self._mark(comparison)
        return comparison.findings

    async def reconcile(self, claim: Claim) -> bool:
        """Compare, and make what differs pending.

        Return False if what was transferred is not to be trusted: it does not carry the fence of the claim
        under which it was asked for.

        Raises:
            NameserverError: the transfer broke off.
            UnavailableError: the store cannot take it now.
        """
        async with self._one_at_a_time:
            try:
                comparison = await self._fresh(claim)
            except QueryRefusedError as error:
                await self._without_transfer(str(error))
            else:
                if comparison.fence != claim.values:
                    return False
                if marked := await self._mark(comparison):
                    _log.warning("drift.found", **self._placement._asdict(), records=marked)
            if self._context.claim is claim and not self._context.is_verified:
                await self._context.note(PlacementState(verified_in=self._context.leader.owner.cluster))
        return True

    async def _fresh(self, claim: Claim) -> Comparison:
        """Compare the zone as it is after the claim: what is transferred may be a moment older."""
        comparison = await self._compare(self._is_urgent)
        for pause in growing_pauses(self._context.policy.timeout):
            is_old = comparison.fence != claim.values and self._context.claim is claim
            if not is_old or not await self._holds(claim):
                break
            await asyncio.sleep(pause)
            comparison = await self._compare(self._is_urgent)
        return comparison

    def _is_urgent(self) -> bool:
        """Say whether somebody waits for the comparison: until it is written the zone is not answered for."""
        return self._context.is_urgent() and not self._context.is_verified

    async def _without_transfer(self, reason: str) -> None:
        """Where the zone may not be read, publishing everything again is what makes it known."""
        _log.warning("reconcile.transfer_refused", **self._placement._asdict(), reason=reason)
        if self._context.is_verified:
            items = [item async for item, how in self._expectations() if how is Progress.REFUSED]
            await self._try_again(items)
        else:
            await self._mark_all()

    async def _compare(self, is_urgent: Callable[[], bool]) -> Comparison:
        """Transfer the zone and return where it differs from the store; the urgent zones come first.

        Raises:
            NameserverError: the transfer was refused or broke off.
        """
        async with self._context.gates.transfers.place(is_urgent):
            await self._context.leader.cache.current()
            published: dict[_Place, Expected] = {}
            refused: list[Expected] = []
            async for item, how in self._expectations():
                if how is Progress.PUBLISHED:
                    published |= {(name, item.want.record.type): item for name in item.want.owners}
                elif how is Progress.REFUSED:
                    refused.append(item)
            return await self._transferred(published, refused)

    async def _transferred(
        self, expected: Mapping[_Place, Expected], refused: Sequence[Expected]
    ) -> Comparison:
        slice = Slice()
        found: dict[_Place, RRset] = {}
        strays: list[Stray] = []
        fence: tuple[str, ...] = ()
        async for part in self._nameserver.transfer(self._placement.zone):
            async for rrset in slice.each(part):
                place = (rrset.name, rrset.type.value)
                if rrset.type is RecordType.TXT and rrset.name == self._fence_name:
                    fence = rrset.values
                elif place in expected:
                    found[place] = rrset
                elif (stray := self._stray(rrset)) is not None:
                    strays.append(stray)
        differences = [
            Difference(item, place[0], found.get(place))
            async for place, item in slice.each(expected.items())
            if not _is_as(item.want, found.get(place))
        ]
        real = [each for each in differences if not await self._is_just_not_served_yet(each)]
        return Comparison(tuple(real), tuple(refused), tuple(strays), fence)

    async def _is_just_not_served_yet(self, difference: Difference) -> bool:
        """Say whether the nameserver has the record, though what it transferred is older.

        One that signs what is written (BIND with `inline-signing`) serves it a moment later.
        """
        want, published = difference.expected.want, difference.expected.published.value
        age = (datetime.now(UTC) - published.at).total_seconds() if published.at else inf
        if not abs(age) < self._context.policy.timeout or not want.ip:
            return False
        return await self._holds(Exists(difference.owner, RECORD_TYPES[want.record.type], want.values))

    async def _holds(self, prerequisite: Exists) -> bool:
        """Ask by an UPDATE that changes nothing: prerequisites see what is written, not what is served."""
        return (
            await self._nameserver.update(Update(self._placement.zone, (prerequisite,), ())) is Rcode.NOERROR
        )

    def _stray(self, rrset: RRset) -> Stray | None:
        record, state = record_at(rrset.name, rrset.type), self._context.state
        if record is None or owner(record) != rrset.name or record in state.addresses:
            return None
        host, zone = state.hosts.get(record.name), state.zone_of(record.name)
        if host is None or record.type not in host.value.spec.families or zone != self._placement.zone:
            return None
        entry = state.published.get(record)
        own = ours(record, entry.value if entry else None, self._placement.nameserver)
        return Stray(rrset, zone, bool(own) or state.zones[zone].value.spec.adopt)

    async def _mark(self, comparison: Comparison) -> int:
        """Make what differs, and what was refused, pending again; return how many records differ."""
        items = list({each.expected.want.record: each.expected for each in comparison.differences}.values())
        drifted = [unknown(item.published.value) for item in items]
        marked = await self._write(items, drifted)
        await self._try_again(comparison.refused)
        self._context.leader.metrics.drift(self._placement.nameserver, marked)
        return marked

    async def _mark_all(self) -> None:
        """Make every record pending: for a zone whose content cannot be read."""
        items = [item async for item, _ in self._expectations()]
        await self._write(items, [_to_try_again(unknown(item.published.value)) for item in items])

    async def _try_again(self, refused: Sequence[Expected]) -> None:
        await self._write(refused, [_to_try_again(item.published.value) for item in refused])

    async def _expectations(self) -> AsyncIterator[tuple[Expected, Progress]]:
        """Yield what should be served, as it is known at that moment."""
        state = self._context.state
        async for record in self._context.leader.records_in(self._placement.zone):
            want, published = wanted(state, record), state.published.get(record)
            if want is not None and published is not None and want.placement == self._placement:
                yield Expected(want, published), standing(state, want, published.value)

    async def _write(self, items: Sequence[Expected], values: Sequence[Published]) -> int:
        done = 0
        for start in range(0, len(items), _MARKS_AT_ONCE):
            part = slice(start, start + _MARKS_AT_ONCE)
            commits = map(self._write_one, items[part], values[part])
            done += sum(isinstance(outcome, Done) for outcome in await asyncio.gather(*commits))
        return done

    async def _write_one(self, item: Expected, value: Published) -> object:
        transaction = Transaction({keys.address(item.want.record): item.want.revision})
        transaction.replace(keys.published(item.want.record), item.published, value)
        return await self._context.leader.commit(transaction)


def _is_as(want: Wanted, rrset: RRset | None) -> bool:
    if rrset is None:
        return not want.ip
    return rrset.values == want.values and rrset.ttl == want.ttl


def _to_try_again(published: Published) -> Published:
    error = published.error
    if error is None:
        return published
    return msgspec.structs.replace(published, error=msgspec.structs.replace(error, revision=0))


def _refusal(item: Expected) -> str:
    error = item.published.value.error
    assert error is not None
    return f"{item.want.record.name} {item.want.record.type}: {error.message}"


def _asked() -> bool:
    """An operator waits for what he has asked for."""
    return True
