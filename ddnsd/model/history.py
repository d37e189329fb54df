"""Who changed what: the newest entries of each host."""

from collections.abc import Iterator

import msgspec

from ddnsd.model.records import History, HistoryEntry

MOST_OF_A_HOST = 10

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(HistoryEntry).decode


def extended(history: History | None, *entries: HistoryEntry) -> History:
    """Return the history with newer entries; the oldest beyond what a host may have are dropped."""
    older = history.entries if history else ()
    newer = (msgspec.Raw(_encode(entry)) for entry in entries)
    return History((*older, *newer)[-MOST_OF_A_HOST:])


def entries(history: History) -> Iterator[HistoryEntry]:
    """Yield the entries, newest first."""
    return map(_decode, reversed(history.entries))
