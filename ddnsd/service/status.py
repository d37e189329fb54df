"""What the state alone tells of hosts, zones and their history, on any node."""

import heapq
import itertools
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Annotated, Generic, NamedTuple, TypeVar

import msgspec
from msgspec import Meta

from ddnsd.aio import Slice
from ddnsd.model.addresses import Challenge, Family
from ddnsd.model.audit import AuditItem
from ddnsd.model.expiry import Expiry, expiry
from ddnsd.model.names import InvalidNameError, parse_name
from ddnsd.model.publication import Progress, is_served, standing, wanted
from ddnsd.model.records import Committed, Entry, RecordKey, entries
from ddnsd.model.resources import Kind
from ddnsd.model.state import State

Listed = TypeVar("Listed")


class RecordStatus(msgspec.Struct, frozen=True):
    """One address of a host. `published` is null until the nameserver has this very address."""

    ip: Annotated[str, Meta(description="the address that a client has sent")]
    previous: Annotated[str, Meta(description="the one before it, empty if there was none")]
    changed: Annotated[datetime, Meta(description="when it was sent first")]
    published: Annotated[datetime, Meta(description="when the nameserver took it; absent until then")] | None
    error: Annotated[str, Meta(description="why the nameserver refuses it, empty if it does not")]


class TextStatus(msgspec.Struct, frozen=True):
    """The TXT record of a host's ACME challenges, oldest value first; `published` as of an address."""

    values: tuple[str, ...]
    changed: datetime
    published: datetime | None
    error: str


class HostStatus(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """What became of each record of a host; written by ddnsd, ignored when applied.

    Of a host that expires also when it was last refreshed (to a quarter of its time), when its addresses are
    withdrawn, and whether that is near.
    """

    A: RecordStatus | None = None
    AAAA: RecordStatus | None = None
    TXT: TextStatus | None = None
    last_seen: datetime | None = None
    expires: datetime | None = None
    state: Expiry | None = None


def host_status(state: State, name: str, now: datetime) -> HostStatus:
    """Return the whole status of a host at this moment (UTC)."""
    last_seen, expires, freshness = expiry(state, name, now) or (None, None, None)
    return HostStatus(
        **{family.value: status for family, status in address_statuses(state, name).items()},
        TXT=_text_status(state, name),
        last_seen=last_seen,
        expires=expires,
        state=freshness,
    )


def address_statuses(state: State, name: str) -> Mapping[Family, RecordStatus]:
    """Return the status of the host's committed addresses; it changes with the state alone."""
    statuses = {}
    for family in Family:
        record = RecordKey(name, family)
        if (committed := _present(state, record)) is not None:
            address = committed.value
            published, error = _publication(state, record, committed)
            statuses[family] = RecordStatus(address.ip, address.previous, address.changed, published, error)
    return statuses


def _text_status(state: State, name: str) -> TextStatus | None:
    record = RecordKey(name, Challenge.TXT)
    committed = _present(state, record)
    if committed is None:
        return None
    published, error = _publication(state, record, committed)
    return TextStatus(tuple(committed.value.ip.split()), committed.value.changed, published, error)


def _present(state: State, record: RecordKey) -> Entry[Committed] | None:
    committed = state.addresses.get(record)
    return committed if committed is not None and not committed.value.is_tombstone else None


def _publication(state: State, record: RecordKey, committed: Entry[Committed]) -> tuple[datetime | None, str]:
    """Return when the nameserver got this very value, if it has it, and why it refuses it, if it does."""
    entry = state.published.get(record)
    at = entry.value.at if entry and is_served(state, record, committed.revision) else None
    return at, entry.value.error.message if entry and entry.value.error else ""


class ZoneProgress(NamedTuple):
    """Records of a zone: how many wait, how many the nameserver refuses, when one was last published, and
    when the one was committed that waits for the longest time."""

    pending: int = 0
    refused: int = 0
    last_push: datetime | None = None
    waiting_since: datetime | None = None


async def zone_progress(state: State) -> Mapping[str, ZoneProgress]:
    """Count the records of each zone, without holding the event loop for long.

    What changes meanwhile is counted as it was before or after.
    """
    zones: defaultdict[str, ZoneProgress] = defaultdict(ZoneProgress)
    async for record in Slice().each(list(state.addresses)):
        want = wanted(state, record)
        if want is None:
            continue
        entry = state.published.get(record)
        published = entry.value if entry else None
        found, so_far = standing(state, want, published), zones[want.placement.zone]
        waits_since = want.changed if found is Progress.PENDING else None
        zones[want.placement.zone] = ZoneProgress(
            so_far.pending + (found is Progress.PENDING),
            so_far.refused + (found is Progress.REFUSED),
            max(filter(None, (so_far.last_push, published.at if published else None)), default=None),
            min(filter(None, (so_far.waiting_since, waits_since)), default=None),
        )
    return zones


class HistoryItem(msgspec.Struct, frozen=True, omit_defaults=True):
    """One change of one record of a host. `new` is "" where it was withdrawn, `token` where no client did it.

    `api` is the way in: update, dyndns2, duckdns, acme_dns; or expiry and adoption, ddnsd itself. `source` is
    the client's address. An item of the type Host is a change of resources that the audit has: `change` says
    what was done, `by` whose admin token, or which source, it was.
    """

    at: datetime
    host: str
    type: str
    old: str
    new: str
    api: str
    token: str
    source: str
    change: str = ""
    by: str = ""

    @property
    def place(self) -> str:
        """Where it stands in the order of all; as text, so that whatever a client sends compares."""
        return f"{self.at.isoformat()}/{self.host}/{self.type}"


class Page(NamedTuple, Generic[Listed]):
    """A part of a listing, in its order. `cursor` asks for what follows; "" if nothing does."""

    items: tuple[Listed, ...]
    cursor: str


async def history(
    state: State, hosts: Collection[str], limit: int, cursor: str = "", *, more: Iterable[HistoryItem] = ()
) -> Page[HistoryItem]:
    """Return at most `limit` changes of these hosts, and `more`, before the cursor.

    The event loop goes on meanwhile.
    """
    slice, count = Slice(), itertools.count()
    newest: list[tuple[str, int, HistoryItem]] = []  # a heap, the oldest first
    for items in itertools.chain([more], (_items(state, host) for host in hosts)):
        for item in items:
            if not cursor or item.place < cursor:
                heapq.heappush(newest, (item.place, next(count), item))
        while len(newest) > limit + 1:
            heapq.heappop(newest)
        await slice.pause()
    found = tuple(item for _, _, item in sorted(newest, reverse=True)[:limit])
    return Page(found, found[-1].place if len(newest) > limit else "")


def resource_changes(host: str, audit: Iterable[AuditItem]) -> list[HistoryItem]:
    """Return what the audit has of a host, as items of its history."""
    return [
        HistoryItem(
            *(item.at, host, Kind.HOST, "", "", item.way, "", item.address),
            change=_told(host, item),
            by=item.by,
        )
        for item in audit
    ]


def _told(host: str, item: AuditItem) -> str:
    title = f"{Kind.HOST} {host}"
    told = [
        f"{change.what}: {'; '.join(change.fields)}" if change.fields else str(change.what)
        for change in item.changes
        if change.title == title
    ]
    return "; ".join([*told, "its address was withdrawn"] if host in item.withdrawn else told)


def whose(state: State, who: str) -> Collection[str] | None:
    """Return the hosts that "", a host's name or an account's stands for: all, itself, all that it has now.

    None if it stands for nothing. A host that is deleted still has its history.
    """
    if not who:
        return tuple(state.history)
    name = host_name(who)
    if name in state.hosts or name in state.history:
        return (name,)
    if who in state.accounts:
        return tuple(state.hosts.of(who))
    return None


def host_name(text: str) -> str:
    """Return a host's name in its one spelling, "" where no host can have it."""
    try:
        return parse_name(text)
    except InvalidNameError:
        return ""


def _items(state: State, host: str) -> Iterator[HistoryItem]:
    entry = state.history.get(host)
    for change in entries(entry.value) if entry else ():
        yield HistoryItem(
            change.at,
            host,
            change.type,
            change.old,
            change.new,
            change.api,
            change.token,
            change.source,
        )
