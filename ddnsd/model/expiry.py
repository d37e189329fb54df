"""Hosts that expire: when each was last refreshed, and what the clock makes of it."""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from .addresses import Family
from .records import Entry, LastSeen, RecordKey
from .resources import HostSpec
from .state import State

_QUARTER = 4
# What is left of a host's time when it is warned of, and how old a sighting is when the next one is
# written: a client that repeats its address every few minutes writes four times in that time, not more.


class Expiry(StrEnum):
    """How far an expiring host is."""

    FRESH = "fresh"
    EXPIRING = "expiring"  # less than a quarter of its time is left
    EXPIRED = "expired"  # its addresses are withdrawn, or are about to be


class Lifetime(NamedTuple):
    """When a host was last refreshed, as far as that was written, and when its addresses go (UTC)."""

    last_seen: datetime
    expires: datetime
    state: Expiry


def expiry(state: State, host: str, now: datetime) -> Lifetime | None:
    """Return how far a host is at this moment (UTC); None if it never expires, or was never seen."""
    entry = state.hosts.get(host)
    seconds = entry.value.spec.expires_after if entry else None
    last_seen = _last_seen(state, host)
    if seconds is None or last_seen is None:
        return None
    span = timedelta(seconds=seconds)
    return Lifetime(last_seen, last_seen + span, _judge(last_seen + span - now, span))


def due(state: State, host: str, now: datetime) -> bool:
    """Say whether the host has addresses that are to be withdrawn at this moment (UTC)."""
    if _newest_change(state, host) is None:
        return False
    lifetime = expiry(state, host, now)
    return lifetime is not None and lifetime.state is Expiry.EXPIRED


def is_stale_sighting(spec: HostSpec, seen: Entry[LastSeen] | None, now: datetime) -> bool:
    """Say whether a refresh at this moment (UTC) is to be written: of an expiring host, now and then."""
    if spec.expires_after is None:
        return False
    return seen is None or now - seen.value.at > timedelta(seconds=spec.expires_after) / _QUARTER


def _judge(left: timedelta, span: timedelta) -> Expiry:
    if left <= timedelta():
        return Expiry.EXPIRED
    return Expiry.EXPIRING if left < span / _QUARTER else Expiry.FRESH


def _last_seen(state: State, host: str) -> datetime | None:
    """Return when the host was last seen; one that began to expire only now, when its address was changed."""
    seen = state.seen.get(host)
    return seen.value.at if seen else _newest_change(state, host)


def _newest_change(state: State, host: str) -> datetime | None:
    """Return when the newest of the addresses that the host has was committed."""
    entries = (state.addresses.get(RecordKey(host, family)) for family in Family)
    return max((entry.value.changed for entry in entries if entry and entry.value.ip), default=None)
