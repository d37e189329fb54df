"""Which records of a site to push next: the newest value of each pending one, oldest request first."""

from collections.abc import Iterable
from typing import NamedTuple

from .publication import Wanted, is_pending, wanted
from .records import Published, RecordKey, Site
from .state import State


class Push(NamedTuple):
    """One RRset of a batch, and the revision of `published` that its acknowledgement replaces.

    `first` asks for the RRset to be read back before it counts as served: NOERROR alone does not
    say so where nothing was served before (docs/nameservers.md).
    """

    want: Wanted
    guard: int
    first: bool

    @property
    def record(self) -> RecordKey:
        """The record that is pushed."""
        return self.want.record


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
        batch: list[Push] = []
        for record in self._pending:
            if record not in self._busy and (want := self._due(state, record)) is not None:
                batch.append(_push(state, want))
                if len(batch) == limit:
                    break
        self._busy.update(push.record for push in batch)
        return tuple(batch)

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
    return Push(want, published.revision if published else 0, first=bool(want.ip) and not served_before)


def _is_served_at(site: Site, published: Published) -> bool:
    """Say whether the site is known to serve the record with some address, were it an older one."""
    return published.revision > 0 and bool(published.ip) and published.nameserver == site.nameserver
