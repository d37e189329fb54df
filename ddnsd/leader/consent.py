"""What an operator's takeover gives ddnsd: what stands at the names of the hosts that exist then."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from datetime import UTC, datetime

from ddnsd.aio import Slice
from ddnsd.leader.claim import Entrance
from ddnsd.leader.mandate import Mandate
from ddnsd.leader.rrsets import record_type
from ddnsd.model.addresses import RRTYPES, Challenge
from ddnsd.model.names import ours, owner, record_at, wildcard_owner
from ddnsd.model.records import HistoryEntry, RecordKey, Site
from ddnsd.model.request import Api
from ddnsd.model.taking import taken_over
from ddnsd.nameserver.interface import Nameserver, RefusedError, RRset
from ddnsd.store import codec, keys
from ddnsd.store.chronicle import addition
from ddnsd.store.interface import Done, UnavailableError

_AT_ONCE = 16  # questions at the nameserver
_TRIES = 5  # of a record that the publisher writes about at the same time
_NOT_READ = (
    "what stands at the names of hosts was not taken, as the zone cannot be transferred ({reason}): "
    "the first update of such a host is refused (NameInUse); `ddnsd zone takeover {zone} --adopt` takes them"
)

Strangers = Mapping[RecordKey, Mapping[str, RRset]]


class Consent:
    """Notes, for one site, that what stands at its hosts' names is ddnsd's own from now on."""

    def __init__(self, site: Site, nameserver: Nameserver, mandate: Mandate, entrance: Entrance) -> None:
        self._entrance = entrance
        self._site = site
        self._nameserver = nameserver
        self._mandate = mandate

    async def take(self, *, adopt: bool) -> Sequence[str]:
        """Take what stands there; return it, a line each.

        It is read by a transfer. Where that is refused, and only with `adopt`, each name is asked for.

        Raises:
            NameserverError: it could not be read.
            UnavailableError: the store cannot take it now.
        """
        await self._mandate.cache.current()
        try:
            strangers = await self._gather(self._transferred())
        except RefusedError as error:
            if not adopt:
                return (_NOT_READ.format(reason=error, zone=self._site.zone),)
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
        async with self._entrance.transfers.place(_always):
            async for part in self._nameserver.transfer(self._site.zone):
                for rrset in part:
                    yield rrset

    async def _asked(self) -> AsyncIterator[RRset]:
        """Ask for each name. What a wildcard answers is counted, too: it does no harm."""
        slice, places = Slice(), []
        for host in list(self._mandate.state.hosts_in(self._site.zone)):
            records = [RecordKey(host, type) for type in RRTYPES]
            places += [(name, record_type(record)) for record in records for name in self._names(record)]
            await slice.pause()
        for start in range(0, len(places), _AT_ONCE):
            part = places[start : start + _AT_ONCE]
            questions = (self._nameserver.query(self._site.zone, name, type) for name, type in part)
            for found in await asyncio.gather(*questions):
                if isinstance(found, RRset):
                    yield found

    def _names(self, record: RecordKey) -> Iterator[str]:
        """Yield the owner names that a host may have for the record, and that are not ddnsd's own."""
        state = self._mandate.state
        host, entry = state.hosts.get(record.name), state.published.get(record)
        if host is None or state.zone_of(record.name) != self._site.zone:
            return
        spec, is_text = host.value.spec, record.type is Challenge.TXT
        if not is_text and record.type not in spec.families:
            return
        own = ours(record, entry.value if entry else None, self._site.nameserver)
        names = (owner(record), wildcard_owner(record)) if spec.wildcard and not is_text else (owner(record),)
        yield from (name for name in names if name not in own)

    async def _note(self, record: RecordKey, found: Mapping[str, RRset]) -> None:
        for _ in range(_TRIES):
            entry = self._mandate.state.published.get(record)
            before, ttl = entry.value if entry else None, next(iter(found.values())).ttl
            values = {name: rrset.values for name, rrset in found.items()}
            key = keys.published(record)
            expects = {key: entry.revision if entry else 0}
            puts = {key: codec.encode(taken_over(record, before, values, ttl, self._site.nameserver))}
            if (entries := [*self._replaced(record, found)]) != []:
                host, expects[host], puts[host] = addition(self._mandate.state, record.name, *entries)
            if isinstance(await self._mandate.commit(expects, puts), Done):
                return
            await self._mandate.cache.current()
        raise UnavailableError(f"{keys.published(record)} could not be written: it changed again and again")

    def _replaced(self, record: RecordKey, found: Mapping[str, RRset]) -> Iterator[HistoryEntry]:
        """Yield what the committed address takes the place of: it is not to be lost."""
        committed = self._mandate.state.addresses.get(record)
        for rrset in found.values():
            if committed is not None and _text(rrset).split() != sorted(committed.value.ip.split()):
                content = committed.value.ip
                yield HistoryEntry(datetime.now(UTC), record.type, _text(rrset), content, Api.ADOPTION)


def _always() -> bool:
    return True  # an operator waits


def _text(rrset: RRset) -> str:
    return " ".join(rrset.values)
