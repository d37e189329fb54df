"""The installation's whole state in memory, as one node knows it at one revision.

Filled by the watch cache only. Everything that decides reads it, nothing that decides writes it.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Set
from typing import Any, TypeVar

from .addresses import Challenge
from .names import is_below, label_count
from .records import (
    Candidacy,
    Committed,
    Entry,
    Footprint,
    History,
    Installation,
    LastSeen,
    Member,
    PrefixHead,
    PrefixMove,
    Published,
    RecordKey,
    RegistryHead,
    Resource,
    Site,
    Source,
    WorkRequest,
    account_of,
)
from .resources import AccountSpec, HostSpec, Kind, TokenSpec, ZoneSpec

Id = TypeVar("Id")
Value = TypeVar("Value")
Zones = dict[str, Entry[Resource[ZoneSpec]]]


class Table(dict[Id, Entry[Value]]):
    """Entries by id."""

    def put(self, id: Id, entry: Entry[Value]) -> None:
        """Add or replace an entry."""
        self[id] = entry

    def drop(self, id: Id) -> None:
        """Remove an entry; an absent one is no error."""
        self.pop(id, None)


class _Groups:
    """Names by account."""

    def __init__(self) -> None:
        self._names: defaultdict[str, set[str]] = defaultdict(set)

    def add(self, account: str, name: str) -> None:
        self._names[account].add(name)

    def discard(self, account: str, name: str) -> None:
        names = self._names[account]
        names.discard(name)
        if not names:
            del self._names[account]

    def of(self, account: str) -> Set[str]:
        return self._names.get(account, frozenset())


class HostTable(Table[str, Resource[HostSpec]]):
    """Hosts by name and by account; which of them follow a prefix, and which expire."""

    def __init__(self) -> None:
        super().__init__()
        self.expiring: set[str] = set()
        self._all = _Groups()
        self._followers = _Groups()

    def put(self, id: str, entry: Entry[Resource[HostSpec]]) -> None:
        """Add or replace a host."""
        self.drop(id)
        self[id] = entry
        spec = entry.value.spec
        self._all.add(spec.account, id)
        if spec.ipv6_suffix is not None:
            self._followers.add(spec.account, id)
        if spec.expires_after is not None:
            self.expiring.add(id)

    def drop(self, id: str) -> None:
        """Remove a host."""
        entry = self.pop(id, None)
        if entry is None:
            return
        self.expiring.discard(id)
        self._all.discard(entry.value.spec.account, id)
        self._followers.discard(entry.value.spec.account, id)

    def of(self, account: str) -> Set[str]:
        """Return the names of the account's hosts."""
        return self._all.of(account)

    def followers(self, account: str) -> Set[str]:
        """Return the names of the account's hosts that have an interface identifier."""
        return self._followers.of(account)


class AddressTable(Table[RecordKey, Committed]):
    """Committed records by key, and which of them are TXTs."""

    def __init__(self) -> None:
        super().__init__()
        self.challenges: set[RecordKey] = set()

    def put(self, id: RecordKey, entry: Entry[Committed]) -> None:
        """Add or replace a record."""
        self[id] = entry
        if id.type is Challenge.TXT:
            self.challenges.add(id)

    def drop(self, id: RecordKey) -> None:
        """Remove a record."""
        self.pop(id, None)
        self.challenges.discard(id)


class PrefixTable(Table[str, PrefixMove]):
    """Prefixes that hosts have yet to follow, by id and by account."""

    def __init__(self) -> None:
        super().__init__()
        self._ids = _Groups()

    def put(self, id: str, entry: Entry[PrefixMove]) -> None:
        """Add or replace a move."""
        self[id] = entry
        self._ids.add(account_of(id), id)

    def drop(self, id: str) -> None:
        """Remove a move."""
        if self.pop(id, None) is not None:
            self._ids.discard(account_of(id), id)

    def of(self, account: str) -> Iterator[Entry[PrefixMove]]:
        """Yield the moves of an account's hosts."""
        return (self[id] for id in self._ids.of(account))


class HistoryTable(Table[str, History]):
    """Histories by host, and how many entries they have together."""

    def __init__(self) -> None:
        super().__init__()
        self.total = 0

    def put(self, id: str, entry: Entry[History]) -> None:
        """Add or replace a host's history."""
        self.drop(id)
        self[id] = entry
        self.total += len(entry.value.entries)

    def drop(self, id: str) -> None:
        """Remove a host's history."""
        entry = self.pop(id, None)
        if entry is not None:
            self.total -= len(entry.value.entries)


class TokenTable(Table[str, Resource[TokenSpec]]):
    """Tokens by name, and by the digest of their secret."""

    def __init__(self) -> None:
        super().__init__()
        self._names: dict[str, tuple[str, ...]] = {}  # digest -> holders' names, oldest first

    def put(self, id: str, entry: Entry[Resource[TokenSpec]]) -> None:
        """Add or replace a token."""
        self.drop(id)
        self[id] = entry
        digest = entry.value.spec.sha256
        holders = (*self._names.get(digest, ()), id)
        self._names[digest] = tuple(sorted(holders, key=lambda name: (self[name].created, name)))

    def drop(self, id: str) -> None:
        """Remove a token."""
        entry = self.pop(id, None)
        if entry is None:
            return
        digest = entry.value.spec.sha256
        holders = tuple(name for name in self._names[digest] if name != id)
        if holders:
            self._names[digest] = holders
        else:
            del self._names[digest]

    def by_digest(self, digest: str) -> Entry[Resource[TokenSpec]] | None:
        """Return the token with this digest; of several, the oldest."""
        holders = self._names.get(digest)
        return self[holders[0]] if holders else None


class State:
    """Tables of everything that is stored."""

    def __init__(self) -> None:
        self.identity = ""  # of the store's history that this is a state of
        self.accounts: Table[str, Resource[AccountSpec]] = Table()
        self.zones: Table[str, Resource[ZoneSpec]] = Table()
        self.hosts = HostTable()
        self.tokens = TokenTable()
        self.addresses = AddressTable()
        self.published: Table[RecordKey, Published] = Table()
        self.seen: Table[str, LastSeen] = Table()  # of hosts that expire
        self.history = HistoryTable()  # by host
        self.prefixes = PrefixTable()  # that hosts have yet to follow
        self.prefix_heads: Table[str, PrefixHead] = Table()  # by account
        self.footprints: Table[Site, Footprint] = Table()
        self.requests: Table[str, WorkRequest] = Table()
        self.registry: Table[str, RegistryHead] = Table()  # one entry at most, under ""
        self.installation: Table[str, Installation] = Table()  # one entry, under ""
        self.members: Table[str, Member] = Table()
        self.candidates: Table[str, Candidacy] = Table()
        self.sources: Table[str, Source] = Table()
        self.controllers: Table[str, Candidacy] = Table()  # by "<source>/<key>"

    @property
    def leader(self) -> Entry[Candidacy] | None:
        """The candidate whose key is the oldest; when that was created is its epoch."""
        return _oldest(self.candidates.values())

    def controller_of(self, source: str) -> Entry[Candidacy] | None:
        """Return the candidate that controls a source."""
        return _oldest(entry for id, entry in self.controllers.items() if id.rpartition("/")[0] == source)

    def resources(self, kind: Kind) -> Table[str, Any]:
        """Return the documents of a kind, by name."""
        tables: dict[Kind, Table[str, Any]] = {
            Kind.ZONE: self.zones,
            Kind.ACCOUNT: self.accounts,
            Kind.HOST: self.hosts,
            Kind.TOKEN: self.tokens,
        }
        return tables[kind]

    def zone_of(self, name: str) -> str | None:
        """Return the zone that a name lies in: the longest match, the apex included."""
        while name:
            if name in self.zones:
                return name
            name = name.partition(".")[2]
        return None

    def is_first_level(self, name: str) -> bool:
        """Say whether the contract counts the name as a first-level domain, which has no host.

        That is a managed zone's apex, or a name of fewer than three labels outside every zone.
        """
        zone = self.zone_of(name)
        return zone == name if zone is not None else label_count(name) < 3

    def hosts_in(self, zone: str) -> Iterator[str]:
        """Yield the names of the zone's hosts."""
        for name in self.hosts:
            if is_below(name, zone) and self.zone_of(name) == zone:
                yield name

    def records_in(self, zone: str) -> Iterator[RecordKey]:
        """Yield the keys of all committed addresses of the zone, its tombstones included."""
        for record, entry in self.addresses.items():
            if self.zone_of_record(record, entry.value) == zone:
                yield record

    def zone_of_record(self, record: RecordKey, committed: Committed) -> str | None:
        """Return the zone in which a committed address is, or was, published."""
        return committed.zone or self.zone_of(record.name)

    def is_retired(self, site: Site) -> bool:
        """Say whether the zone is gone, or lives at another nameserver now."""
        zone = self.zones.get(site.zone)
        return zone is None or zone.value.spec.nameserver != site.nameserver

    def sites_of(self, zone: str) -> Iterator[Site]:
        """Yield the places where something of the zone is, or may be, published."""
        for site in self.footprints:
            if site.zone == zone:
                yield site


def _oldest(candidates: Iterable[Entry[Candidacy]]) -> Entry[Candidacy] | None:
    return min(candidates, key=lambda entry: entry.created, default=None)
