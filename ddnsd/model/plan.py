"""Which records of a site to push next: the newest value of each pending one, oldest request first."""

from collections.abc import Collection, Iterable, Sequence
from itertools import islice
from typing import NamedTuple

from .addresses import Challenge
from .publication import Wanted, is_pending, may_be_starred, wanted
from .records import Published, RecordKey, Site
from .state import State

_MOST_OCTETS = 60_000  # of the 65,535 of a message (RFC 1035 §4.2.2); the fence and the signature need some
_RECORDS = 50  # octets of a deletion and an addition of an address, beside the name in each
_TEXTS = 600  # octets of two values


class Push(NamedTuple):
    """One RRset of a batch, and the revision of `published` that its acknowledgement replaces.

    `first` asks for the RRset to be read back before it counts as served: NOERROR alone does not
    say so where nothing was served before (docs/nameservers.md). `starred`: `*.<host>` may be served.
    """

    want: Wanted
    guard: int
    first: bool
    starred: bool

    @property
    def is_prepared(self) -> bool:
        """Say whether all that the UPDATE writes would be found again, were its answer lost."""
        return self.starred or not self.want.wildcard

    @property
    def record(self) -> RecordKey:
        """The record that is pushed."""
        return self.want.record


def portion(records: Sequence[RecordKey], limit: int, starred: Collection[RecordKey]) -> Sequence[RecordKey]:
    """Return the first of the records, at most `limit`, that are sure to fit one UPDATE together.

    Those that are `starred` are in it twice.
    """
    octets = 0
    for count, record in enumerate(records[:limit]):
        octets += (2 * len(record.name) + _RECORDS) * (2 if record in starred else 1)
        if record.type is Challenge.TXT:
            octets += _TEXTS
        if count and octets > _MOST_OCTETS:
            return records[:count]
    return records[:limit]


class Queue:
    """The pending records of one site. A record on its way is `busy` and not planned again."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._pending: dict[RecordKey, None] = {}
        self._busy: set[RecordKey] = set()

    def __len__(self) -> int:
        return len(self._pending)

    def look(self, state: State, records: Iterable[RecordKey]) -> None:
        """Enter each record that is pending at this site, drop each that is not."""
        for record in records:
            if self._due(state, record) is not None:
                self._pending.setdefault(record)
            else:
                self._pending.pop(record, None)

    def take(self, state: State, limit: int) -> tuple[Push, ...]:
        """Return the next batch, of at most `limit` records, and count its records as busy."""
        free = (record for record in self._pending if record not in self._busy)
        wants = (want for record in free if (want := self._due(state, record)) is not None)
        due = {want.record: want for want in islice(wants, limit)}
        starred = {record for record, want in due.items() if want.wildcard or may_be_starred(state, record)}
        fitting = portion(tuple(due), limit, starred)
        self._busy.update(fitting)
        return tuple(_push(state, due[record]) for record in fitting)

    def release(self, records: Iterable[RecordKey]) -> None:
        """Let records be planned again, if they are still pending."""
        self._busy.difference_update(records)

    def _due(self, state: State, record: RecordKey) -> Wanted | None:
        """Return what this site shall serve for the record, or None if there is nothing to push here."""
        want = wanted(state, record)
        if want is None or want.site != self._site or not is_pending(state, want):
            return None
        return want


def _push(state: State, want: Wanted) -> Push:
    published = state.published.get(want.record)
    served_before = published is not None and _is_served_at(want.site, published.value)
    return Push(
        want,
        published.revision if published else 0,
        first=bool(want.ip) and not served_before,
        starred=published is not None and published.value.wildcard,
    )


def _is_served_at(site: Site, published: Published) -> bool:
    """Say whether the site is known to serve the record with some address, were it an older one."""
    return published.revision > 0 and bool(published.ip) and published.nameserver == site.nameserver
