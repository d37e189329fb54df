"""Takes out of the store what has no object any more, and holds back what looks like an accident."""

import hashlib
from collections.abc import Collection, Iterable, Mapping
from datetime import UTC, datetime

import structlog

from ddnsd.aio import background
from ddnsd.kube.views import SeenObjects, StoredObject, Views, gone, stored_as
from ddnsd.model.records import HeldDeletions, Source
from ddnsd.model.resources import Kind
from ddnsd.service.registry import NotMineError
from ddnsd.service.registry.sourced import SourcedDelete, SourcedRegistry, Withdrawn
from ddnsd.store.watch_cache import WatchCache
from ddnsd.telemetry.metrics import KubeMetrics

_log = structlog.get_logger(__name__)

_NAMED = 20  # of the held deletions
_REASON = "their objects are missing, and nobody was seen to delete them"
_UNWATCHED = "kube.watch_namespaces leaves their objects out"


class GarbageCollector:
    """The deletions of one source."""

    def __init__(
        self,
        source: str,
        namespaces: Collection[str],
        cache: WatchCache,
        registry: SourcedRegistry,
        metrics: KubeMetrics,
    ) -> None:
        """`namespaces` are watched; none: all."""
        self._source = source
        self._watched = tuple(sorted(namespaces))
        self._cache = cache
        self._registry = registry
        self._metrics = metrics

    async def remove(self, views: Views) -> None:
        """Delete what is to go, and report what is held.

        What was held once is so until it is back, or an operator allows the deletion; until then nothing
        else that is merely absent goes either. The same goes for what is absent when a kind comes back that
        was not served, as that may be with a part of its objects, whatever was restarted meanwhile.

        Raises:
            NotMineError, StoreFailedError: as of `SourcedRegistry`.
        """
        entry = self._cache.state.sources.get(self._source)
        if entry is None:
            raise NotMineError(f"source {self._source} has been released")
        record = entry.value
        # ZoneObjects lie in no namespace: where some are watched, no Zone is seen any more.
        sights = {**views.sights(), **({Kind.ZONE: SeenObjects(0)} if self._watched else {})}
        missing, total = await self._missing(views, sights)
        suspicious = record.watched != self._watched or record.held is not None
        going, held = gone(missing, sights, total, suspicious=suspicious)
        if held and record.pruned == _id(held):
            going, held = [*going, *held], []
        if going:
            outcomes = await self._registry.change([SourcedDelete(one.ref.kind, one.name) for one in going])
            if deleted := outcomes.count(Withdrawn.DELETED):
                _log.info("kube.removed", resources=deleted)
        self._metrics.held(len(held))
        watched = record.watched if held else self._watched
        await self._registry.report(watched if views.are_complete else None, self._describe(held, record))
        views.settle({one.ref for resources in missing.values() for one in resources})

    async def _missing(
        self, views: Views, kinds: Iterable[Kind]
    ) -> tuple[Mapping[Kind, Collection[StoredObject]], int]:
        """Return what is stored of these kinds without an object, and how much is stored of them in all."""
        slice = background()
        missing: dict[Kind, list[StoredObject]] = {kind: [] for kind in kinds}
        total = 0
        for kind in missing:
            for name, entry in [*self._cache.state.resources(kind).items()]:
                stored = stored_as(kind, name, entry.value, self._source)
                if stored is not None:
                    total += 1
                    if views.get(stored.ref) is None:
                        missing[kind].append(stored)
                await slice.pause()
        return missing, total

    def _describe(self, held: Collection[StoredObject], record: Source) -> HeldDeletions | None:
        if not held:
            return None
        id = _id(held)
        if record.held is not None and record.held.id == id:
            return record.held
        remedy = f"`ddnsd source prune {self._source}` deletes them"
        reason = _UNWATCHED if any(map(self._is_unwatched, held)) else _REASON
        _log.error("kube.deletions_held", resources=len(held), reason=reason, remedy=remedy)
        names = tuple(sorted(str(one.ref) for one in held)[:_NAMED])
        return HeldDeletions(id, len(held), names, datetime.now(UTC), reason)

    def _is_unwatched(self, stored: StoredObject) -> bool:
        return bool(self._watched) and stored.ref.namespace not in self._watched


def _id(held: Collection[StoredObject]) -> str:
    """Return the id of exactly these deletions: an operator allows no others."""
    return hashlib.sha256("\n".join(sorted(str(one.ref) for one in held)).encode()).hexdigest()[:16]
