"""What has become of committed records that a request waits for.

Records that the nameserver itself refuses: when a client's repetition is another attempt.
"""

from datetime import datetime, timedelta
from typing import Any, NamedTuple

from ddnsd.model.addresses import Challenge
from ddnsd.model.prefix_updates import holding
from ddnsd.model.publication import Progress, is_refused_at, is_served_at, is_verified, wanted
from ddnsd.model.records import Committed, Entry, RecordKey
from ddnsd.model.state import State


def progress(state: State, record: RecordKey, revision: int, *, verify: bool) -> Progress:
    """Say how far what was committed at this revision is; anything newer of the same record counts for it.

    With `verify` a publication counts only once its zone is verified. A record that was withdrawn by its
    client, or the clock, is published when the nameserver has let it go; one that went with its host, or
    with what the host may have, is gone, and so is a prefix that a host does not follow any more.
    """
    host = state.hosts.get(record.name)
    if host is None or (record.type is not Challenge.TXT and record.type not in host.value.spec.families):
        return Progress.GONE
    committed, (_, newest) = state.addresses.get(record), holding(state, record)
    if not newest:  # a withdrawal, done and forgotten
        return Progress.PUBLISHED
    if committed is None or committed.revision < revision <= newest:
        return Progress.PENDING  # for a prefix that is to come to it
    if committed.revision >= revision:
        return _of_committed(state, committed.value, record, revision, verify=verify)
    # The prefix is with all that follow, and this host does not any more: it keeps what it has.
    kept = _of_committed(state, committed.value, record, committed.revision, verify=verify)
    return Progress.GONE if kept is Progress.PUBLISHED else kept


def _of_committed(
    state: State, committed: Committed, record: RecordKey, revision: int, *, verify: bool
) -> Progress:
    if committed.is_tombstone and not committed.cleared:
        return Progress.GONE
    want = wanted(state, record)
    if want is None:
        return Progress.PENDING
    if not is_served_at(state, want.placement, record, revision):
        is_refused = is_refused_at(state, want.placement, record, revision)
        return Progress.REFUSED if is_refused else Progress.PENDING
    return Progress.PENDING if verify and not is_verified(state, want.placement) else Progress.PUBLISHED


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
