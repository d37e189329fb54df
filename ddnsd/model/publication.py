"""What shall be published, and how far it is: the comparison of `addresses` with `published`."""

from collections.abc import Iterator
from datetime import datetime
from enum import Enum, auto
from typing import NamedTuple

from .records import Published, PublishError, RecordKey, Site
from .state import State


class Wanted(NamedTuple):
    """An RRset as it shall be served: `values` is empty if it shall be gone. `ttl` in seconds."""

    record: RecordKey
    site: Site
    revision: int  # of the committed address
    ip: str
    ttl: int
    changed: datetime  # when the address was committed

    @property
    def values(self) -> tuple[str, ...]:
        """The rdata of the RRset."""
        return (self.ip,) if self.ip else ()


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
    return Wanted(record, site, committed.revision, address.ip, ttl, address.changed)


def contents(state: State, zone: str) -> Iterator[Wanted]:
    """Yield every RRset of the zone that shall be served.

    A nameserver that the zone is leaving serves on until the zone is complete at its new one.
    """
    for record in state.records_in(zone):
        want = wanted(state, record)
        if want is not None and want.ip:
            yield want


def is_settled(state: State, zone: str) -> bool:
    """Say whether nothing of the zone is pending where the zone lives now."""
    for record in state.records_in(zone):
        want = wanted(state, record)
        if want is not None and is_pending(state, want):
            return False
    return True


def is_removed(state: State, record: RecordKey) -> bool:
    """Say whether a tombstone has done its work: the RRset stands nowhere any more."""
    committed, published = state.addresses.get(record), state.published.get(record)
    if committed is None or not committed.value.is_tombstone:
        return False
    sites = tuple(state.sites_of(committed.value.zone))
    if committed.value.zone not in state.zones:
        return not sites
    gone = published is not None and published.value.revision >= committed.revision
    return gone and len(sites) <= 1


def is_pending(state: State, want: Wanted) -> bool:
    """Say whether what shall be served has still to be pushed."""
    published = state.published.get(want.record)
    return standing(want, published.value if published else None) is Standing.PENDING


def standing(want: Wanted, published: Published | None) -> Standing:
    """Compare what shall be served with what the nameserver is known to serve."""
    if published is None:
        return Standing.PENDING
    if _is_refused(want.site, published.error, want.revision):
        return Standing.REFUSED
    if _is_served(want, published) and published.ttl == want.ttl:
        return Standing.PUBLISHED
    return Standing.PENDING


def is_served(state: State, record: RecordKey, revision: int) -> bool:
    """Say whether the record's committed value of this revision, or a newer one, is being served.

    Its TTL may still change: that is no business of a client's.
    """
    want = wanted(state, record)
    published = state.published.get(record)
    return (
        want is not None
        and published is not None
        and published.value.revision >= revision
        and published.value.nameserver == want.site.nameserver
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


def _is_served(want: Wanted, published: Published) -> bool:
    return published.revision >= want.revision and published.nameserver == want.site.nameserver


def _is_refused(site: Site, error: PublishError | None, revision: int) -> bool:
    """Say whether it was this nameserver: one that the zone has left says nothing about its new home."""
    return error is not None and error.revision >= revision and error.nameserver == site.nameserver
