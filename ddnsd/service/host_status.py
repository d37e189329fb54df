"""A host's `status`: what became of each of its records, told from the state."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from ddnsd.model.addresses import Challenge, Family
from ddnsd.model.expiry import Expiry, expiry
from ddnsd.model.publication import is_served
from ddnsd.model.records import Committed, Entry, RecordKey
from ddnsd.model.state import State


class RecordStatus(msgspec.Struct, frozen=True):
    """One address of a host. `published` is null until the nameserver has this very address."""

    ip: Annotated[str, Meta(description="the address that a client has sent")]
    previous: Annotated[str, Meta(description="the one before it, empty if there was none")]
    changed: Annotated[datetime, Meta(description="when it was sent first")]
    published: Annotated[datetime, Meta(description="when the nameserver took it; absent until then")] | None
    error: Annotated[str, Meta(description="why the nameserver refuses it, empty if it does not")]


class TextStatus(msgspec.Struct, frozen=True):
    """The TXT record of a host's ACME challenges, oldest value first; `published` as of an address."""

    values: tuple[str, ...]
    changed: datetime
    published: datetime | None
    error: str


class HostStatus(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """What became of each record of a host; written by ddnsd, ignored when applied.

    Of a host that expires also when it was last refreshed (to a quarter of its time), when its addresses are
    withdrawn, and whether that is near.
    """

    A: RecordStatus | None = None
    AAAA: RecordStatus | None = None
    TXT: TextStatus | None = None
    last_seen: datetime | None = None
    expires: datetime | None = None
    state: Expiry | None = None


def host_status(state: State, name: str, now: datetime) -> HostStatus:
    """Return the whole status of a host at this moment (UTC)."""
    lifetime = expiry(state, name, now)
    return HostStatus(
        **{family.value: status for family, status in address_statuses(state, name).items()},
        TXT=_text_status(state, name),
        last_seen=lifetime.last_seen if lifetime else None,
        expires=lifetime.expires if lifetime else None,
        state=lifetime.state if lifetime else None,
    )


def address_statuses(state: State, name: str) -> Mapping[Family, RecordStatus]:
    """Return the status of the host's committed addresses; it changes with the state alone."""
    statuses = {}
    for family in Family:
        record = RecordKey(name, family)
        if (committed := _present(state, record)) is not None:
            address = committed.value
            published, error = _publication(state, record, committed)
            statuses[family] = RecordStatus(address.ip, address.previous, address.changed, published, error)
    return statuses


def _text_status(state: State, name: str) -> TextStatus | None:
    record = RecordKey(name, Challenge.TXT)
    committed = _present(state, record)
    if committed is None:
        return None
    published, error = _publication(state, record, committed)
    return TextStatus(tuple(committed.value.ip.split()), committed.value.changed, published, error)


def _present(state: State, record: RecordKey) -> Entry[Committed] | None:
    committed = state.addresses.get(record)
    return committed if committed is not None and not committed.value.is_tombstone else None


def _publication(state: State, record: RecordKey, committed: Entry[Committed]) -> tuple[datetime | None, str]:
    """Return when the nameserver got this very value, if it has it, and why it refuses it, if it does."""
    entry = state.published.get(record)
    at = entry.value.at if entry and is_served(state, record, committed.revision) else None
    return at, entry.value.error.message if entry and entry.value.error else ""
