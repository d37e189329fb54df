"""What shall be published, and how far it is: the comparison of `addresses` with `published`.

Which records of a placement to push next: the newest value of each pending one, oldest request first.
How far the committed record has come that a request waits for. When a client's repetition is another
attempt at what the nameserver itself refuses.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from enum import Enum, auto
from typing import Any, NamedTuple

from ddnsd.model.addresses import Challenge, Family
from ddnsd.model.authorization import may_change
from ddnsd.model.names import in_doubt, ours, owner, wildcard_owner
from ddnsd.model.prefixes import address_below, read_prefix
from ddnsd.model.records import Committed, Entry, Placement, Published, RecordKey, revision_of
from ddnsd.model.state import State

_CHALLENGE_TTL = 60  # seconds, at most: an authority that asks again shall see the next challenge


class Wanted(NamedTuple):
    """An RRset as it shall be served: `values` is empty if it shall be gone. `ttl` in seconds."""

    record: RecordKey
    placement: Placement
    revision: int  # of the committed address
    ip: str  # the content as it was committed: an address, or the values of a TXT; "" if it shall be gone
    ttl: int
    changed: datetime  # when the content was committed
    wildcard: bool  # the same RRset is served at `*.<host>`, too
    adopt: bool = False  # the zone lets its hosts take what exists at their names

    @property
    def values(self) -> tuple[str, ...]:
        """The rdata of the RRset."""
        return tuple(sorted(self.ip.split()))

    @property
    def owners(self) -> tuple[str, ...]:
        """The names at which the RRset is served."""
        return (owner(self.record), wildcard_owner(self.record)) if self.wildcard else (owner(self.record),)


class Progress(Enum):
    """How far a committed record has come."""

    PENDING = auto()
    PUBLISHED = auto()
    REFUSED = auto()  # the nameserver itself refuses this revision: waits for a reconcile
    GONE = auto()  # with its host, or with what the host may have


def wanted(state: State, record: RecordKey) -> Wanted | None:
    """Return what shall be served for the record, or None if nothing was committed or no zone is left.

    A tombstone whose zone is gone is the business of the zone's old placements (`leader.zone`).
    """
    committed = state.addresses.get(record)
    if committed is None:
        return None
    zone_name = state.zone_of_record(record, committed.value) or ""
    zone = state.zones.get(zone_name)
    if zone is None:
        return None
    placement = Placement(zone_name, zone.value.spec.nameserver)
    host = state.hosts.get(record.name)
    ttl = (host.value.spec.ttl if host else None) or zone.value.spec.ttl
    address = committed.value
    is_address = record.type is not Challenge.TXT
    wildcard = host is not None and host.value.spec.wildcard and is_address and not address.is_tombstone
    ttl = ttl if is_address else min(ttl, _CHALLENGE_TTL)
    adopt = zone.value.spec.adopt
    return Wanted(record, placement, committed.revision, address.ip, ttl, address.changed, wildcard, adopt)


def is_removed(state: State, record: RecordKey) -> bool:
    """Say whether a tombstone has done its work: the RRset is served nowhere any more.

    While hosts are being moved to a prefix it shows, too, that something later was asked for its host.
    """
    committed, published = state.addresses.get(record), state.published.get(record)
    if committed is None or not committed.value.is_tombstone or state.prefixes:
        return False
    placements = tuple(state.placements.of(committed.value.zone))
    if committed.value.zone not in state.zones:
        return not placements
    gone = published is not None and published.value.revision >= committed.revision
    return gone and len(placements) <= 1


def standing(state: State, want: Wanted, published: Published | None) -> Progress:
    """Compare what shall be served with what the nameserver is known to serve."""
    if published is None:
        return Progress.PENDING
    error, here = published.error, want.placement.nameserver
    is_refused = error is not None and error.revision >= want.revision and error.nameserver == here
    if is_refused and not (want.adopt and error and error.is_name_in_use):
        return Progress.REFUSED
    if published.revision < want.revision or published.nameserver != here or published.ttl != want.ttl:
        return Progress.PENDING
    # While the zone has other placements, it is remembered that `*.<host>` may be served there.
    if published.wildcard != want.wildcard and (want.wildcard or is_only_placement(state, want.placement)):
        return Progress.PENDING
    # Where nothing else is noted, all that is published is ours: nearly always, and reconciles look at all.
    is_plain = published.ip and published.taking is None and not published.not_at
    if want.ip and not is_plain and not ours(want.record, published, here).issuperset(want.owners):
        return Progress.PENDING
    return Progress.PUBLISHED


def to_leave(state: State, placement: Placement, record: RecordKey) -> frozenset[str]:
    """Return the record's owner names that are ddnsd's own there, but for those that stay."""
    entry = state.published.get(record)
    published = entry.value if entry else None
    return ours(record, published, placement.nameserver).difference(_staying(state, record, published))


def doubted(state: State, placement: Placement, record: RecordKey) -> tuple[str, ...]:
    """Return the record's owner names of which only their values can tell whether they are ddnsd's own."""
    entry = state.published.get(record)
    published = entry.value if entry else None
    stays = _staying(state, record, published)
    return tuple([name for name in in_doubt(published, placement.nameserver) if name not in stays])


def _staying(state: State, record: RecordKey, published: Published | None) -> tuple[str, ...]:
    """Return the owner names where what was adopted outlives its host: it was there before."""
    return published.adopted if published is not None and record.name not in state.hosts else ()


def is_only_placement(state: State, placement: Placement) -> bool:
    """Say whether nothing of the zone is, or may be, published elsewhere."""
    return all(each == placement for each in state.placements.of(placement.zone))


def is_served(state: State, record: RecordKey, revision: int) -> bool:
    """Say whether the record's committed value of this revision, or a newer one, is being served.

    Its TTL may still change: that does not concern a client.
    """
    want = wanted(state, record)
    return want is not None and is_served_at(state, want.placement, record, revision)


def is_served_at(state: State, placement: Placement, record: RecordKey, revision: int) -> bool:
    """Say the same where it is known already at which placement that has to be."""
    published = state.published.get(record)
    return (
        published is not None
        and published.value.revision >= revision
        and published.value.nameserver == placement.nameserver
    )


def is_refused(state: State, record: RecordKey, revision: int) -> bool:
    """Say whether the nameserver refused the committed value of this revision, or a newer one."""
    want = wanted(state, record)
    return want is not None and is_refused_at(state, want.placement, record, revision)


def is_refused_at(state: State, placement: Placement, record: RecordKey, revision: int) -> bool:
    """Say the same of this placement: a nameserver that the zone has left says nothing about its new home."""
    published = state.published.get(record)
    error = published.value.error if published else None
    return error is not None and error.revision >= revision and error.nameserver == placement.nameserver


def is_verified(state: State, placement: Placement) -> bool:
    """Say whether `published` is known to tell the truth about the placement."""
    noted = state.placements.get(placement)
    return noted is not None and noted.value.verified_in == state.identity != ""


_MOST_OCTETS = 60_000  # of the 65,535 of a message (RFC 1035 §4.2.2); the fence and the signature need some
_RECORDS = 50  # octets of a deletion and an addition of an address, beside the name in each
_PREREQUISITE = 12  # octets of one, beside the name
_TEXTS = 600  # octets of two values
_CNAME = "CNAME"


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
    doubts: tuple[str, ...] = ()  # perhaps ddnsd's own, and not to be served: see `names.in_doubt`
    # Owner names and types: an RRset there makes the host's names somebody else's.
    wards: tuple[tuple[str, str], ...] = ()

    @property
    def is_ready(self) -> bool:
        """Say whether nothing has to be asked of the nameserver before it is pushed.

        All that the UPDATE takes would then be known for ddnsd's own, were its answer lost.
        """
        if self.doubts or not self.takes:
            return not self.doubts
        noted = self.before
        if noted is None or noted.taking is None or noted.taking.values != self.want.values:
            return False
        return self.takes.issubset(in_doubt(noted, self.want.placement.nameserver))

    @property
    def is_void(self) -> bool:
        """Say whether it needs no UPDATE: nothing of what shall be gone is ddnsd's own."""
        return not (self.want.ip or self.drops or self.doubts)

    @property
    def absent(self) -> frozenset[str]:
        """The owner names that the UPDATE takes only if nothing exists there."""
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
    """The pending records of one placement. A record on its way is `busy` and not planned again."""

    def __init__(self, placement: Placement) -> None:
        self._placement = placement
        self._pending: dict[RecordKey, None] = {}
        self._busy: set[RecordKey] = set()

    def __len__(self) -> int:
        return len(self._pending)

    def look(self, state: State, records: Iterable[RecordKey]) -> None:
        """Enter each record that is pending at this placement, drop each that is not."""
        for record in records:
            if self._due(state, record):
                self._pending.setdefault(record)
            else:
                self._pending.pop(record, None)

    def take(self, state: State, limit: int) -> tuple[Push, ...]:
        """Return the next batch, of at most `limit` records, and count its records as busy."""
        due: dict[RecordKey, Push] = {}
        counts: dict[RecordKey, int] = {}
        for record in self._pending:
            if len(due) == limit:
                break
            if record not in self._busy and (want := self._due(state, record)):
                push = due[record] = _push(state, want)
                counts[record] = 2 if want.wildcard or push.drops else 1
        fitting = portion(tuple(due), limit, counts)
        self._busy.update(fitting)
        return tuple([due[record] for record in fitting])

    def release(self, records: Iterable[RecordKey]) -> None:
        """Let records be planned again, if they are still pending."""
        self._busy.difference_update(records)

    def _due(self, state: State, record: RecordKey) -> Wanted | None:
        """Return what this placement shall serve for the record, or None if there is nothing to push here."""
        want = wanted(state, record)
        if want is None or want.placement != self._placement:
            return None
        entry = state.published.get(record)
        is_pending = standing(state, want, entry.value if entry else None) is Progress.PENDING
        return want if is_pending else None


def _push(state: State, want: Wanted) -> Push:
    entry, here = state.published.get(want.record), want.placement.nameserver
    published = entry.value if entry else None
    written = frozenset(want.owners) if want.ip else frozenset[str]()
    own, stays = ours(want.record, published, here), _staying(state, want.record, published)
    takes = written - own
    # It is known that the nameserver serves the record with some address, were it an older one.
    is_served = published and published.revision > 0 and published.ip and published.nameserver == here
    return Push(
        want,
        revision_of(entry),
        first=bool(want.ip) and not is_served,
        before=published,
        takes=takes,
        drops=own.difference(stays, written),
        doubts=tuple([n for n in in_doubt(published, here) if n not in stays and n not in written]),
        wards=_wards(state, want) if takes and not want.adopt else (),
    )


def _wards(state: State, want: Wanted) -> tuple[tuple[str, str], ...]:
    """Return what must not exist beside the first record of a host that Kubernetes has.

    Its author may be anybody with a namespace: nobody adds an AAAA, or has a certificate made, for a name
    that is somebody else's because of its A or its CNAME. Where the host has a record of its own, the name is
    its own, too: a `*.<host>` is added beside whatever else exists there.
    """
    host = state.hosts.get(want.record.name)
    beside = [RecordKey(want.record.name, family) for family in Family if family != want.record.type]
    if host is None or host.value.origin is None:
        return ()
    if any(_is_or_may_be_ours(state, want.placement, record) for record in (want.record, *beside)):
        return ()
    return (*((owner(record), record.type) for record in beside), (want.record.name, _CNAME))


def _is_or_may_be_ours(state: State, placement: Placement, record: RecordKey) -> bool:
    entry = state.published.get(record)
    published = entry.value if entry else None
    return bool(ours(record, published, placement.nameserver) or in_doubt(published, placement.nameserver))


def acknowledged(push: Push, now: datetime, elsewhere: Collection[str]) -> Published:
    """Return what is noted of a push that the nameserver has taken.

    While the zone has other placements, it is remembered what is ddnsd's own there.
    """
    want, here = push.want, push.want.placement.nameserver
    before = push.before
    if before is None or not elsewhere:
        adopted = before.adopted if before and want.ip else ()
        return Published(want.revision, want.ip, want.ttl, here, now, wildcard=want.wildcard, adopted=adopted)
    not_at = dict(before.not_at)
    written = want.owners if want.ip else ()
    not_at[here] = tuple(name for name in united(not_at.get(here, ()), push.drops) if name not in written)
    return Published(
        want.revision,
        want.ip or before.ip,
        want.ttl,
        here,
        now,
        wildcard=want.wildcard or before.wildcard,
        adopted=before.adopted,
        not_at=without_empty(not_at),
    )


def united(names: Iterable[str], more: Iterable[str]) -> tuple[str, ...]:
    """Return all of the names once, in their order."""
    return tuple(sorted({*names, *more}))


def without_empty(not_at: Mapping[str, tuple[str, ...]]) -> Mapping[str, tuple[str, ...]]:
    """Return `Published.not_at` without the nameservers of which it names nothing."""
    return {nameserver: names for nameserver, names in not_at.items() if names}


def holding(state: State, record: RecordKey) -> tuple[str, int]:
    """Return what the record is to hold, and the revision that says so: of its own commit, or an update's.

    A prefix update counts from its own commit on: what a host that it has not reached yet has is the
    address below the new prefix, unless its own address was committed later.
    The revision is 0 where nothing was ever asked, or all is forgotten.
    """
    committed = state.addresses.get(record)
    own = (committed.value.ip, committed.revision) if committed else ("", 0)
    return _moved(state, record, own) if state.prefixes and record.type is Family.AAAA else own


def progress(state: State, record: RecordKey, revision: int, *, verify: bool) -> Progress:
    """Say how far what was committed at this revision is; anything newer of the same record counts for it.

    With `verify` a publication counts only once its zone is verified. A record that was withdrawn by its
    client, or the clock, is published when the nameserver has let it go; one that went with its host, or
    with what the host may have, is gone, and so is a prefix that a host does not follow any more.
    """
    host = state.hosts.get(record.name)
    if host is None or (record.type is not Challenge.TXT and record.type not in host.value.spec.families):
        return Progress.GONE
    committed, (_, newest) = state.addresses.get(record), holding(state, record)
    if not newest:  # a withdrawal, done and forgotten
        return Progress.PUBLISHED
    if committed is None or committed.revision < revision <= newest:
        return Progress.PENDING  # for a prefix that is to come to it
    if committed.revision >= revision:
        return _of_committed(state, committed.value, record, revision, verify=verify)
    # The prefix is with all that follow, and this host does not any more: it keeps what it has.
    kept = _of_committed(state, committed.value, record, committed.revision, verify=verify)
    return Progress.GONE if kept is Progress.PUBLISHED else kept


def _moved(state: State, record: RecordKey, own: tuple[str, int]) -> tuple[str, int]:
    """Return what the newest update to come makes of the record; its own where none changes anything."""
    host = state.hosts.get(record.name)
    if host is None or host.value.spec.ipv6_suffix is None:
        return own
    content, revision = own
    for update in state.prefixes.of(host.value.spec.account):
        if update.revision > revision and may_change(update.value, record.name, host.value.spec):
            ip = address_below(read_prefix(update.value.prefix), host.value.spec)
            content, revision = (ip, update.revision) if ip else (content, revision)
    stays = content == own[0] and not is_refused(state, record, own[1])
    return own if stays else (content, revision)


def _of_committed(
    state: State, committed: Committed, record: RecordKey, revision: int, *, verify: bool
) -> Progress:
    if committed.is_tombstone and not committed.cleared:
        return Progress.GONE
    want = wanted(state, record)
    if want is None:
        return Progress.PENDING
    if not is_served_at(state, want.placement, record, revision):
        is_refused = is_refused_at(state, want.placement, record, revision)
        return Progress.REFUSED if is_refused else Progress.PENDING
    return Progress.PENDING if verify and not is_verified(state, want.placement) else Progress.PUBLISHED


FIRST_PAUSE, LONGEST_PAUSE = timedelta(seconds=5), timedelta(seconds=300)


class Retry(NamedTuple):
    """The next attempt at what is refused: from `due` on, the one of this number in a row.

    `due` is None where something has changed that may be the reason: at once, and the pauses begin again.
    """

    refused: datetime
    due: datetime | None
    times: int

    def is_early(self, now: datetime) -> bool:
        """Say whether the answer is still the refusal; a clock behind the refusal's says nothing."""
        return self.due is not None and self.refused <= now < self.due


def pause_after(times: int) -> timedelta:
    """Return how long a refusal is the answer, of what was committed so many times again."""
    return min(FIRST_PAUSE * (1 << min(times, 10)), LONGEST_PAUSE)


def retry_of(state: State, record: RecordKey, host: Entry[Any], zone: Entry[Any]) -> Retry:
    """Return the next attempt at a record whose committed value the nameserver has refused.

    Another value is another commit, and a reconcile tries by itself: both end the pauses, too.
    """
    published, committed = state.published[record], state.addresses.get(record)
    assert published.value.error is not None
    refused = published.value.error.at
    if max(host.revision, zone.revision) > published.revision:
        return Retry(refused, None, 0)
    times = committed.value.again if committed else 0
    return Retry(refused, refused + pause_after(times), times + 1)
