"""What is wanted, in the words of the nameserver's interface."""

from ddnsd.model.publication import Wanted
from ddnsd.model.records import RecordKey
from ddnsd.nameserver.interface import RecordType, Replace, RRset

_TYPES = {type.value: type for type in RecordType}


def record_type(record: RecordKey) -> RecordType:
    """Return the type of a record's RRset."""
    return _TYPES[record.type]


def rrset(want: Wanted) -> RRset:
    """Return the RRset as it shall be served; `want` must not be a removal."""
    return RRset(want.record.name, record_type(want.record), want.ttl, want.values)


def replacement(want: Wanted) -> Replace:
    """Return the change that makes the RRset what is wanted, or removes it."""
    return Replace(want.record.name, record_type(want.record), want.ttl, want.values)


def removal(record: RecordKey) -> Replace:
    """Return the change that removes the record's RRset."""
    return Replace(record.name, record_type(record), 0, ())
