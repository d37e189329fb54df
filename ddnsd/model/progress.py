"""What has become of committed records that a request waits for."""

from enum import Enum, auto

from .addresses import Challenge, RRType
from .moves import holding
from .publication import is_refused, is_served, is_verified, wanted
from .records import RecordKey
from .resources import HostSpec
from .state import State


class Progress(Enum):
    """How far a committed record is."""

    WAITING = auto()
    PUBLISHED = auto()
    REFUSED = auto()
    GONE = auto()


def progress(state: State, record: RecordKey, revision: int, *, verify: bool) -> Progress:
    """Say how far what was committed at this revision is; anything newer of the same record counts for it.

    With `verify` a publication counts only once its zone is verified. A record that was withdrawn by its
    client, or the clock, is published when the nameserver has let it go; one that went with its host, or
    with what the host may have, is gone.
    """
    host = state.hosts.get(record.name)
    if host is None or not _can_have(host.value.spec, record.type):
        return Progress.GONE
    committed = state.addresses.get(record)
    if committed is None:  # the first address of all, out of a prefix; or a withdrawal, done and forgotten
        return Progress.WAITING if holding(state, record) else Progress.PUBLISHED
    if committed.value.is_tombstone and not committed.value.cleared:
        return Progress.GONE
    if not is_served(state, record, revision):
        return Progress.REFUSED if is_refused(state, record, revision) else Progress.WAITING
    want = wanted(state, record)
    if verify and (want is None or not is_verified(state, want.site)):
        return Progress.WAITING
    return Progress.PUBLISHED


def _can_have(host: HostSpec, type: RRType) -> bool:
    return type is Challenge.TXT or type in host.families
