"""What `ddnsd status` and `GET /api/v1/status` show."""

from collections import Counter
from collections.abc import Collection, Mapping
from typing import Any

from ddnsd import __version__
from ddnsd.leader.term import Candidate
from ddnsd.model.publication import is_verified
from ddnsd.model.records import Entry, Footprint, Site
from ddnsd.store.snapshot import WatchCache


class StatusReport:
    """Reads the node's parts; changes nothing."""

    def __init__(self, cache: WatchCache, candidate: Candidate, nameservers: Collection[str]) -> None:
        """`nameservers` are the names in config.yaml."""
        self._nameservers = nameservers
        self._cache = cache
        self._candidate = candidate

    def status(self) -> Mapping[str, Any]:
        """Return the installation's and this node's state, ready for JSON."""
        state, publisher = self._cache.state, self._candidate.publisher
        refused = Counter(
            state.zone_of(record.name) for record, entry in state.published.items() if entry.value.error
        )
        return {
            "version": __version__,
            "installation": next((entry.value.id for entry in state.installation.values()), None),
            "revision": self._cache.revision,
            "leader": publisher is not None,
            "epoch": publisher.epoch if publisher else None,
            "zones": [{**self._zone(zone), "refused": refused[zone]} for zone in sorted(state.zones)],
            "counts": {
                "accounts": len(state.accounts),
                "zones": len(state.zones),
                "hosts": len(state.hosts),
                "tokens": len(state.tokens),
            },
        }

    def _zone(self, zone: str) -> Mapping[str, Any]:
        nameserver = self._cache.state.zones[zone].value.spec.nameserver
        footprint = self._cache.state.footprints.get(Site(zone, nameserver))
        publisher = self._candidate.publisher
        return {
            "zone": zone,
            "nameserver": nameserver,
            "verified": is_verified(self._cache.state, Site(zone, nameserver)),
            "fenceHeldBy": footprint.value.holder if footprint else "",
            "error": self._error(nameserver, footprint),
            "pending": publisher.backlog(Site(zone, nameserver)) if publisher else None,
        }

    def _error(self, nameserver: str, footprint: Entry[Footprint] | None) -> str:
        if nameserver not in self._nameservers:
            return f"nameserver {nameserver!r} is not under `nameservers` in config.yaml"
        return footprint.value.error if footprint else ""
