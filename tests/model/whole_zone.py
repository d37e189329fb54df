"""What a look at all records of a zone says, for comparison with what the product knows without one."""

from collections.abc import Iterator

from ddnsd.model.publication import Progress, Wanted, standing, wanted
from ddnsd.model.state import State


def contents(state: State, zone: str) -> Iterator[Wanted]:
    """Yield every RRset of the zone that shall be served.

    A nameserver that the zone is leaving serves on until the zone is complete at its new one.
    """
    for record in state.records_in(zone):
        want = wanted(state, record)
        if want is not None and want.ip:
            yield want


def is_settled(state: State, zone: str) -> bool:
    """Say whether nothing of the zone is pending where the zone lives now."""
    for record in state.records_in(zone):
        want = wanted(state, record)
        published = state.published.get(record)
        if want is not None and (
            standing(state, want, published.value if published else None) is Progress.PENDING
        ):
            return False
    return True
