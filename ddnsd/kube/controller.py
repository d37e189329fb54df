"""The controller: makes the store hold what the custom resources say.

Level-triggered: each pass compares all objects with all that is stored; an event only says that a pass is
due. So whatever was missed, or failed, is made good by the next one.
"""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple

import structlog

from ddnsd.aio import Trigger, background
from ddnsd.kube.gc import GarbageCollector
from ddnsd.kube.objects import Custom, Ref
from ddnsd.kube.status import ConditionValue, ObjectStatus
from ddnsd.kube.status_writer import StatusQueue
from ddnsd.kube.translate import is_error, status_of
from ddnsd.kube.validation import ACCEPTED, InvalidObject, RejectionReason, SecretReader, Validator
from ddnsd.kube.views import Views, stored_as
from ddnsd.model.records import RecordKey, Resource
from ddnsd.model.resources import Kind, Origin, Spec
from ddnsd.service.documents import Document, InvalidDocumentError
from ddnsd.service.registry import RefusedError, StoreFailedError
from ddnsd.service.registry.sourced import (
    SourcedChange,
    SourcedHold,
    SourcedOutcome,
    SourcedRegistry,
)
from ddnsd.store import keys
from ddnsd.store.interface import UnavailableError
from ddnsd.store.watch_cache import Touched, WatchCache
from ddnsd.telemetry.metrics import KubeMetrics

_log = structlog.get_logger(__name__)

_RETRY_SECONDS = 1.0
_REPEAT_SECONDS = 30.0  # then a pass without a reason, in case that one was missed
_REST_SECONDS = 0.1  # between two passes: what comes together is done together
_RESOURCES = frozenset(kind.plural for kind in Kind) | {keys.SOURCES}
_RECORDS = (keys.ADDRESSES, keys.PUBLISHED)
_STAGES = ((Kind.ZONE, Kind.ACCOUNT), (Kind.HOST, Kind.TOKEN))  # what is referred to comes first


class _Reported(NamedTuple):
    """What was found of an object's acceptance, and of which generation; and the warnings beside it."""

    generation: int
    finding: ConditionValue
    warnings: tuple[ConditionValue, ...]


class Controller:
    """Controls one source, while it may. Run `run()` as a task of its own."""

    def __init__(
        self,
        source: str,
        views: Views,
        cache: WatchCache,
        registry: SourcedRegistry,
        validator: Validator,
        gc: GarbageCollector,
        secrets: SecretReader,
        metrics: KubeMetrics,
    ) -> None:
        self._source = source
        self._views = views
        self._cache = cache
        self._registry = registry
        self._validator = validator
        self._gc = gc
        self._secrets = secrets
        self.statuses = StatusQueue()
        self._metrics = metrics
        self._reported: dict[Ref, _Reported] = {}
        # what statuses were last composed of
        self._composed: dict[Ref, tuple[Custom, _Reported | None]] = {}
        self._trigger = Trigger()
        self._has_reason = False  # for the next pass

    def due(self) -> None:
        """Make a pass soon."""
        self._has_reason = True
        self._trigger.due()

    async def run(self) -> None:
        """Make a pass whenever one is due.

        Raises:
            NotMineError: the source is controlled by somebody else.
        """
        await self._views.known()
        unsubscribe = self._cache.subscribe(self._on_change, (*_RESOURCES, *_RECORDS))
        self.due()
        try:
            await self._trigger.run(
                self._pass_and_rest,
                every=_REPEAT_SECONDS,
                retry_on=(StoreFailedError, UnavailableError),
                retry_after=_RETRY_SECONDS,
                failed=self._note_failure,
            )
        finally:
            unsubscribe()

    def compose(self, ref: Ref) -> tuple[Custom, ObjectStatus] | None:
        """Return an object and its status as of now; None if nothing is known, or the object has it."""
        custom, reported = self._views.get(ref), self._reported.get(ref)
        if custom is None or reported is None or reported.generation != custom.generation:
            return None
        status = status_of(
            custom, reported.finding, reported.warnings, self._cache.state, self._source, datetime.now(UTC)
        )
        return None if status == custom.status else (custom, status)

    async def _pass_and_rest(self) -> None:
        if not self._has_reason:
            self._composed.clear()
            _log.debug("kube.pass_repeated")
        self._has_reason = False
        loop = asyncio.get_running_loop()
        began = loop.time()
        await self._pass()
        self._metrics.passed(loop.time() - began)
        await asyncio.sleep(_REST_SECONDS)

    def _note_failure(self, error: Exception) -> None:
        self._has_reason = True
        self._metrics.failed()
        _log.warning("kube.pass_failed", reason=str(error))

    def _on_change(self, touched: Sequence[Touched]) -> None:
        """Note what the store's change asks for."""
        for shelf, id in touched:
            if shelf in _RESOURCES:
                self.due()
            elif shelf in _RECORDS and isinstance(id, RecordKey) and (ref := self._host(id.name)):
                self.statuses.put(ref)

    def _host(self, name: str) -> Ref | None:
        """Return the object of a host that is this source's."""
        entry = self._cache.state.hosts.get(name)
        stored = stored_as(Kind.HOST, name, entry.value, self._source) if entry else None
        return stored.ref if stored else None

    async def _pass(self) -> None:
        await self._cache.current()
        await self._views.refresh()
        await self._gc.remove(self._views)
        for kinds in _STAGES:
            await self._cache.current()
            await self._settle([custom for kind in kinds for custom in self._views.of_kind(kind)])
        await self._report()
        await self._forget()

    async def _settle(self, customs: Sequence[Custom]) -> None:
        """Make the store hold what these objects say."""
        slice = background()
        wanted: list[tuple[Custom, Document | InvalidObject]] = []
        changes: list[SourcedChange] = []
        zones = None
        if self._views.knows(Kind.ZONE):
            zones = {zone.ref.name: zone for zone in self._views.of_kind(Kind.ZONE)}
        for custom in customs:
            validated = self._validator.validate(custom, self._cache.state, zones, self._secrets.digest_of)
            if change := self._change(custom, validated):
                wanted.append((custom, validated))
                changes.append(change)
            elif not (custom.status.conditions and _is_pending(validated)):
                self._note_finding(custom, _finding(validated))
            await slice.pause()
        if changes:
            outcomes = await self._registry.change(changes)
            for (custom, validated), outcome in zip(wanted, outcomes, strict=True):
                self._note_finding(custom, _finding(validated, outcome))

    def _change(self, custom: Custom, validated: Document | InvalidObject) -> SourcedChange | None:
        """Return what has to be changed in the store, if anything."""
        if isinstance(validated, Document):
            wanted = Resource(validated.spec, origin=validated.origin)
            is_there = self._stored(validated.kind, validated.name) == wanted
            return None if is_there else validated
        if validated.document is not None:
            return self._change(custom, validated.document)
        stored = self._stored(custom.ref.kind, validated.hold) if validated.hold else None
        if stored is None or stored.held or stored.origin != Origin(self._source, custom.ref.namespace):
            return None
        return SourcedHold(custom.ref.kind, validated.hold)

    def _stored(self, kind: Kind, name: str) -> Resource[Spec] | None:
        entry = self._cache.state.resources(kind).get(name)
        return entry.value if entry else None

    def _note_finding(self, custom: Custom, finding: ConditionValue) -> None:
        warnings = self._secrets.digest_of(custom).warnings
        self._reported[custom.ref] = _Reported(custom.generation, finding, warnings)

    async def _report(self) -> None:
        """Have every status written that is another than the object's; errors first.

        A host's addresses are written as they change in the store; here it is the objects, and the findings.
        """
        slice = background()
        for kind in Kind:
            customs = [*self._views.of_kind(kind)]
            accepted = 0
            for custom in customs:
                reported = self._reported.get(custom.ref)
                accepted += reported is not None and reported.finding.holds
                composed = self._composed.get(custom.ref)
                if composed is None or composed[0] is not custom or composed[1] != reported:
                    self._composed[custom.ref] = (custom, reported)
                    if status := self.compose(custom.ref):
                        self.statuses.put(custom.ref, urgent=is_error(status[1]))
                await slice.pause()
            self._metrics.objects(kind.plural, accepted, len(customs) - accepted)

    async def _forget(self) -> None:
        """Forget what was found of objects that are gone."""
        slice = background()
        for ref in [*self._reported]:
            if self._views.get(ref) is None:
                del self._reported[ref]
                self._composed.pop(ref, None)
                self._validator.forget(ref)
            await slice.pause()


def _is_pending(validated: Document | InvalidObject) -> bool:
    """Say whether an accepted Token only waits for the first look at its Secret since this controller began.

    What its status says holds until then.
    """
    return (
        isinstance(validated, InvalidObject)
        and validated.document is not None
        and validated.reason is RejectionReason.PENDING
    )


def _finding(validated: Document | InvalidObject, outcome: SourcedOutcome | None = None) -> ConditionValue:
    """Return what there is to say of an object's acceptance: why its change was refused comes first."""
    if isinstance(outcome, (RefusedError, InvalidDocumentError)):
        return InvalidObject(outcome.reason, str(outcome)).finding
    return validated.finding if isinstance(validated, InvalidObject) else ACCEPTED
