"""The installation's whole state in memory, as one node knows it at one revision, and its indexes.

Only the watch cache fills it. Everything that decides reads it; nothing that decides writes it.
"""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Collection, Container, Iterable, Iterator, Set
from typing import Any, Generic, TypeVar

from ddnsd.model.addresses import RRTYPES, Challenge
from ddnsd.model.names import label_count
from ddnsd.model.records import (
    Candidacy,
    Committed,
    Entry,
    History,
    Installation,
    LastSeen,
    Member,
    Placement,
    PlacementState,
    PrefixHead,
    PrefixUpdate,
    Published,
    RecordKey,
    RegistryHead,
    Resource,
    Source,
    WorkRequest,
    account_of,
)
from ddnsd.model.resources import AccountSpec, HostSpec, Kind, TokenSpec, ZoneSpec


class NameTree:
    """Names, each found from the name above it: what lies below a name is found without looking at others.

    Adding and removing a name costs its labels, whatever the order in which they come. Nothing in here
    depends on where zones begin, so that a zone that comes or goes costs nothing.
    """

    def __init__(self) -> None:
        self._below: dict[str, set[str]] = {}  # by the name above; "" is above the single labels
        self._also_above: set[str] = set()  # of the names, those that have names below them

    def add(self, name: str) -> None:
        """Add a name; one that is there already is no error."""
        if name in self._below:
            self._also_above.add(name)
        while name:
            above = name.partition(".")[2]
            siblings = self._below.get(above)
            if siblings is not None:
                siblings.add(name)
                return
            self._below[above] = {name}
            if above in self._below.get(above.partition(".")[2], ()):
                self._also_above.add(above)  # until now it had none below it
                return
            name = above

    def discard(self, name: str) -> None:
        """Remove a name; an absent one is no error."""
        if name in self._below:
            self._also_above.discard(name)
            return  # what leads to the names below it stays
        while name:
            above = name.partition(".")[2]
            siblings = self._below.get(above, set())
            siblings.discard(name)
            if siblings or above not in self._below:
                return
            del self._below[above]
            if above in self._also_above:
                self._also_above.discard(above)
                return
            name = above

    def within(self, top: str, cuts: Container[str]) -> Iterator[str]:
        """Yield `top` itself, if it is one of the names, and those below it, in no particular order.

        Names at or below one of the `cuts` are left out; `top` may be one of them.
        """
        if top in self._also_above or (
            top not in self._below and top in self._below.get(top.partition(".")[2], ())
        ):
            yield top
        waiting = [top]
        while waiting:
            for name in self._below.get(waiting.pop(), ()):
                if name in cuts:
                    continue
                if name not in self._below:
                    yield name
                    continue
                waiting.append(name)
                if name in self._also_above:
                    yield name


Id = TypeVar("Id")
Value = TypeVar("Value")
Group = TypeVar("Group")
Zones = dict[str, Entry[Resource[ZoneSpec]]]

_FEW = 100  # names that are put into their order one by one; more are sorted together


class Table(dict[Id, Entry[Value]]):
    """Entries by id."""

    def put(self, id: Id, entry: Entry[Value]) -> None:
        """Add or replace an entry."""
        self[id] = entry

    def drop(self, id: Id) -> None:
        """Remove an entry; an absent one is no error."""
        self.pop(id, None)


class NamedTable(Table[str, Value]):
    """Entries by name, and the names in their order."""

    def __init__(self) -> None:
        super().__init__()
        self._order: list[str] = []
        self._changed: set[str] = set()  # names that have come or gone since they were put in order

    def put(self, id: str, entry: Entry[Value]) -> None:
        """Add or replace an entry."""
        if id not in self:
            self._changed.add(id)
        self[id] = entry

    def drop(self, id: str) -> None:
        """Remove an entry; an absent one is no error."""
        if self.pop(id, None) is not None:
            self._changed.add(id)

    def after(self, name: str, limit: int) -> list[str]:
        """Return at most `limit` names, in their order, that come after this one."""
        self._sort()
        start = bisect_right(self._order, name)
        return self._order[start : start + limit]

    def _sort(self) -> None:
        if len(self._changed) > _FEW:
            self._order = sorted(self)
        else:
            for name in self._changed:
                self._place(name)
        self._changed.clear()

    def _place(self, name: str) -> None:
        at = bisect_left(self._order, name)
        was_there = at < len(self._order) and self._order[at] == name
        if was_there and name not in self:
            del self._order[at]
        elif not was_there and name in self:
            insort(self._order, name)


class _Groups(Generic[Group, Id]):
    """Ids by something that several of them share. A group of one, as most are, costs no set."""

    def __init__(self) -> None:
        self._ids: dict[Group, Id | set[Id]] = {}

    def add(self, group: Group, id: Id) -> None:
        ids = self._ids.setdefault(group, id)
        if isinstance(ids, set):
            ids.add(id)
        elif ids != id:
            self._ids[group] = {ids, id}

    def discard(self, group: Group, id: Id) -> None:
        ids = self._ids.get(group)
        if isinstance(ids, set):
            ids.discard(id)
            if not ids:
                del self._ids[group]
        elif ids == id:
            del self._ids[group]

    def of(self, group: Group) -> Set[Id]:
        ids = self._ids.get(group)
        if ids is None:
            return frozenset()
        return ids if isinstance(ids, set) else frozenset((ids,))


class HostTable(NamedTable[Resource[HostSpec]]):
    """Hosts by name, account and first label; which of them follow a prefix, and which expire."""

    def __init__(self, changed: Callable[[str], None]) -> None:
        """`changed` is called with a name that has come or gone."""
        super().__init__()
        self._tell = changed
        self.expiring: set[str] = set()
        self._all: _Groups[str, str] = _Groups()
        self._followers: _Groups[str, str] = _Groups()
        self._labelled: _Groups[str, str] = _Groups()

    def put(self, id: str, entry: Entry[Resource[HostSpec]]) -> None:
        """Add or replace a host."""
        before = self.get(id)
        if before is not None:
            self._leave(id, before.value.spec)
        super().put(id, entry)
        if before is None:
            self._tell(id)
        spec = entry.value.spec
        self._all.add(spec.account, id)
        self._labelled.add(_label_key(spec.account, id), id)
        if spec.ipv6_suffix is not None:
            self._followers.add(spec.account, id)
        if spec.expires_after is not None:
            self.expiring.add(id)

    def drop(self, id: str) -> None:
        """Remove a host."""
        before = self.get(id)
        if before is not None:
            self._leave(id, before.value.spec)
            super().drop(id)
            self._tell(id)

    def of(self, account: str) -> Set[str]:
        """Return the names of the account's hosts."""
        return self._all.of(account)

    def followers(self, account: str) -> Set[str]:
        """Return the names of the account's hosts that have an interface identifier."""
        return self._followers.of(account)

    def labelled(self, account: str, label: str) -> Set[str]:
        """Return the names of the account's hosts that begin with this label."""
        return self._labelled.of(_label_key(account, label))

    def _leave(self, id: str, spec: HostSpec) -> None:
        self.expiring.discard(id)
        self._all.discard(spec.account, id)
        self._labelled.discard(_label_key(spec.account, id), id)
        self._followers.discard(spec.account, id)


class AddressTable(Table[RecordKey, Committed]):
    """Committed records by key; which of them are TXTs, which are tombstones, and of which zone."""

    def __init__(self, changed: Callable[[str], None], written: Callable[[RecordKey], None]) -> None:
        """`changed` is called with the name of a record that has come or gone, or says another zone;
        `written` with each that was put or dropped.
        """
        super().__init__()
        self._tell_written = written
        self.challenges: set[RecordKey] = set()
        self.tombstones: set[RecordKey] = set()
        self._leaving: _Groups[str, RecordKey] = _Groups()
        self._tell = changed

    def put(self, id: RecordKey, entry: Entry[Committed]) -> None:
        """Add or replace a record."""
        before, value = self.get(id), entry.value
        self[id] = entry
        if before is not None:
            self._leave(id, before.value)
        if id.type is Challenge.TXT:
            self.challenges.add(id)
        if value.is_tombstone:
            self.tombstones.add(id)
        if value.zone:
            self._leaving.add(value.zone, id)
        if before is None or before.value.zone != value.zone:
            self._tell(id.name)
        self._tell_written(id)

    def drop(self, id: RecordKey) -> None:
        """Remove a record."""
        before = self.pop(id, None)
        if before is not None:
            self._leave(id, before.value)
            self._tell(id.name)
            self._tell_written(id)

    def leaving(self, zone: str) -> Set[RecordKey]:
        """Return the keys of the records that say which zone they are in, as tombstones do."""
        return self._leaving.of(zone)

    def _leave(self, id: RecordKey, committed: Committed) -> None:
        self.challenges.discard(id)
        self.tombstones.discard(id)
        if committed.zone:
            self._leaving.discard(committed.zone, id)


class PublishedTable(Table[RecordKey, Published]):
    """What is known to be served, by record."""

    def __init__(self, written: Callable[[RecordKey], None]) -> None:
        """`written` is called with each record that was put or dropped."""
        super().__init__()
        self._tell_written = written

    def put(self, id: RecordKey, entry: Entry[Published]) -> None:
        """Add or replace what is known of a record."""
        self[id] = entry
        self._tell_written(id)

    def drop(self, id: RecordKey) -> None:
        """Forget a record."""
        if self.pop(id, None) is not None:
            self._tell_written(id)


class PrefixTable(Table[str, PrefixUpdate]):
    """Prefixes that hosts have yet to follow, by id and by account."""

    def __init__(self) -> None:
        super().__init__()
        self._ids: _Groups[str, str] = _Groups()

    def put(self, id: str, entry: Entry[PrefixUpdate]) -> None:
        """Add or replace a move."""
        self[id] = entry
        self._ids.add(account_of(id), id)

    def drop(self, id: str) -> None:
        """Remove a move."""
        if self.pop(id, None) is not None:
            self._ids.discard(account_of(id), id)

    def of(self, account: str) -> Iterator[Entry[PrefixUpdate]]:
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


class TokenTable(NamedTable[Resource[TokenSpec]]):
    """Tokens by name, by account, and by the digest of their secret."""

    def __init__(self) -> None:
        super().__init__()
        self._all: _Groups[str, str] = _Groups()
        self._names: dict[str, tuple[str, ...]] = {}  # digest -> holders' names, oldest first

    def put(self, id: str, entry: Entry[Resource[TokenSpec]]) -> None:
        """Add or replace a token."""
        self._leave(id)
        super().put(id, entry)
        self._all.add(entry.value.spec.account, id)
        digest = entry.value.spec.sha256
        holders = (*self._names.get(digest, ()), id)
        self._names[digest] = tuple(sorted(holders, key=lambda name: (self[name].created, name)))

    def drop(self, id: str) -> None:
        """Remove a token."""
        self._leave(id)
        super().drop(id)

    def of(self, account: str) -> Set[str]:
        """Return the names of the account's tokens."""
        return self._all.of(account)

    def by_digest(self, digest: str) -> Entry[Resource[TokenSpec]] | None:
        """Return the token with this digest; of several, the oldest."""
        holders = self._names.get(digest)
        return self[holders[0]] if holders else None

    def _leave(self, id: str) -> None:
        entry = self.get(id)
        if entry is None:
            return
        self._all.discard(entry.value.spec.account, id)
        digest = entry.value.spec.sha256
        holders = tuple(name for name in self._names[digest] if name != id)
        if holders:
            self._names[digest] = holders
        else:
            del self._names[digest]


class PlacementTable(Table[Placement, PlacementState]):
    """What is noted of placements, also by zone."""

    def __init__(self) -> None:
        super().__init__()
        self._placements: _Groups[str, Placement] = _Groups()

    def put(self, id: Placement, entry: Entry[PlacementState]) -> None:
        """Add or replace what is noted of a placement."""
        self[id] = entry
        self._placements.add(id.zone, id)

    def drop(self, id: Placement) -> None:
        """Forget a placement."""
        if self.pop(id, None) is not None:
            self._placements.discard(id.zone, id)

    def of(self, zone: str) -> Set[Placement]:
        """Return where something of a zone is, or may be, published."""
        return self._placements.of(zone)


class State:
    """Tables of everything that is stored."""

    def __init__(self) -> None:
        self.identity = ""  # of the store's history that this is a state of
        self.accounts: NamedTable[Resource[AccountSpec]] = NamedTable()
        self.zones: NamedTable[Resource[ZoneSpec]] = NamedTable()
        self.hosts = HostTable(self._keep)
        self.tokens = TokenTable()
        self.addresses = AddressTable(self._keep, self._compare)
        self.published = PublishedTable(self._compare)
        self.unpublished: set[RecordKey] = set()  # committed since they were published: pending, or refused
        self.seen: Table[str, LastSeen] = Table()  # of hosts that expire
        self.history = HistoryTable()  # by host
        self.prefixes = PrefixTable()  # that hosts have yet to follow
        self.prefix_heads: Table[str, PrefixHead] = Table()  # by account
        self.placements = PlacementTable()
        self.requests: Table[str, WorkRequest] = Table()
        self.registry: Table[str, RegistryHead] = Table()  # one entry at most, under ""
        self.installation: Table[str, Installation] = Table()  # one entry, under ""
        self.members: Table[str, Member] = Table()
        self.candidates: Table[str, Candidacy] = Table()
        self.sources: Table[str, Source] = Table()
        self.controllers: Table[str, Candidacy] = Table()  # by "<source>/<key>"
        self._names = NameTree()  # of hosts, and of records that say no zone: they are in that of their name

    @property
    def leader(self) -> Entry[Candidacy] | None:
        """The candidate whose key is the oldest; when that was created is its epoch."""
        return _oldest(self.candidates.values())

    def controller_of(self, source: str) -> Entry[Candidacy] | None:
        """Return the candidate that controls a source."""
        return _oldest(entry for id, entry in self.controllers.items() if id.rpartition("/")[0] == source)

    def resources(self, kind: Kind) -> NamedTable[Any]:
        """Return the documents of a kind, by name."""
        tables: dict[Kind, NamedTable[Any]] = {
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
        if zone in self.zones:
            yield from (name for name in self.hosts_from(zone, self.zones) if name != zone)

    def hosts_from(self, top: str, cuts: Container[str]) -> Iterator[str]:
        """Yield the hosts at this name or below it, without those at or below one of the `cuts`."""
        return (name for name in self._names.within(top, cuts) if name in self.hosts)

    def records_in(self, zone: str) -> Iterator[RecordKey]:
        """Yield the keys of all committed addresses of the zone, its tombstones included."""
        for name in self.names_in(zone):
            yield from self.records_at(name, zone)

    def names_in(self, zone: str) -> Iterator[str]:
        """Yield each name at which the zone may have records."""
        leaving = {record.name for record in self.addresses.leaving(zone)}
        yield from leaving
        if zone in self.zones:
            yield from (name for name in self._names.within(zone, self.zones) if name not in leaving)

    def records_at(self, name: str, zone: str) -> Iterator[RecordKey]:
        """Yield the keys of the records at a name that are, or were, published in the zone."""
        for type in RRTYPES:
            record = RecordKey(name, type)
            entry = self.addresses.get(record)
            if entry is not None and self.zone_of_record(record, entry.value) == zone:
                yield record

    def zone_of_record(self, record: RecordKey, committed: Committed) -> str | None:
        """Return the zone in which a committed address is, or was, published."""
        return committed.zone or self.zone_of(record.name)

    def is_retired(self, placement: Placement) -> bool:
        """Say whether the zone is gone, or lives at another nameserver now."""
        zone = self.zones.get(placement.zone)
        return zone is None or zone.value.spec.nameserver != placement.nameserver

    def _keep(self, name: str) -> None:
        """Have the name in the tree as long as there is something at it."""
        if name in self.hosts or any(self._plain_records(name)):
            self._names.add(name)
        else:
            self._names.discard(name)

    def _compare(self, record: RecordKey) -> None:
        """Note whether the record was committed since it was published."""
        committed, published = self.addresses.get(record), self.published.get(record)
        if committed is not None and (published is None or published.value.revision < committed.revision):
            self.unpublished.add(record)
        else:
            self.unpublished.discard(record)

    def _plain_records(self, name: str) -> Iterator[RecordKey]:
        """Yield the keys of the records at a name that say no zone."""
        for type in RRTYPES:
            record = RecordKey(name, type)
            entry = self.addresses.get(record)
            if entry is not None and not entry.value.zone:
                yield record


def _label_key(account: str, name: str) -> str:
    """Return what the hosts of an account that begin with the same label as this name share."""
    return f"{name.partition('.')[0]}/{account}"


def _oldest(candidates: Iterable[Entry[Candidacy]]) -> Entry[Candidacy] | None:
    return min(candidates, key=lambda entry: entry.created, default=None)


def needed_nameservers(state: State) -> frozenset[str]:
    """Return the nameservers that the zones name."""
    return frozenset(zone.value.spec.nameserver for zone in state.zones.values())


def rank(member: Member, needed: Collection[str]) -> tuple[int, int]:
    """Return how much the node is to be preferred as the leader: the greater one should lead.

    That is minus the number of needed nameservers that it does not have, then its priority: a node that
    cannot reach a zone's nameserver is worse than any that can.
    """
    return -sum(name not in member.nameservers for name in needed), member.priority


def preferred_to(state: State, me: str, member: Member) -> str | None:
    """Return the id of a running node that should lead rather than this one, None if there is none."""
    needed = needed_nameservers(state)
    mine = rank(member, needed)
    for id, other in state.members.items():
        if id != me and other.value.eligible and rank(other.value, needed) > mine:
            return id
    return None
