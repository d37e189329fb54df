"""Which records of a site to push next: the newest value of each pending one, oldest request first."""

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import NamedTuple

from ddnsd.model.addresses import Challenge, Family
from ddnsd.model.owners import in_doubt, ours, owner
from ddnsd.model.publication import Wanted, doubted, is_pending, to_leave, wanted
from ddnsd.model.records import Published, RecordKey, Site
from ddnsd.model.state import State

_MOST_OCTETS = 60_000  # of the 65,535 of a message (RFC 1035 §4.2.2); the fence and the signature need some
_RECORDS = 50  # octets of a deletion and an addition of an address, beside the name in each
_PREREQUISITE = 12  # octets of one, beside the name
_TEXTS = 600  # octets of two values
_CNAME = "CNAME"


class Place(NamedTuple):
    """Where an RRset stands: an owner name and a record type's name."""

    name: str
    type: str


class Push(NamedTuple):
    """One RRset of a batch, at all of its owner names, and the revision of `published` that it replaces.

    `first` asks for the RRset to be read back before it counts as served: NOERROR alone does not
    say so where nothing was served before (docs/nameservers.md).
    """

    want: Wanted
    guard: int
    first: bool
    before: Published | None = None  # what is noted
    takes: frozenset[str] = frozenset()  # owner names that are written and not ddnsd's own (yet)
    drops: frozenset[str] = frozenset()  # ddnsd's own that are removed
    doubts: tuple[str, ...] = ()  # perhaps ddnsd's own, and not to be served: see `owners.in_doubt`
    wards: tuple[Place, ...] = ()  # what, if it stands there, makes the host's names somebody else's

    @property
    def record(self) -> RecordKey:
        """The record that is pushed."""
        return self.want.record

    @property
    def is_noted(self) -> bool:
        """Say whether all that the UPDATE takes would be known for ddnsd's own, were its answer lost."""
        noted, nameserver = self.before, self.want.site.nameserver
        if noted is None or noted.taking is None or noted.taking.values != self.want.values:
            return not self.takes
        return self.takes.issubset(in_doubt(noted, nameserver))

    @property
    def is_ready(self) -> bool:
        """Say whether nothing has to be asked of the nameserver before it is pushed."""
        return self.is_noted and not self.doubts

    @property
    def is_void(self) -> bool:
        """Say whether it needs no UPDATE: nothing of what shall be gone is ddnsd's own."""
        return not (self.want.ip or self.drops or self.doubts)

    @property
    def absent(self) -> frozenset[str]:
        """The owner names that the UPDATE takes only if nothing stands there."""
        return self.takes.difference(self.before.adopted if self.before else ())


def portion(records: Sequence[RecordKey], limit: int, counts: Mapping[RecordKey, int]) -> Sequence[RecordKey]:
    """Return the first of the records, at most `limit`, that are sure to fit one UPDATE together.

    `counts` has at how many owner names each is written or removed.
    """
    octets = 0
    for count, record in enumerate(records[:limit]):
        octets += (3 * len(record.name) + _RECORDS + _PREREQUISITE) * counts[record]
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
        due = {want.record: _push(state, want) for want in islice(wants, limit)}
        counts = {record: 1 + (len(push.want.owners) > 1 or bool(push.drops)) for record, push in due.items()}
        fitting = portion(tuple(due), limit, counts)
        self._busy.update(fitting)
        return tuple(due[record] for record in fitting)

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
    entry = state.published.get(want.record)
    published = entry.value if entry else None
    written = frozenset(want.owners) if want.ip else frozenset[str]()
    takes = written - ours(want.record, published, want.site.nameserver)
    return Push(
        want,
        entry.revision if entry else 0,
        first=bool(want.ip) and not (published is not None and _is_served_at(want.site, published)),
        before=published,
        takes=takes,
        drops=to_leave(state, want.site, want.record) - written,
        doubts=tuple(name for name in doubted(state, want.site, want.record) if name not in written),
        wards=_wards(state, want) if takes and not want.adopt else (),
    )


def _wards(state: State, want: Wanted) -> tuple[Place, ...]:
    """Return what must not stand beside the first record of a host that Kubernetes has.

    Its author may be anybody with a namespace: nobody adds an AAAA, or has a certificate made, for a name
    that is somebody else's because of its A or its CNAME. Where the host has a record of its own, the name is
    its own, too: a `*.<host>` is added beside whatever else stands there.
    """
    host = state.hosts.get(want.record.name)
    beside = [RecordKey(want.record.name, family) for family in Family if family != want.record.type]
    if host is None or host.value.origin is None:
        return ()
    if any(_is_or_may_be_ours(state, want.site, record) for record in (want.record, *beside)):
        return ()
    return (*(Place(owner(record), record.type) for record in beside), Place(want.record.name, _CNAME))


def _is_or_may_be_ours(state: State, site: Site, record: RecordKey) -> bool:
    entry = state.published.get(record)
    published = entry.value if entry else None
    return bool(ours(record, published, site.nameserver) or in_doubt(published, site.nameserver))


def _is_served_at(site: Site, published: Published) -> bool:
    """Say whether the site is known to serve the record with some address, were it an older one."""
    return published.revision > 0 and bool(published.ip) and published.nameserver == site.nameserver
