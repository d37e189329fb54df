"""How long nothing could be published at a placement, as this node has seen it.

By this node's own clock: no other's stands in between, and a node that has just started waits once more.
"""

import time
from collections.abc import Callable, Iterable, Sequence

from ddnsd.model.records import RecordKey, Site
from ddnsd.store import keys
from ddnsd.store.snapshot import Touched, WatchCache


class Placements:
    """Knows which zones are in trouble where they live."""

    def __init__(self, cache: WatchCache, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` in seconds."""
        self._cache = cache
        self._clock = clock
        self._since: dict[Site, float] = {}
        for site in cache.state.footprints:
            self._look_at(site)
        cache.subscribe(self._look)

    def in_trouble(self, records: Iterable[RecordKey], seconds: float) -> bool:
        """Say whether the zone of any of these records has been in trouble for longer than that."""
        if not self._since:  # as nearly always
            return False
        state, latest = self._cache.state, self._clock() - seconds
        for name in {state.zone_of(record.name) for record in records}:
            zone = state.zones.get(name) if name else None
            if name and zone and self._since.get(Site(name, zone.value.spec.nameserver), latest) < latest:
                return True
        return False

    def _look(self, touched: Sequence[Touched]) -> None:
        if not self._cache.identity:  # another history: all that is in it is touched again
            self._since.clear()
        for place in touched:
            if place.shelf == keys.FOOTPRINTS and isinstance(place.id, Site):
                self._look_at(place.id)

    def _look_at(self, site: Site) -> None:
        footprint = self._cache.state.footprints.get(site)
        if footprint is not None and footprint.value.error:
            self._since.setdefault(site, self._clock())
        else:
            self._since.pop(site, None)
