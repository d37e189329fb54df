"""What is wanted, in the words of the nameserver's interface."""

from collections.abc import Iterator

from ddnsd.model.owners import owner, wildcard_owner
from ddnsd.model.plan import Push
from ddnsd.model.publication import Wanted
from ddnsd.model.records import RecordKey
from ddnsd.nameserver.interface import RecordType, Replace, RRset

_TYPES = {type.value: type for type in RecordType}


def record_type(record: RecordKey) -> RecordType:
    """Return the type of a record's RRset."""
    return _TYPES[record.type]


def rrsets(want: Wanted) -> Iterator[RRset]:
    """Yield what shall be served, at each of the owner names; `want` must not be a removal."""
    for name in want.owners:
        yield RRset(name, record_type(want.record), want.ttl, want.values)


def replacements(push: Push) -> Iterator[Replace]:
    """Yield the changes that make what is served what is wanted, or remove it."""
    want, type = push.want, record_type(push.record)
    for name in want.owners:
        yield Replace(name, type, want.ttl, want.values)
    if push.starred and not want.wildcard:
        yield Replace(wildcard_owner(push.record), type, 0, ())


def removals(record: RecordKey, *, starred: bool) -> Iterator[Replace]:
    """Yield the changes that remove what is served for the record, `starred` at `*.<host>` too."""
    yield Replace(owner(record), record_type(record), 0, ())
    if starred:
        yield Replace(wildcard_owner(record), record_type(record), 0, ())
