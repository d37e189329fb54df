"""Changes of resources, one at a time in the whole cluster, each with its audit entry.

A draft is the state with the changes gathered so far laid over it. Every change compares and writes one key,
`registry`. So whatever was read of other resources (does the account exist, does this new zone take hosts
over, how many hosts has this zone) is still so when the change is committed, whoever else is at work; and one
commit has room for 100 documents, since what they refer to need not be compared. Updates of addresses neither
read nor write the key.
"""

import asyncio
import copy
import secrets
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar

import structlog

from ddnsd.model.addresses import RRTYPES, Family
from ddnsd.model.audit import AuditChange, AuditEntry, Author, What, differences, entry_of, joined
from ddnsd.model.names import ancestors, is_below
from ddnsd.model.records import (
    Committed,
    LastSeen,
    Published,
    RecordKey,
    RegistryHead,
    Resource,
    Source,
)
from ddnsd.model.resources import AccountSpec, HostSpec, Kind, Spec, TokenSpec, ZoneSpec
from ddnsd.model.state import State, Table
from ddnsd.model.taking import is_only_wildcard_in_use
from ddnsd.service.registry.results import StoreFailedError, store_failures
from ddnsd.store import keys, tables
from ddnsd.store.group_commit import MAX_GROUP_BYTES, GroupCommit
from ddnsd.store.interface import MAX_KEYS_PER_UPDATE, ConditionalWrite, Done, Unknown
from ddnsd.store.tables import Transaction
from ddnsd.store.watch_cache import WatchCache

SpecT = TypeVar("SpecT", bound=Spec)
KeyedAudit = tuple[str, AuditEntry]
OwnedT = TypeVar("OwnedT", HostSpec, TokenSpec)
_MOST_BYTES = MAX_GROUP_BYTES // 2  # of resources: the last one and the addresses come on top
_HEAD = 2  # the registry's own key, compared and written by each commit; the audit's entry


class Overlay(Generic[SpecT]):
    """The resources of one kind."""

    def __init__(self, kind: Kind, table: Table[str, Resource[SpecT]]) -> None:
        self._kind = kind
        self._table = table
        self._changed: dict[str, Resource[SpecT] | None] = {}
        self._encoded: dict[str, bytes] = {}  # what is put
        self.size = 0  # bytes to write, at most

    def __len__(self) -> int:
        return len(self._changed)

    def get(self, name: str) -> Resource[SpecT] | None:
        """Return the resource, or None where there is none (any more)."""
        if name in self._changed:
            return self._changed[name]
        entry = self._table.get(name)
        return entry.value if entry else None

    def names(self) -> Sequence[str]:
        """Return the names of the resources as they are, without the changes."""
        return tuple(self._table)

    def __contains__(self, name: object) -> bool:
        """Say whether there will be a resource of this name."""
        return self._changed[name] is not None if name in self._changed else name in self._table

    def has_changed(self, name: str) -> bool:
        """Say whether the name's resource is put or dropped here."""
        return name in self._changed

    def put_names(self) -> Iterator[str]:
        """Yield the names of the resources that are put here."""
        return (name for name, resource in self._changed.items() if resource is not None)

    def changes(self) -> Iterator[tuple[str, Resource[SpecT] | None, Resource[SpecT] | None]]:
        """Yield what will be otherwise: the name, what there is, what there will be."""
        for name, new in self._changed.items():
            entry = self._table.get(name)
            old = entry.value if entry else None
            if old != new:
                yield name, old, new

    def put(self, name: str, resource: Resource[SpecT]) -> None:
        """Add or replace a resource."""
        self._changed[name] = resource
        self._encoded[name] = value = tables.encode(resource)
        self.size += len(value)

    def drop(self, name: str) -> None:
        """Remove a resource."""
        self._changed[name] = None
        self._encoded.pop(name, None)

    def copied(self) -> "Overlay[SpecT]":
        """Return the same changes of the same table, to be changed apart."""
        made: Overlay[SpecT] = Overlay(self._kind, self._table)
        made._changed = dict(self._changed)
        made._encoded = dict(self._encoded)
        made.size = self.size
        return made

    def write(self, transaction: Transaction) -> None:
        """Put the changes into a transaction."""
        for name in self._changed:
            key = keys.resource(self._kind, name)
            if name in self._encoded:
                transaction.puts[key] = self._encoded[name]
            else:
                transaction.delete(key)


class RegistryTransaction:
    """One commit in the making. `now` (UTC) and the random `commit` id go into what it writes."""

    def __init__(self, state: State, now: datetime, commit: str) -> None:
        self.state = state
        self.now = now
        self.commit = commit
        self.zones: Overlay[ZoneSpec] = Overlay(Kind.ZONE, state.zones)
        self.accounts: Overlay[AccountSpec] = Overlay(Kind.ACCOUNT, state.accounts)
        self.hosts: Overlay[HostSpec] = Overlay(Kind.HOST, state.hosts)
        self.tokens: Overlay[TokenSpec] = Overlay(Kind.TOKEN, state.tokens)
        self._overlays: dict[Kind, Overlay[Any]] = {
            Kind.ZONE: self.zones,
            Kind.ACCOUNT: self.accounts,
            Kind.HOST: self.hosts,
            Kind.TOKEN: self.tokens,
        }
        self._digests: dict[str, str] = {}
        self._sources: dict[str, Source | None] = {}
        self._transaction = Transaction()  # all but the resources, of which the overlays keep the newest
        self._withdrawn: set[RecordKey] = set()  # whose addresses become tombstones
        self._warnings: dict[str, list[str]] = {}  # by host
        self._settled: defaultdict[str, list[str]] = defaultdict(list)  # new hosts, by each name above them

    def of_kind(self, kind: Kind) -> Overlay[Any]:
        """Return the resources of a kind."""
        return self._overlays[kind]

    def zone_of(self, name: str) -> str | None:
        """Return the zone that a name will lie in: the longest match, the apex included."""
        return next((zone for zone in ancestors(name) if self.zones.get(zone)), None)

    def hosts_in(self, zone: str) -> Iterator[str]:
        """Yield the names of the hosts that will lie in a zone."""
        if zone not in self.zones:
            return
        for name in self.state.hosts_from(zone, self.zones):
            if name != zone and not self.hosts.has_changed(name):
                yield name
        for name in self.hosts.put_names():
            if is_below(name, zone) and self.zone_of(name) == zone:
                yield name

    def hosts_of(self, account: str) -> Iterator[str]:
        """Yield the names of the hosts that an account will have."""
        return self._of(self.hosts, self.state.hosts.of(account), account)

    def tokens_of(self, account: str) -> Iterator[str]:
        """Yield the names of the tokens that an account will have."""
        return self._of(self.tokens, self.state.tokens.of(account), account)

    @staticmethod
    def _of(overlay: "Overlay[OwnedT]", stored: Set[str], account: str) -> Iterator[str]:
        yield from (name for name in stored if not overlay.has_changed(name))
        for name in overlay.put_names():
            resource = overlay.get(name)
            if resource is not None and resource.spec.account == account:
                yield name

    def put_token(self, name: str, token: Resource[TokenSpec]) -> None:
        """Add or replace a token."""
        self.tokens.put(name, token)
        self._digests[token.spec.sha256] = name

    @contextmanager
    def all_tokens_or_none(self) -> Iterator[None]:
        """Undo the changes of tokens that the block makes if it raises."""
        tokens, digests = self.tokens.copied(), dict(self._digests)
        try:
            yield
        except BaseException:
            self.tokens = self._overlays[Kind.TOKEN] = tokens
            self._digests = digests
            raise

    def holder(self, digest: str) -> str | None:
        """Return the name of the token that will have this digest."""
        entry = self.state.tokens.by_digest(digest)
        name = self._digests.get(digest) or (entry.key.partition("/")[2] if entry else "")
        token = self.tokens.get(name)
        return name if token is not None and token.spec.sha256 == digest else None

    def source(self, name: str) -> Source | None:
        """Return what a source's name is bound to, or None where it is free."""
        if name in self._sources:
            return self._sources[name]
        entry = self.state.sources.get(name)
        return entry.value if entry else None

    def put_source(self, name: str, source: Source) -> None:
        """Bind a source's name, or change what is known of it."""
        self._sources[name] = source
        self._transaction.put(keys.source(name), source)

    def drop_source(self, name: str) -> None:
        """Free a source's name."""
        self._sources[name] = None
        self._transaction.delete(keys.source(name))

    def expect(self, expects: Mapping[str, int]) -> None:
        """Make the commit depend on these revisions of keys, too."""
        self._transaction.expects |= expects

    def withdraw(self, record: RecordKey) -> None:
        """Leave a tombstone where an address is committed; the leader takes the RRset away.

        The address is compared even where there is none: a client may be committing one just now. What a
        client has withdrawn, and is still leaving, remembers the address: the next owner is not told of it.
        """
        key, entry = keys.address(record), self.state.addresses.get(record)
        self._transaction.expect(key, entry)
        given = self.state.published.get(record)
        if entry is None and given is not None:  # to the host, and never written
            self._transaction.expect(given.key, given).delete(given.key)
        if entry is not None and (not entry.value.is_tombstone or entry.value.cleared):
            zone = self.state.zone_of(record.name) or ""
            self._transaction.put(key, Committed("", "", self.commit, self.now, zone))
            self._withdrawn.add(record)

    def sight(self, host: str) -> None:
        """Count a host that expires as refreshed now: its clients are given their time."""
        self._transaction.put(keys.seen(host), LastSeen(self.now))

    def forget(self, host: str) -> None:
        """Drop what is known of a host's refreshes, if anything is."""
        if host in self.state.seen:
            self._transaction.delete(keys.seen(host))

    def restore(self, record: RecordKey, ip: str, previous: str, changed: datetime, in_use: str) -> None:
        """Commit an address where there is none, or only a tombstone, as it was committed elsewhere.

        What stands at the host's names is ddnsd's own, whichever installation has written it, but for those
        that it was refused because of: `in_use` is what a `PublishError` says of them, "" if there are none.
        """
        entry, noted = self.state.addresses.get(record), self.state.published.get(record)
        committed = Committed(ip, previous, self.commit, changed)
        self._transaction.replace(keys.address(record), entry, committed)
        self._withdrawn.discard(record)
        host, zone = self.hosts.get(record.name), self.zones.get(self.zone_of(record.name) or "")
        is_known = noted is not None and bool(noted.value.ip)  # it stands there, and is leaving
        is_given = not in_use or is_only_wildcard_in_use(record, in_use)
        if is_given and not is_known and host is not None and zone is not None:
            ttl, nameserver = host.spec.ttl or zone.spec.ttl, zone.spec.nameserver
            published = Published(0, ip, ttl, nameserver, wildcard=host.spec.wildcard and not in_use)
            self._transaction.replace(keys.published(record), noted, published)

    def changes_of_sources(self) -> Iterator[tuple[str, Source | None, Source | None]]:
        """Yield the sources that will be otherwise: the name, what there is, what there will be."""
        for name, new in self._sources.items():
            entry = self.state.sources.get(name)
            yield name, entry.value if entry else None, new

    @property
    def withdrawn(self) -> set[str]:
        """The hosts that lose an address which they have."""
        return {
            record.name
            for record in self._withdrawn
            if isinstance(record.type, Family) and not self.state.addresses[record].value.is_tombstone
        }

    def given(self, host: str) -> int:
        """Return how many records a takeover gave to the host, to which nothing was committed yet."""
        records = (RecordKey(host, type) for type in RRTYPES)
        return sum(each in self.state.published and each not in self.state.addresses for each in records)

    def settle(self, host: str, zone: str) -> None:
        """Note a new host of a zone, or one of another account than before."""
        for above in ancestors(host.partition(".")[2]):
            if above == zone:
                break
            self._settled[above].append(host)

    def settled_below(self, name: str) -> Sequence[str]:
        """Return the hosts below a name that were settled here."""
        return self._settled.get(name, ())

    def warn(self, host: str, message: str) -> None:
        """Keep what the writer of a host should know."""
        self._warnings.setdefault(host, []).append(message)

    def warning(self, host: str) -> str:
        """Return what the writer of a host should know, "" if nothing."""
        return "; ".join(self._warnings.get(host, ()))

    @property
    def is_empty(self) -> bool:
        """Say whether nothing would be written."""
        return self._writes == 0

    def fits(self, more: int = 0) -> bool:
        """Say whether one commit can hold this, and so many further keys."""
        keys = max(self._writes, len(self._transaction.expects)) + _HEAD + more
        size = self.zones.size + self.accounts.size + self.hosts.size + self.tokens.size
        return keys <= MAX_KEYS_PER_UPDATE and size <= _MOST_BYTES

    def update(self, audit: KeyedAudit | None = None) -> ConditionalWrite:
        """Return the commit: valid only while no resource, and nothing else expected, has changed.

        The entry of the audit is put too, blindly. To be called once.
        """
        transaction = self._transaction
        transaction.replace(keys.REGISTRY, self.state.registry.get(""), RegistryHead(self.commit))
        for overlay in self._overlays.values():
            overlay.write(transaction)
        if audit is not None:
            transaction.put(*audit)
        return transaction.update()

    @property
    def _writes(self) -> int:
        resources = len(self.zones) + len(self.accounts) + len(self.hosts) + len(self.tokens)
        return resources + len(self._transaction.puts) + len(self._transaction.deletes)


_log = structlog.get_logger(__name__)


class Auditor:
    """Makes the entries of what one author changes: one for each commit, or one for all of them."""

    def __init__(self, author: Author, *, as_one: bool = False, sources: bool = True) -> None:
        """`as_one`: all that it makes are one entry, which grows. `sources`: what they bind counts too."""
        self.author = author
        self._as_one = as_one
        self._sources = sources
        self._last: KeyedAudit | None = None

    def note(self, draft: RegistryTransaction) -> KeyedAudit | None:
        """Return the entry to write with a draft; None if it changes nothing that counts."""
        changes = [*_changes(draft), *(_changes_of_sources(draft) if self._sources else ())]
        if not changes:
            return None
        entry = entry_of(self.author, draft.now, changes, sorted(draft.withdrawn))
        if self._as_one and self._last is not None:
            key, earlier = self._last
            return key, joined(earlier, entry)
        return keys.audit(_id(draft.now)), entry

    def committed(self, noted: KeyedAudit) -> None:
        """Note that an entry was written."""
        self._last = noted
        if not self._as_one:
            self._log_last()

    def close(self) -> None:
        """Log what was written as one."""
        if self._as_one:
            self._log_last()

    def _log_last(self) -> None:
        if self._last is None:
            return
        _, entry = self._last
        _log.info(
            "audit",
            by=entry.by,
            address=entry.address,
            way=entry.way,
            added=entry.created,
            changed=entry.changed,
            removed=entry.deleted,
            changes=[f"{change.title} {change.what}" for change in entry.changes],
            withdrawn=list(entry.withdrawn),
        )


def _id(now: datetime) -> str:
    return f"{now:%Y%m%dT%H%M%S.%f}Z-{secrets.token_hex(4)}"


def _changes(draft: RegistryTransaction) -> Iterator[AuditChange]:
    for kind in Kind:
        for name, old, new in draft.of_kind(kind).changes():
            yield _change(f"{kind} {name}", old, new)


def _change(title: str, old: Resource[Spec] | None, new: Resource[Spec] | None) -> AuditChange:
    if new is None:
        return AuditChange(title, What.DELETED)
    if old is None:
        return AuditChange(title, What.CREATED)
    fields = list(differences(old.spec, new.spec))
    if old.origin != new.origin:
        fields.append(f"managed by: {old.origin or 'the admin API'} → {new.origin or 'the admin API'}")
    if old.held != new.held:
        fields.append("held" if new.held else "held no longer")
    if old.mark != new.mark:
        fields.append("its deletion has begun" if new.mark else "its deletion was taken back")
    return AuditChange(title, What.CHANGED, tuple(fields))


def _changes_of_sources(draft: RegistryTransaction) -> Iterator[AuditChange]:
    for name, old, new in draft.changes_of_sources():
        if new is None:
            yield AuditChange(f"Source {name}", What.DELETED)
        elif old is None:
            yield AuditChange(f"Source {name}", What.CREATED)
        else:
            yield AuditChange(f"Source {name}", What.CHANGED, tuple(_differences_of_sources(old, new)))


def _differences_of_sources(old: Source, new: Source) -> Iterator[str]:
    if old.uid != new.uid:
        yield f"Namespace uid: {old.uid} → {new.uid}"
    if old.pruned != new.pruned:
        yield "the deletions that it holds are allowed"


T = TypeVar("T")


class RegistryCommits:
    """Decides on the current state and commits, again and again until the two agree."""

    def __init__(
        self,
        cache: WatchCache,
        commits: GroupCommit,
        timeout: float,
        guard: Callable[[RegistryTransaction], None] = lambda _: None,
    ) -> None:
        """`timeout` bounds each commit, in seconds. `guard` looks at each draft first, and may refuse it."""
        self.cache = cache
        self.auditor = Auditor(Author(""))
        self._commits = commits
        self._timeout = timeout
        self._guard = guard
        self._turn = asyncio.Lock()  # callers of this node would only make each other stale

    def audited(self, auditor: Auditor) -> "RegistryCommits":
        """Return the same, whose changes this one notes."""
        commits = copy.copy(self)
        commits.auditor = auditor
        return commits

    def reconfigure(self, timeout: float) -> None:
        """Bound it by another time, in seconds, from now on."""
        self._timeout = timeout

    async def read(self) -> RegistryTransaction:
        """Return an empty draft on the current state.

        Raises:
            StoreFailedError: the state could not be made current.
        """
        with store_failures("be read"):
            return await self._draft()

    async def take(self, decide: Callable[[RegistryTransaction], T]) -> tuple[T, int]:
        """Commit what `decide` puts into a draft; return what it returned, and the commit's revision.

        `decide` is called again whenever something was changed meanwhile. With an empty draft
        nothing is committed, and the revision is 0.

        Raises:
            StoreFailedError: not done, or perhaps done; and whatever `decide` raises.
        """
        try:
            with store_failures("do it"):
                async with asyncio.timeout(self._timeout), self._turn:
                    return await self._until_done(decide)
        except TimeoutError as error:
            message = f"no answer of the store in {self._timeout:g} s: perhaps done: look before you repeat"
            raise StoreFailedError(message) from error

    async def _until_done(self, decide: Callable[[RegistryTransaction], T]) -> tuple[T, int]:
        while True:
            draft = await self._draft()
            self._guard(draft)
            decided = decide(draft)
            if draft.is_empty:
                return decided, 0
            noted = self.auditor.note(draft)
            revision = await self._commit(draft.update(noted))
            if revision is not None:
                if noted is not None:
                    self.auditor.committed(noted)
                return decided, revision

    async def _draft(self) -> RegistryTransaction:
        await self.cache.current()
        return RegistryTransaction(self.cache.state, datetime.now(UTC), secrets.token_hex(9))

    async def _commit(self, update: ConditionalWrite) -> int | None:
        """Return the revision at which the update was done, None if it was not.

        Raises:
            StoreFailedError: perhaps it was.
        """
        outcome = await self._commits.commit(update)
        if isinstance(outcome, Unknown):
            message = f"the store's answer was lost ({outcome.reason}): perhaps done: look before you repeat"
            raise StoreFailedError(message)
        return outcome.revision if isinstance(outcome, Done) else None
