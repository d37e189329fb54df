"""Work that any node asks of the leader through the store: check, repair, takeover, forget of a zone.

The leader's work: a publisher for each placement, and whatever else any node asked for in the store.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from itertools import chain

import msgspec
import structlog

from ddnsd.aio import cancel
from ddnsd.leader.backoff import UnpublishedError
from ddnsd.leader.context import (
    DeposedError,
    ForeignFenceError,
    LeaderContext,
    LeaderPolicy,
    NameserverGates,
)
from ddnsd.leader.housekeeping import AuditRetention, Compactor, Expirer, HistoryRetention, Sweeper
from ddnsd.leader.prefix_updates import PrefixUpdates
from ddnsd.leader.zone import ZonePublisher, forgotten
from ddnsd.model.addresses import RRTYPES
from ddnsd.model.publication import is_removed
from ddnsd.model.records import Placement, RecordKey, Work, WorkRequest
from ddnsd.model.resources import Kind
from ddnsd.nameserver.interface import Nameserver, NameserverError
from ddnsd.store import keys
from ddnsd.store.interface import UnavailableError
from ddnsd.store.tables import Transaction
from ddnsd.store.watch_cache import Touched

_log = structlog.get_logger(__name__)

_BOUND_SECONDS = 30.0  # for one request; a transfer of a big zone takes seconds
_KEPT_SECONDS = 600.0  # how long an answer stays readable
_FINDINGS = 1000  # lines kept of one answer


class _NothingToDoError(Exception):
    """There is nothing that the work could be done on; the message says why."""


class RequestedWork:
    """Takes each request once, answers it in the store, and clears old answers away."""

    def __init__(
        self, publishers: Mapping[Placement, ZonePublisher], are_all: asyncio.Event, context: LeaderContext
    ) -> None:
        """`are_all` is set while no publisher is still to come."""
        self._publishers = publishers
        self._are_all = are_all
        self._context = context
        self._due = asyncio.Event()
        self._due.set()

    def due(self) -> None:
        """Look at the requests now."""
        self._due.set()

    async def run(self) -> None:
        """Answer requests as they come. Never returns; requests are answered side by side."""
        taken: set[str] = set()
        async with asyncio.TaskGroup() as group:
            while True:
                for id, entry in list(self._context.state.requests.items()):
                    if id not in taken:
                        taken.add(id)
                        group.create_task(self._handle(id, entry.value), name=f"work {entry.value.work}")
                taken.intersection_update(self._context.state.requests)
                await self._due.wait()
                self._due.clear()

    async def _handle(self, id: str, request: WorkRequest) -> None:
        """Answer one request, keep the answer for a while, then delete it."""
        key = keys.request(id)
        try:
            if request.finished is None:
                answer = msgspec.structs.replace(await self._answer(request), finished=datetime.now(UTC))
                await self._context.commit(Transaction().put(key, answer))
            await asyncio.sleep(_KEPT_SECONDS)
            await self._context.commit(Transaction().delete(key))
        except UnavailableError as error:
            _log.warning("work.not_stored", work=request.work, zone=request.zone, reason=str(error))

    async def _answer(self, request: WorkRequest) -> WorkRequest:
        try:
            async with asyncio.timeout(_BOUND_SECONDS):
                findings = await self._do(request)
        except TimeoutError:
            reason = f"not done within {_BOUND_SECONDS:g} s: does the nameserver answer?"
        except ForeignFenceError as error:
            remedy = f"`ddnsd zone takeover {request.zone}` takes it"
            reason = f"nothing is published, the fence is held by {error.holder!r}; {remedy}"
        except UnpublishedError as error:
            reason = f"{request.zone} is not published: {error}"
        except (NameserverError, UnavailableError, _NothingToDoError) as error:
            reason = str(error)
        else:
            _log.info("work.done", work=request.work, zone=request.zone, findings=len(findings))
            return msgspec.structs.replace(request, findings=tuple(findings[:_FINDINGS]))
        return msgspec.structs.replace(request, failure=reason)

    async def _do(self, request: WorkRequest) -> Sequence[str]:
        await self._are_all.wait()
        if request.work is Work.FORGET:
            return [await self._forget(placement) for placement in self._left_placements(request.zone)]
        publishers = self._publishers_for(request)
        if not publishers:
            raise _NothingToDoError(f"{request.zone} is no zone that this leader publishes")
        return list(
            chain.from_iterable(
                [await publisher.work(request.work, adopt=request.adopt) for publisher in publishers]
            )
        )

    def _left_placements(self, zone: str) -> Sequence[Placement]:
        """Return where something of the zone is still to be removed, and cannot be.

        Raises:
            _NothingToDoError: there is no such placement.
        """
        state = self._context.state
        left = [placement for placement in state.placements.of(zone) if state.is_retired(placement)]
        stuck = [
            placement
            for placement in left
            if placement not in self._publishers or state.placements[placement].value.error
        ]
        if left and not stuck:
            raise _NothingToDoError(f"{zone} is just being removed from {left[0].nameserver}: wait for that")
        if not stuck:
            home = state.zones.get(zone)
            where = f" but at {home.value.spec.nameserver}, where it lives: delete or move it" if home else ""
            raise _NothingToDoError(f"nothing is left of {zone} anywhere{where}")
        return stuck

    async def _forget(self, placement: Placement) -> str:
        publisher = self._publishers.get(placement)
        if publisher is not None:
            return "".join(await publisher.work(Work.FORGET))
        await self._context.note(placement, None)  # its nameserver is not in config.yaml any more
        return forgotten(placement)

    def _publishers_for(self, request: WorkRequest) -> Sequence[ZonePublisher]:
        """Return the publisher of the zone's home; for a takeover also those that cannot leave theirs."""
        state = self._context.state
        publishers = [
            publisher for placement, publisher in self._publishers.items() if placement.zone == request.zone
        ]
        home = [publisher for publisher in publishers if not state.is_retired(publisher.placement)]
        if request.work is not Work.TAKEOVER:
            return home
        return home + [publisher for publisher in publishers if publisher not in home and publisher.is_paused]


_STARTED_AT_ONCE = 20  # started in one turn of the event loop: some 2 ms
_SHOWN_AT_ONCE = 100  # records: less than 1 ms
_FALLEN_SECONDS = 5.0  # before a publisher that fell starts again


class Publisher:
    """Publishes all zones for as long as this node leads. A publisher that fails as it never should falls
    alone, and starts again: what is wrong with one zone delays no other."""

    def __init__(
        self,
        nameservers: Mapping[str, Nameserver],
        context: LeaderContext,
        compactor: Compactor,
        audit: AuditRetention,
    ) -> None:
        self._nameservers = nameservers
        self._compactor = compactor
        self._audit = audit
        self._context = context
        self._publishers: dict[Placement, ZonePublisher] = {}
        self._of_zone: defaultdict[str | None, list[ZonePublisher]] = defaultdict(list)
        self._gates: dict[Nameserver, NameserverGates] = {}
        self._running: dict[Placement, asyncio.Task[None]] = {}
        self._ended: list[Placement] = []  # whose publishers have
        self._stirred: set[str] = set()  # zones that may have other placements now
        self._changed = asyncio.Event()  # one of these two has
        self._kept = asyncio.Event()  # each placement has its publisher
        self._unknown: set[str] = set()  # nameservers already complained about
        self._sweeper = Sweeper(context)
        self._prefix_updates = PrefixUpdates(context, self.backlog)
        self._expirer = Expirer(context)
        self._history_retention = HistoryRetention(context)
        self._requested_work = RequestedWork(self._publishers, self._kept, context)
        self._on_write: Mapping[str, Callable[[], None]] = {  # what to do when something there is written
            keys.REQUESTS: self._requested_work.due,
            keys.PREFIXES: self._prefix_updates_changed,
            keys.HISTORY: self._history_retention.look,
            keys.REGISTRY: audit.look,
        }

    @property
    def epoch(self) -> int:
        """The revision with which this node's leadership began."""
        return self._context.leadership.epoch

    def reconfigure(self, nameservers: Mapping[str, Nameserver], policy: LeaderPolicy) -> None:
        """Go on with these. A publisher whose nameserver is gone or replaced ends; a new one begins."""
        if policy.reconcile_interval != self._context.policy.reconcile_interval:
            for publisher in self._publishers.values():
                publisher.compare()
        self._context.policy = policy
        self._compactor.reconfigure(policy.compact_after)
        self._nameservers = nameservers
        self._unknown.clear()
        current = set(nameservers.values())
        self._gates = {each: gates for each, gates in self._gates.items() if each in current}
        for placement, publisher in self._publishers.items():
            if nameservers.get(placement.nameserver) is not publisher.nameserver:
                self._running[placement].cancel()
            publisher.retry()
        self._stir_all()

    def backlog(self, placement: Placement) -> int:
        """Return how many records are pending at a placement."""
        publisher = self._publishers.get(placement)
        return publisher.backlog if publisher else 0

    async def run(self) -> None:
        """Publish until a task falls; every task has ended when this returns, or is cancelled.

        Raises:
            DeposedError: another node leads.
        """
        unsubscribe = self._context.cache.subscribe(self._look)
        helpers = [
            asyncio.create_task(self._sweeper.run(), name="sweep"),
            asyncio.create_task(self._prefix_updates.run(), name="moves"),
            asyncio.create_task(self._expirer.run(), name="expiry"),
            asyncio.create_task(self._history_retention.run(), name="history"),
            asyncio.create_task(self._audit.run(), name="audit"),
            asyncio.create_task(self._requested_work.run(), name="work"),
            asyncio.create_task(self._compactor.run(), name="compaction"),
        ]
        self._stir_all()
        helpers.append(asyncio.create_task(self._keep_publishers(), name="publishers"))
        try:
            for task in (await asyncio.wait(helpers, return_when=asyncio.FIRST_COMPLETED))[0]:
                task.result()
        finally:
            unsubscribe()
            await cancel(*helpers, *self._running.values())

    async def _keep_publishers(self) -> None:
        """Have a publisher for each placement. Never returns.

        Raises:
            DeposedError: another node leads.
        """
        while True:
            await self._changed.wait()
            self._changed.clear()
            self._drop_ended()
            zones, self._stirred = self._stirred, set()
            for count, zone in enumerate(zones, 1):
                self._start_publishers(zone)
                if count % _STARTED_AT_ONCE == 0:  # not a Slice: what waits for a publisher waits for no scan
                    await asyncio.sleep(0)
            if len(zones) > _STARTED_AT_ONCE:
                await self._show_waiting()
            if not self._changed.is_set():
                self._kept.set()

    def _drop_ended(self) -> None:
        ended, self._ended = self._ended, []
        for placement in ended:
            task, publishers = self._running.pop(placement), self._of_zone[placement.zone]
            publishers.remove(self._publishers.pop(placement))
            if not publishers:
                del self._of_zone[placement.zone]
            if not task.cancelled():  # by `reconfigure`
                task.result()

    def _start_publishers(self, zone: str) -> None:
        for placement in self._placements_of(zone):
            nameserver = self._nameservers.get(placement.nameserver)
            if nameserver is None:
                self._complain(placement)
            elif placement not in self._publishers:
                self._start_publisher(placement, nameserver)

    async def _show_waiting(self) -> None:
        """Tell the publishers what changed before they began: many take long to look through their zones."""
        waiting = list(self._context.state.unpublished)
        for start in range(0, len(waiting), _SHOWN_AT_ONCE):
            self._dispatch(waiting[start : start + _SHOWN_AT_ONCE])
            await asyncio.sleep(0)

    def _start_publisher(self, placement: Placement, nameserver: Nameserver) -> None:
        publishers = self._of_zone[placement.zone]
        gates = self._gates.setdefault(nameserver, NameserverGates(nameserver))
        publisher = self._publishers[placement] = ZonePublisher(
            placement, nameserver, self._context, gates, publishers
        )
        publishers.append(publisher)
        task = self._running[placement] = asyncio.create_task(
            _run(publisher), name=f"publisher {placement.zone}"
        )
        task.add_done_callback(lambda _: self._note_end(placement))

    def _note_end(self, placement: Placement) -> None:
        self._ended.append(placement)
        self._stir(placement.zone)

    def _stir(self, *zones: str) -> None:
        self._stirred.update(zones)
        self._kept.clear()
        self._changed.set()

    def _stir_all(self) -> None:
        state = self._context.state
        self._stir(*state.zones, *(placement.zone for placement in state.placements))

    def _placements_of(self, zone: str) -> Collection[Placement]:
        """Return where the zone lives, and where something of it may still be."""
        entry = self._context.state.zones.get(zone)
        home = [Placement(zone, entry.value.spec.nameserver)] if entry else []
        return dict.fromkeys([*home, *self._context.state.placements.of(zone)])

    def _complain(self, placement: Placement) -> None:
        if placement.nameserver not in self._unknown:
            self._unknown.add(placement.nameserver)
            _log.error(
                "nameserver.unknown",
                **placement._asdict(),
                remedy="add it under `nameservers` in config.yaml, or change the zone's spec.nameserver",
            )

    def _look(self, touched: Sequence[Touched]) -> None:
        """Tell each publisher which of its records to look at again."""
        records: dict[RecordKey, None] = {}
        for place in touched:
            if place.shelf in (keys.ADDRESSES, keys.PUBLISHED) and isinstance(place.id, RecordKey):
                records[place.id] = None
                if is_removed(self._context.state, place.id):
                    self._sweeper.look((place.id,))
            elif place.shelf == Kind.HOST.plural:
                records.update(dict.fromkeys(self._records_of(str(place.id))))
            elif place.shelf == Kind.ZONE.plural:
                self._look_at_zone(str(place.id))
            elif place.shelf == keys.PLACEMENTS and isinstance(place.id, Placement):
                self._look_at_placement(place.id)
            elif place.shelf in self._on_write:
                self._on_write[place.shelf]()
        self._dispatch(records)

    def _look_at_zone(self, zone: str) -> None:
        for publisher in self._of_zone.get(zone, ()):
            publisher.look_at_all()
        self._stir(zone)
        self._sweeper.look(self._context.state.addresses.leaving(zone))

    def _look_at_placement(self, placement: Placement) -> None:
        state = self._context.state
        if placement not in state.placements:  # so is what may have been there
            for publisher in self._of_zone.get(placement.zone, ()):
                publisher.look_at_all()
        self._stir(placement.zone)
        self._sweeper.look(state.addresses.leaving(placement.zone))

    def _prefix_updates_changed(self) -> None:
        self._prefix_updates.due()
        if not self._context.state.prefixes:  # a tombstone stays while there is any
            self._sweeper.look(self._context.state.addresses.tombstones)

    def _dispatch(self, records: Iterable[RecordKey]) -> None:
        state = self._context.state
        by_zone: dict[str | None, list[RecordKey]] = {}
        for record in records:
            committed = state.addresses.get(record)
            zone = state.zone_of_record(record, committed.value) if committed else state.zone_of(record.name)
            by_zone.setdefault(zone, []).append(record)
        for zone, its_records in by_zone.items():
            for publisher in self._of_zone.get(zone, ()):
                publisher.look(its_records)

    def _records_of(self, host: str) -> Iterable[RecordKey]:
        records = (RecordKey(host, type) for type in RRTYPES)
        return [record for record in records if record in self._context.state.addresses]


async def _run(publisher: ZonePublisher) -> None:
    """Run the publisher until its placement is left, or until it falls and has rested.

    Raises:
        DeposedError: another node leads.
    """
    try:
        await publisher.run()
    except DeposedError:
        raise
    except Exception:  # noqa: BLE001  a bug, or a zone like no other: the others are published all the same
        _log.exception("lane.fell", **publisher.placement._asdict())
        await asyncio.sleep(_FALLEN_SECONDS)
