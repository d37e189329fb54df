"""What shall be published, and how far it is: the comparison of `addresses` with `published`."""

from datetime import datetime
from enum import Enum, auto
from typing import NamedTuple

from ddnsd.model.addresses import Challenge
from ddnsd.model.owners import in_doubt, ours, owner, wildcard_owner
from ddnsd.model.records import Published, PublishError, RecordKey, Site
from ddnsd.model.state import State

_CHALLENGE_TTL = 60  # seconds, at most: an authority that asks again shall see the next challenge


class Wanted(NamedTuple):
    """An RRset as it shall be served: `values` is empty if it shall be gone. `ttl` in seconds."""

    record: RecordKey
    site: Site
    revision: int  # of the committed address
    ip: str  # the content as it was committed: an address, or the values of a TXT; "" if it shall be gone
    ttl: int
    changed: datetime  # when the content was committed
    wildcard: bool  # the same RRset stands at `*.<host>`, too
    adopt: bool = False  # the zone lets its hosts take what stands at their names

    @property
    def values(self) -> tuple[str, ...]:
        """The rdata of the RRset."""
        return tuple(sorted(self.ip.split()))

    @property
    def owners(self) -> tuple[str, ...]:
        """The names at which the RRset stands."""
        return (owner(self.record), wildcard_owner(self.record)) if self.wildcard else (owner(self.record),)


class Standing(Enum):
    """How far a committed address has come."""

    PENDING = auto()
    REFUSED = auto()  # the nameserver itself refuses this revision: waits for a reconcile
    PUBLISHED = auto()


def wanted(state: State, record: RecordKey) -> Wanted | None:
    """Return what shall be served for the record, or None if nothing was committed or no zone is left.

    A tombstone whose zone is gone is the business of the zone's old sites (`leader.retire`).
    """
    committed = state.addresses.get(record)
    if committed is None:
        return None
    zone_name = state.zone_of_record(record, committed.value) or ""
    zone = state.zones.get(zone_name)
    if zone is None:
        return None
    site = Site(zone_name, zone.value.spec.nameserver)
    host = state.hosts.get(record.name)
    ttl = (host.value.spec.ttl if host else None) or zone.value.spec.ttl
    address = committed.value
    is_address = record.type is not Challenge.TXT
    wildcard = host is not None and host.value.spec.wildcard and is_address and not address.is_tombstone
    ttl = ttl if is_address else min(ttl, _CHALLENGE_TTL)
    adopt = zone.value.spec.adopt
    return Wanted(record, site, committed.revision, address.ip, ttl, address.changed, wildcard, adopt)


def is_removed(state: State, record: RecordKey) -> bool:
    """Say whether a tombstone has done its work: the RRset stands nowhere any more.

    While hosts are being moved to a prefix it says, too, that its host was told something later than that.
    """
    committed, published = state.addresses.get(record), state.published.get(record)
    if committed is None or not committed.value.is_tombstone or state.prefixes:
        return False
    sites = tuple(state.sites_of(committed.value.zone))
    if committed.value.zone not in state.zones:
        return not sites
    gone = published is not None and published.value.revision >= committed.revision
    return gone and len(sites) <= 1


def is_pending(state: State, want: Wanted) -> bool:
    """Say whether what shall be served has still to be pushed."""
    published = state.published.get(want.record)
    return standing(state, want, published.value if published else None) is Standing.PENDING


def standing(state: State, want: Wanted, published: Published | None) -> Standing:
    """Compare what shall be served with what the nameserver is known to serve."""
    if published is None:
        return Standing.PENDING
    error = published.error
    if _is_refused(want.site, error, want.revision) and not (want.adopt and error and error.is_name_in_use):
        return Standing.REFUSED
    as_wanted = published.ttl == want.ttl and has_wildcard_as_wanted(state, want, published)
    if _is_served(want, published) and as_wanted and _is_ours(want, published):
        return Standing.PUBLISHED
    return Standing.PENDING


def has_wildcard_as_wanted(state: State, want: Wanted, published: Published) -> bool:
    """Say whether `*.<host>` need not be added or removed.

    While the zone stands at other sites too, it is remembered that it may stand there.
    """
    if published.wildcard and not want.wildcard:
        return not is_only_site(state, want.site)
    return published.wildcard == want.wildcard


def to_leave(state: State, site: Site, record: RecordKey) -> frozenset[str]:
    """Return the record's owner names that are ddnsd's own at the site, but for those that stay there.

    What was adopted outlives its host: it was there before.
    """
    entry = state.published.get(record)
    stays = entry.value.adopted if entry and record.name not in state.hosts else ()
    return ours(record, entry.value if entry else None, site.nameserver).difference(stays)


def doubted(state: State, site: Site, record: RecordKey) -> tuple[str, ...]:
    """Return the record's owner names of which only their values can tell whether they are ddnsd's own."""
    entry = state.published.get(record)
    names = in_doubt(entry.value if entry else None, site.nameserver)
    stays = entry.value.adopted if entry and record.name not in state.hosts else ()
    return tuple(name for name in names if name not in stays)


def is_only_site(state: State, site: Site) -> bool:
    """Say whether nothing of the zone is, or may be, published elsewhere."""
    return all(each == site for each in state.sites_of(site.zone))


def is_served(state: State, record: RecordKey, revision: int) -> bool:
    """Say whether the record's committed value of this revision, or a newer one, is being served.

    Its TTL may still change: that is no business of a client's.
    """
    want = wanted(state, record)
    return want is not None and is_served_at(state, want.site, record, revision)


def is_served_at(state: State, site: Site, record: RecordKey, revision: int) -> bool:
    """Say the same where it is known already at which site that has to be."""
    published = state.published.get(record)
    return (
        published is not None
        and published.value.revision >= revision
        and published.value.nameserver == site.nameserver
    )


def is_refused(state: State, record: RecordKey, revision: int) -> bool:
    """Say whether the nameserver refused the committed value of this revision, or a newer one."""
    want, published = wanted(state, record), state.published.get(record)
    if want is None or published is None:
        return False
    return _is_refused(want.site, published.value.error, revision)


def is_verified(state: State, site: Site) -> bool:
    """Say whether `published` is known to tell the truth about the site."""
    footprint = state.footprints.get(site)
    return footprint is not None and footprint.value.verified_in == state.identity != ""


def _is_ours(want: Wanted, published: Published) -> bool:
    """Say so of all owner names; it is known already whether `*.<host>` is as wanted."""
    if published.taking is None and not published.not_at:  # nearly always: reconciles look at every record
        return bool(published.ip) or not want.ip
    return not want.ip or ours(want.record, published, want.site.nameserver).issuperset(want.owners)


def _is_served(want: Wanted, published: Published) -> bool:
    return published.revision >= want.revision and published.nameserver == want.site.nameserver


def _is_refused(site: Site, error: PublishError | None, revision: int) -> bool:
    """Say whether it was this nameserver: one that the zone has left says nothing about its new home."""
    return error is not None and error.revision >= revision and error.nameserver == site.nameserver
