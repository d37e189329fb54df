"""How far the zones are: what any node can tell from the state alone, whoever leads."""

from collections import defaultdict
from collections.abc import Mapping
from datetime import datetime
from typing import NamedTuple

from ddnsd.aio import Slice
from ddnsd.model.publication import Standing, standing, wanted
from ddnsd.model.records import RecordKey
from ddnsd.model.state import State


class ZoneProgress(NamedTuple):
    """Records of a zone: how many wait, how many the nameserver refuses, when one was last published, and
    when the one was committed that waits for the longest time."""

    pending: int = 0
    refused: int = 0
    last_push: datetime | None = None
    waiting_since: datetime | None = None


async def zone_progress(state: State) -> Mapping[str, ZoneProgress]:
    """Count the records of each zone, without holding the event loop for long.

    What changes meanwhile is counted as it was before or after.
    """
    zones: defaultdict[str, ZoneProgress] = defaultdict(ZoneProgress)
    async for record in Slice().each(list(state.addresses)):
        want = wanted(state, record)
        if want is None:
            continue
        entry = state.published.get(record)
        published = entry.value if entry else None
        found, so_far = standing(state, want, published), zones[want.site.zone]
        zones[want.site.zone] = ZoneProgress(
            so_far.pending + (found is Standing.PENDING),
            so_far.refused + (found is Standing.REFUSED),
            _later(so_far.last_push, published.at if published else None),
            so_far.waiting_since if found is not Standing.PENDING else _earlier(so_far, state, record),
        )
    return zones


def _later(one: datetime | None, other: datetime | None) -> datetime | None:
    return max(one, other) if one and other else one or other


def _earlier(so_far: ZoneProgress, state: State, record: RecordKey) -> datetime | None:
    entry = state.addresses.get(record)
    times = (so_far.waiting_since, entry.value.changed if entry else None)
    return min(filter(None, times), default=None)
