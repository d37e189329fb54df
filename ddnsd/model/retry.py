"""Records that the nameserver itself refuses: when a client's repetition is another attempt."""

from datetime import datetime, timedelta
from typing import Any, NamedTuple

from ddnsd.model.records import Entry, RecordKey
from ddnsd.model.state import State

FIRST_PAUSE, LONGEST_PAUSE = timedelta(seconds=5), timedelta(seconds=300)


class Retry(NamedTuple):
    """The next attempt at what is refused: from `due` on, the one of this number in a row.

    `due` is None where something has changed that may be the reason: at once, and the pauses begin again.
    """

    refused: datetime
    due: datetime | None
    times: int

    def is_early(self, now: datetime) -> bool:
        """Say whether the answer is still the refusal; a clock behind the refusal's says nothing."""
        return self.due is not None and self.refused <= now < self.due


def pause_after(times: int) -> timedelta:
    """Return how long a refusal is the answer, of what was committed so many times again."""
    return min(FIRST_PAUSE * (1 << min(times, 10)), LONGEST_PAUSE)


def retry_of(state: State, record: RecordKey, host: Entry[Any], zone: Entry[Any]) -> Retry:
    """Return the next attempt at a record whose committed value the nameserver has refused.

    Another value is another commit, and a reconcile tries by itself: both end the pauses, too.
    """
    published, committed = state.published[record], state.addresses.get(record)
    assert published.value.error is not None
    refused = published.value.error.at
    if max(host.revision, zone.revision) > published.revision:
        return Retry(refused, None, 0)
    times = committed.value.again if committed else 0
    return Retry(refused, refused + pause_after(times), times + 1)
