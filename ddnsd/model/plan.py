"""Which records of a site to push next: the newest value of each pending one, oldest request first."""

from collections.abc import Iterable
from typing import NamedTuple

from .publication import Standing, Wanted, standing, wanted
from .records import RecordKey, Site
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

    @property
    def is_idle(self) -> bool:
        """Say whether nothing can be planned now."""
        return self._pending.keys() <= self._busy

    def look(self, state: State, records: Iterable[RecordKey]) -> None:
        """Enter each record that is pending at this site, drop each that is not."""
        for record in records:
            want = wanted(state, record)
            published = state.published.get(record)
            if (
                want is not None
                and want.site == self._site
                and standing(want, published.value if published else None) is Standing.PENDING
            ):
                self._pending.setdefault(record)
            else:
                self._pending.pop(record, None)

    def take(self, state: State, limit: int) -> tuple[Push, ...]:
        """Return the next batch, of at most `limit` records, and count its records as busy."""
        batch: list[Push] = []
        for record in self._pending:
            if record not in self._busy and (want := wanted(state, record)) is not None:
                batch.append(_push(state, want))
                if len(batch) == limit:
                    break
        self._busy.update(push.record for push in batch)
        return tuple(batch)

    def release(self, records: Iterable[RecordKey]) -> None:
        """Let records be planned again, if they are still pending."""
        self._busy.difference_update(records)


def _push(state: State, want: Wanted) -> Push:
    published = state.published.get(want.record)
    served_before = published is not None and published.value.revision > 0 and bool(published.value.ip)
    return Push(want, published.revision if published else 0, first=bool(want.ip) and not served_before)
