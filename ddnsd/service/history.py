"""Who changed what, out of the state: the newest first."""

import heapq
import itertools
from collections.abc import Collection, Iterable, Iterator
from datetime import datetime
from typing import NamedTuple

import msgspec

from ddnsd.aio import Slice
from ddnsd.model.audit import AuditItem
from ddnsd.model.names import InvalidNameError, parse_name
from ddnsd.model.records import entries
from ddnsd.model.resources import Kind
from ddnsd.model.state import State


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


class HistoryPage(NamedTuple):
    """A part of a history, the newest first. `cursor` asks for what follows; "" if nothing does."""

    items: tuple[HistoryItem, ...]
    cursor: str


async def history(
    state: State, hosts: Collection[str], limit: int, cursor: str = "", *, more: Iterable[HistoryItem] = ()
) -> HistoryPage:
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
    return HistoryPage(found, found[-1].place if len(newest) > limit else "")


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
