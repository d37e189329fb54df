"""A host's `status`: what became of each address, told from the state."""

from datetime import datetime

import msgspec

from ..model.addresses import Family
from ..model.publication import is_served
from ..model.records import Committed, Entry, RecordKey
from ..model.state import State


class RecordStatus(msgspec.Struct, frozen=True):
    """One address of a host. `published` is null until the nameserver has this very address."""

    ip: str
    previous: str
    changed: datetime
    published: datetime | None
    error: str


HostStatus = dict[Family, RecordStatus]


def host_status(state: State, name: str) -> HostStatus:
    """Return the status of the host's committed addresses, by family."""
    status: HostStatus = {}
    for family in Family:
        record = RecordKey(name, family)
        committed = state.addresses.get(record)
        if committed is not None and not committed.value.is_tombstone:
            status[family] = _record_status(state, record, committed)
    return status


def _record_status(state: State, record: RecordKey, committed: Entry[Committed]) -> RecordStatus:
    entry = state.published.get(record)
    at = entry.value.at if entry and is_served(state, record, committed.revision) else None
    error = entry.value.error.message if entry and entry.value.error else ""
    address = committed.value
    return RecordStatus(address.ip, address.previous, address.changed, at, error)
