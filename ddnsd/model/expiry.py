"""Hosts that expire: when each was last refreshed, and what the clock makes of it."""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from .addresses import Challenge, Family
from .moves import covers
from .records import Entry, LastSeen, RecordKey
from .resources import HostSpec
from .state import State

_CHALLENGE = timedelta(hours=24)  # how long a challenge stays: no authority takes as long to look
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
    """Say whether the host has addresses that are to be withdrawn at this moment (UTC).

    A prefix that it has yet to follow is a refresh that is not written yet. What is held stays as it is.
    """
    if stage(state, host, now) is not Expiry.EXPIRED:
        return False
    return not is_held(state, host) and not _is_to_move(state, host)


def is_held(state: State, host: str) -> bool:
    """Say whether the host cannot be refreshed, as it, its account or its zone is held."""
    entry = state.hosts.get(host)
    if entry is None:
        return False
    account, zone = state.accounts.get(entry.value.spec.account), state.zones.get(state.zone_of(host) or "")
    return any(each is not None and each.value.held for each in (entry, account, zone))


def stage(state: State, host: str, now: datetime) -> Expiry | None:
    """Return how far a host's addresses are at this moment (UTC); None if it has none that expire."""
    lifetime = expiry(state, host, now)
    return lifetime.state if lifetime and _newest_change(state, host) else None


def challenge_over(state: State, host: str, now: datetime) -> bool:
    """Say whether the host has challenges that are to be withdrawn at this moment (UTC)."""
    committed = state.addresses.get(RecordKey(host, Challenge.TXT))
    return committed is not None and bool(committed.value.ip) and now - committed.value.changed >= _CHALLENGE


def is_stale_sighting(spec: HostSpec, seen: Entry[LastSeen] | None, now: datetime) -> bool:
    """Say whether a refresh at this moment (UTC) is to be written: of an expiring host, now and then."""
    if spec.expires_after is None:
        return False
    return seen is None or now - seen.value.at > timedelta(seconds=spec.expires_after) / _QUARTER


def _is_to_move(state: State, host: str) -> bool:
    entry = state.hosts.get(host)
    if entry is None:
        return False
    spec = entry.value.spec
    return any(covers(move.value, host, spec) for move in state.prefixes.of(spec.account))


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
