"""Records in the store what the nameserver has taken, and which names are ddnsd's own.

An operator's takeover gives ddnsd what is at the names of the hosts that
exist then.
"""

import asyncio
from collections.abc import (
    AsyncIterator,
    Collection,
    Iterator,
    Mapping,
    Sequence,
)
from datetime import UTC, datetime

import msgspec
import structlog

from ddnsd.aio import Slice
from ddnsd.leader.backoff import growing_pauses
from ddnsd.leader.context import ZoneContext
from ddnsd.leader.push import RECORD_TYPES
from ddnsd.model.addresses import RRTYPES, Challenge
from ddnsd.model.names import ours, owner, record_at, wildcard_owner
from ddnsd.model.publication import Push, acknowledged
from ddnsd.model.records import UNSERVED, HistoryEntry, Published, PublishError, RecordKey
from ddnsd.model.request import Api
from ddnsd.model.taking import Finding, noted, taken_over, without
from ddnsd.nameserver.interface import (
    Absent,
    Hidden,
    QueryRefusedError,
    Rcode,
    RecordType,
    RRset,
    Update,
)
from ddnsd.store import keys
from ddnsd.store.interface import Done, UnavailableError
from ddnsd.store.tables import Transaction

_log = structlog.get_logger(__name__)

_READS_AT_ONCE = 16
_SERVED, _NOT_YET = "", "not yet"  # what a reading back found; anything else is why it never will be served
_DELEGATION = "NS"
NOT_SERVED = f"{UNSERVED}: is there a delegation above it, or a view that ddnsd's queries do not reach?"


class Acknowledger:
    """Acknowledges the pushes of one placement, each on the condition that `published` has not moved."""

    def __init__(self, context: ZoneContext) -> None:
        self._context = context
        self._placement = context.placement
        self._nameserver = context.nameserver

    async def acknowledge(self, pushes: Sequence[Push]) -> Sequence[Push]:
        """Record that the nameserver answered NOERROR to the pushes; return those that are not served yet.

        A first publication is read back before: only what is served counts.

        Raises:
            NameserverError: a record could not be read back; none of the pushes is acknowledged.
            UnavailableError: the store cannot take it now.
        """
        first = [push for push in pushes if push.first]
        if not first:
            await self._commit(pushes)
            return ()
        found = dict(zip([push.want.record for push in first], await self._read_back(first), strict=True))
        served = [push for push in pushes if found.get(push.want.record, _SERVED) == _SERVED]
        hidden = [push for push in first if found[push.want.record] not in (_SERVED, _NOT_YET)]
        refusals = (self.refuse([push], found[push.want.record]) for push in hidden)
        await asyncio.gather(self._commit(served), *refusals)
        return [push for push in first if found[push.want.record] == _NOT_YET]

    async def acknowledge_late(self, pushes: Sequence[Push]) -> None:
        """Record the same of pushes that were not served yet: they are read again, with growing pauses.

        A nameserver may answer with what was there before, while it signs what is new (BIND with
        `inline-signing`). Only after the policy's `timeout` nothing more is expected.

        Raises as `acknowledge`.
        """
        for pause in growing_pauses(self._context.policy.timeout):
            await asyncio.sleep(pause)
            pushes = await self.acknowledge(pushes)
            if not pushes:
                return
        await self.refuse(pushes, NOT_SERVED)

    async def note(self, findings: Sequence[Finding]) -> None:
        """Record whose the names of these pushes are: those that were free are taken next.

        What the zone lets its hosts adopt is read, and goes into the host's history.

        Raises:
            NameserverError: what exists there could not be read.
            UnavailableError: the store cannot take it now.
        """
        now = datetime.now(UTC)
        await asyncio.gather(*(self._note(finding, now) for finding in findings))
        if in_use := sum(bool(finding.in_use) for finding in findings):
            self._context.leader.metrics.refused(self._placement.nameserver, in_use)

    async def refuse(self, pushes: Sequence[Push], reason: str) -> None:
        """Record that the nameserver itself refuses these: they wait, with the error shown.

        Raises:
            NameserverError: it does not say whether a `*.<host>` is served.
            UnavailableError: the store cannot take it now.
        """
        for push in pushes:
            _log.warning("publish.refused", **push.want.record._asdict(), reason=reason)
        await asyncio.gather(*(self._note_refusal(push, reason) for push in pushes))
        self._context.leader.metrics.refused(self._placement.nameserver, len(pushes))

    async def _commit(self, pushes: Sequence[Push]) -> None:
        now, elsewhere = datetime.now(UTC), self._elsewhere()
        is_swept = elsewhere or self._context.state.prefixes  # then the sweeper deletes what is removed
        commits = [
            _written(push, acknowledged(push, now, elsewhere))
            if push.want.ip or is_swept
            else _forgotten(push)
            for push in pushes
        ]
        await asyncio.gather(*map(self._context.leader.commit, commits))
        if pushes:
            took = [max(0.0, (now - push.want.changed).total_seconds()) for push in pushes]
            self._context.leader.metrics.published(self._placement.nameserver, took)

    async def _note(self, finding: Finding, now: datetime) -> None:
        push = finding.push
        value = noted(finding, now, self._elsewhere())
        if value.error is not None and finding.in_use:
            _log.warning("publish.refused", **push.want.record._asdict(), reason=value.error.message)
        transaction = _written(push, value)
        if adopted := [
            name for name in finding.adopted if not push.before or name not in push.before.adopted
        ]:
            replaced = [found for name in adopted if (found := await self._read(push, name))]
            entries = [_adoption(push, found, now) for found in replaced]
            transaction.append_history(self._context.state, push.want.record.name, *entries)
        await self._context.leader.commit(transaction)

    async def _read(self, push: Push, name: str) -> RRset | None:
        found = await self._nameserver.query(self._placement.zone, name, RECORD_TYPES[push.want.record.type])
        return found if isinstance(found, RRset) else None

    def _elsewhere(self) -> Collection[str]:
        """Return the other nameservers that have records of the zone, as they do while it moves."""
        placements = self._context.state.placements.of(self._placement.zone)
        return [placement.nameserver for placement in placements if placement != self._placement]

    async def _note_refusal(self, push: Push, reason: str) -> None:
        """Record one refusal, and that no `*.<host>` is served where there is none.

        It may be what was refused: asked to remove it, a nameserver with a policy for single names would
        refuse the host's own record forever, though the host is not a wildcard any more. Then that is tried
        at once without.
        """
        value = push.before or Published(0, "", push.want.ttl, self._placement.nameserver)
        unstarred = value.wildcard and not self._elsewhere() and await self._is_unstarred(push)
        revision = 0 if unstarred and not push.want.wildcard else push.want.revision
        error = PublishError(revision, reason, datetime.now(UTC), self._placement.nameserver)
        value = without(value, wildcard_owner(push.want.record)) if unstarred else value
        await self._context.leader.commit(_written(push, msgspec.structs.replace(value, error=error)))

    async def _is_unstarred(self, push: Push) -> bool:
        """Ask by a prerequisite: an answer to a query might be that of a wildcard further up."""
        absent = Absent(wildcard_owner(push.want.record), RECORD_TYPES[push.want.record.type])
        question = Update(self._placement.zone, (absent,), ())
        return await self._nameserver.update(question) is Rcode.NOERROR

    async def _read_back(self, pushes: Sequence[Push]) -> Sequence[str]:
        """Return of each push whether it is served, not yet, or why it never will be."""
        gate = asyncio.Semaphore(_READS_AT_ONCE)

        async def read(push: Push) -> str:
            async with gate:
                for name in push.want.owners:
                    if found := await self._difference(push, name):
                        return found
            return _SERVED

        return await asyncio.gather(*map(read, pushes))

    async def _difference(self, push: Push, name: str) -> str:
        """Return what keeps one owner name from being served as wanted, _SERVED where nothing does."""
        found = await self._nameserver.query(self._placement.zone, name, RECORD_TYPES[push.want.record.type])
        if isinstance(found, RRset):
            return _SERVED if found.values == push.want.values else _NOT_YET
        if found is None or not await self._is_there(found):
            return _NOT_YET
        if found.type == _DELEGATION:
            return f"{found.owner} is delegated to a zone of its own, which has to have the record instead"
        return f"a {found.type} stands at {found.owner}: remove it, or name the host otherwise"

    async def _is_there(self, hidden: Hidden) -> bool:
        """Say whether it hides the name for good: an old answer may show the CNAME of a wildcard."""
        if hidden.type != RecordType.CNAME:
            return True
        question = Update(self._placement.zone, (Absent(hidden.owner, RecordType.CNAME),), ())
        return await self._nameserver.update(question) is Rcode.YXRRSET


def _written(push: Push, value: Published) -> Transaction:
    key = keys.published(push.want.record)
    return Transaction({key: push.guard}).put(key, value)


def _forgotten(push: Push) -> Transaction:
    """Return the deletion of what is known of a removed record, unless it was committed again meanwhile."""
    address, published = keys.address(push.want.record), keys.published(push.want.record)
    return Transaction({address: push.want.revision, published: push.guard}).delete(address, published)


def _adoption(push: Push, found: RRset, now: datetime) -> HistoryEntry:
    return HistoryEntry(now, push.want.record.type, " ".join(found.values), push.want.ip, Api.ADOPTION)


_AT_ONCE = 16  # questions at the nameserver
_TRIES = 5  # of a record that the publisher writes about at the same time
_NOT_READ = (
    "what stands at the names of hosts was not taken, as the zone cannot be transferred ({reason}): "
    "the first update of such a host is refused (NameInUse); `ddnsd zone takeover {zone} --adopt` takes them"
)

Strangers = Mapping[RecordKey, Mapping[str, RRset]]


class Adoption:
    """Notes, for one placement, that what exists at its hosts' names is ddnsd's own from now on."""

    def __init__(self, context: ZoneContext) -> None:
        self._context = context
        self._placement = context.placement
        self._nameserver = context.nameserver

    async def take(self, *, adopt: bool) -> Sequence[str]:
        """Take what exists there; return it, a line each.

        It is read by a transfer. Where that is refused, and only with `adopt`, each name is asked for.

        Raises:
            NameserverError: it could not be read.
            UnavailableError: the store cannot take it now.
        """
        await self._context.leader.cache.current()
        try:
            strangers = await self._gather(self._transferred())
        except QueryRefusedError as error:
            if not adopt:
                return (_NOT_READ.format(reason=error, zone=self._placement.zone),)
            strangers = await self._gather(self._asked())
        lines: list[str] = []
        for record, found in strangers.items():
            await self._note(record, found)
            lines += (f"{each.name} {each.type}: {_text(each)} is ddnsd's now" for each in found.values())
        return lines

    async def _gather(self, rrsets: AsyncIterator[RRset]) -> Strangers:
        strangers: dict[RecordKey, dict[str, RRset]] = {}
        async for rrset in rrsets:
            record = record_at(rrset.name, rrset.type)
            if record is not None and rrset.name in self._names(record):
                strangers.setdefault(record, {})[rrset.name] = rrset
        return strangers

    async def _transferred(self) -> AsyncIterator[RRset]:
        async with self._context.gates.transfers.place(lambda: True):  # an operator waits
            async for part in self._nameserver.transfer(self._placement.zone):
                for rrset in part:
                    yield rrset

    async def _asked(self) -> AsyncIterator[RRset]:
        """Ask for each name. What a wildcard answers is counted, too: it does no harm."""
        slice, places = Slice(), []
        for host in list(self._context.state.hosts_in(self._placement.zone)):
            records = [RecordKey(host, type) for type in RRTYPES]
            places += [
                (name, RECORD_TYPES[record.type]) for record in records for name in self._names(record)
            ]
            await slice.pause()
        for start in range(0, len(places), _AT_ONCE):
            part = places[start : start + _AT_ONCE]
            questions = (self._nameserver.query(self._placement.zone, name, type) for name, type in part)
            for found in await asyncio.gather(*questions):
                if isinstance(found, RRset):
                    yield found

    def _names(self, record: RecordKey) -> Iterator[str]:
        """Yield the owner names that a host may have for the record, and that are not ddnsd's own."""
        state = self._context.state
        host, entry = state.hosts.get(record.name), state.published.get(record)
        if host is None or state.zone_of(record.name) != self._placement.zone:
            return
        spec, is_text = host.value.spec, record.type is Challenge.TXT
        if not is_text and record.type not in spec.families:
            return
        own = ours(record, entry.value if entry else None, self._placement.nameserver)
        names = (owner(record), wildcard_owner(record)) if spec.wildcard and not is_text else (owner(record),)
        yield from (name for name in names if name not in own)

    async def _note(self, record: RecordKey, found: Mapping[str, RRset]) -> None:
        for _ in range(_TRIES):
            entry = self._context.state.published.get(record)
            before, ttl = entry.value if entry else None, next(iter(found.values())).ttl
            values = {name: rrset.values for name, rrset in found.items()}
            value = taken_over(record, before, values, ttl, self._placement.nameserver)
            transaction = Transaction().replace(keys.published(record), entry, value)
            if (entries := [*self._replaced(record, found)]) != []:
                transaction.append_history(self._context.state, record.name, *entries)
            if isinstance(await self._context.leader.commit(transaction), Done):
                return
            await self._context.leader.cache.current()
        raise UnavailableError(f"{keys.published(record)} could not be written: it changed again and again")

    def _replaced(self, record: RecordKey, found: Mapping[str, RRset]) -> Iterator[HistoryEntry]:
        """Yield what the committed address takes the place of: it is not to be lost."""
        committed = self._context.state.addresses.get(record)
        for rrset in found.values():
            if committed is not None and _text(rrset).split() != sorted(committed.value.ip.split()):
                content = committed.value.ip
                yield HistoryEntry(datetime.now(UTC), record.type, _text(rrset), content, Api.ADOPTION)


def _text(rrset: RRset) -> str:
    return " ".join(rrset.values)
