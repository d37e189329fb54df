"""What is wanted, in the words of the nameserver's interface."""

from collections.abc import Iterable, Iterator

from ddnsd.model.publication import Push, Wanted
from ddnsd.model.records import RecordKey
from ddnsd.nameserver.interface import Absent, RecordType, Replace, RRset

_TYPES = {type.value: type for type in RecordType}


def record_type(record: RecordKey) -> RecordType:
    """Return the type of a record's RRset."""
    return _TYPES[record.type]


def rrsets(want: Wanted, names: Iterable[str]) -> Iterator[RRset]:
    """Yield what shall be served at these of the owner names; `want` must not be a removal."""
    for name in names:
        yield RRset(name, record_type(want.record), want.ttl, want.values)


def replacements(push: Push) -> Iterator[Replace]:
    """Yield the changes that make what is served what is wanted, or remove it."""
    want, type = push.want, record_type(push.record)
    for name in want.owners if want.ip else ():
        yield Replace(name, type, want.ttl, want.values)
    yield from removals(push.record, push.drops)


def removals(record: RecordKey, names: Iterable[str]) -> Iterator[Replace]:
    """Yield the changes that remove the record's RRset at these names."""
    for name in sorted(names):
        yield Replace(name, record_type(record), 0, ())


def absences(push: Push) -> Iterator[Absent]:
    """Yield the prerequisites that nothing stands where the push takes a name."""
    for name in sorted(push.absent):
        yield Absent(name, record_type(push.record))


def wards(push: Push) -> Iterator[Absent]:
    """Yield the prerequisites that nobody else has the name of the push's host."""
    for name, type in push.wards:
        yield Absent(name, _TYPES[type])
