"""Hosts that expire: when each family of theirs was last refreshed, and how much time that leaves it.

How old a refresh is, the caller says (`Age`): the leader measures it with a clock that is never set
(`leader.housekeeping`); a status shows it by the wall clock (`age_by_clock`).
"""

from collections.abc import Callable, Collection, Iterator
from datetime import datetime, timedelta
from enum import StrEnum

from ddnsd.model.addresses import Challenge, Family
from ddnsd.model.authorization import may_change
from ddnsd.model.records import Entry, LastSeen, RecordKey
from ddnsd.model.resources import HostSpec
from ddnsd.model.state import State

_CHALLENGE = timedelta(hours=24)  # how long a challenge stays: no authority takes as long to look
_QUARTER = 4
# What is left of a host's time when it is warned of, and how old a sighting is when the next one is
# written: a client that repeats its address every few minutes writes four times in that time, not more.

Age = Callable[[RecordKey], timedelta | None]
"""Says how long ago a committed record was last refreshed; None if it was not committed."""


class Expiry(StrEnum):
    """How far an expiring host is."""

    FRESH = "fresh"
    EXPIRING = "expiring"  # less than a quarter of its time is left
    EXPIRED = "expired"  # its addresses are withdrawn, or are about to be


def expiry(state: State, host: str, now: datetime) -> tuple[datetime, datetime, Expiry] | None:
    """Return how far a host is at this moment (UTC); None if it never expires, or was never seen.

    That is when it was last refreshed, when the first of its addresses goes (UTC), and how far that one is.
    """
    entry, seen = state.hosts.get(host), state.seen.get(host)
    seconds = entry.value.spec.expires_after if entry else None
    if seconds is None:
        return None
    records = [record for record in _addresses(host) if _has_address(state, record)]
    refreshes = [at for record in records if (at := refreshed_at(state, record)) is not None]
    if not refreshes and seen is not None:
        refreshes = [seen.value.at]
    if not refreshes:
        return None
    span = timedelta(seconds=seconds)
    expires = min(refreshes) + span
    return max(refreshes), expires, _judge(expires - now, span)


def refreshed_at(state: State, record: RecordKey) -> datetime | None:
    """Return when a committed record was last refreshed, or changed (UTC), as far as that was written."""
    committed = state.addresses.get(record)
    if committed is None:
        return None
    seen = state.seen.get(record.name)
    at = family_seen(seen.value, record.type) if seen and isinstance(record.type, Family) else None
    return max(at, committed.value.changed) if at else committed.value.changed


def family_seen(seen: LastSeen, family: Family) -> datetime | None:
    """Return when a host's family was last refreshed, None if that is not known."""
    return seen.families.get(family) if seen.of == seen.at else seen.at


def sighting(seen: LastSeen | None, families: Collection[Family], at: datetime) -> LastSeen:
    """Return what is stored once these families were refreshed at this moment (UTC)."""
    known = {each: family_seen(seen, each) for each in Family} if seen else {}
    times = {family: time for family, time in known.items() if time is not None} | dict.fromkeys(families, at)
    newest = max(times.values())
    return LastSeen(newest, times, newest)


def age_by_clock(state: State, now: datetime) -> Age:
    """Return the ages as they are by the wall clock at this moment (UTC)."""

    def age(record: RecordKey) -> timedelta | None:
        at = refreshed_at(state, record)
        return now - at if at is not None else None

    return age


def due(state: State, record: RecordKey, age: Age) -> bool:
    """Say whether the record is to be withdrawn: an address of an expiring host, or a challenge.

    A prefix that its host has yet to follow is a refresh that is not written yet. What is held stays.
    """
    if record.type is Challenge.TXT:
        passed = age(record)
        return _has_address(state, record) and passed is not None and passed >= _CHALLENGE
    if stage(state, record, age) is not Expiry.EXPIRED or is_held(state, record.name):
        return False
    return not (record.type is Family.AAAA and _is_to_move(state, record.name))


def is_held(state: State, host: str) -> bool:
    """Say whether the host cannot be refreshed, as it, its account or its zone is held."""
    entry = state.hosts.get(host)
    if entry is None:
        return False
    account, zone = state.accounts.get(entry.value.spec.account), state.zones.get(state.zone_of(host) or "")
    return any(each is not None and each.value.held for each in (entry, account, zone))


def stage(state: State, record: RecordKey, age: Age) -> Expiry | None:
    """Return how far an address is; None if there is none, or none that expires."""
    entry = state.hosts.get(record.name)
    seconds = entry.value.spec.expires_after if entry else None
    passed = age(record)
    if seconds is None or passed is None or not _has_address(state, record):
        return None
    span = timedelta(seconds=seconds)
    return _judge(span - passed, span)


def is_stale_sighting(
    spec: HostSpec, seen: Entry[LastSeen] | None, families: Collection[Family], now: datetime
) -> bool:
    """Say whether a refresh of these families at this moment (UTC) is to be written: now and then.

    So it is where the last one lies in the future: then a clock was wrong, and that time says nothing.
    """
    if spec.expires_after is None:
        return False
    quarter = timedelta(seconds=spec.expires_after) / _QUARTER
    times = (family_seen(seen.value, family) if seen else None for family in families)
    return any(time is None or abs(now - time) > quarter for time in times)


def _is_to_move(state: State, host: str) -> bool:
    entry = state.hosts.get(host)
    if entry is None:
        return False
    spec = entry.value.spec
    return any(may_change(update.value, host, spec) for update in state.prefixes.of(spec.account))


def _judge(left: timedelta, span: timedelta) -> Expiry:
    if left <= timedelta():
        return Expiry.EXPIRED
    return Expiry.EXPIRING if left < span / _QUARTER else Expiry.FRESH


def _addresses(host: str) -> Iterator[RecordKey]:
    return (RecordKey(host, family) for family in Family)


def _has_address(state: State, record: RecordKey) -> bool:
    committed = state.addresses.get(record)
    return committed is not None and bool(committed.value.ip)
