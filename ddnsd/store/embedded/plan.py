"""What a commit would do to the map: pure."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import compress
from typing import NamedTuple

from ddnsd.store.interface import CLOCK, Done, Event, KeyValue, Outcome, Revision, Stale, Update

Items = Mapping[str, KeyValue]


class Plan(NamedTuple):
    """The outcomes in the order of the updates, and the revision to make, if anything changes."""

    outcomes: Sequence[Outcome]
    change: Revision | None


def plan(items: Items, updates: Sequence[Update]) -> Plan:
    """Decide each update against the same items and gather what those that hold would write.

    Updates that change nothing (stale, without writes, or deleting what is absent) make no revision:
    if there are only such, they are answered at the present one.
    """
    now = items[CLOCK].revision
    hold = [_holds(items, update) for update in updates]
    events = [
        event for update in compress(updates, hold) for event in _events(items, update, revision=now + 1)
    ]
    change = None
    if events:
        change = Revision(now + 1, (*events, _put(items, CLOCK, b"", now + 1)))
    done = Done(now if change is None else change.revision)
    outcomes = [
        done if holds else _stale(items, update, now) for holds, update in zip(hold, updates, strict=True)
    ]
    return Plan(outcomes, change)


def _holds(items: Items, update: Update) -> bool:
    for key, revision in update.expects.items():
        item = items.get(key)
        if (0 if item is None else item.revision) != revision:
            return False
    return True


def _events(items: Items, update: Update, revision: int) -> Iterator[Event]:
    for key, value in update.puts.items():
        yield _put(items, key, value, revision)
    for key in update.deletes:
        if key in items:
            yield Event(key, None)


def _put(items: Items, key: str, value: bytes, revision: int) -> Event:
    before = items.get(key)
    return Event(key, KeyValue(value, revision, revision if before is None else before.created))


def _stale(items: Items, update: Update, now: int) -> Stale:
    return Stale(now, {key: items.get(key) for key in update.expects})
