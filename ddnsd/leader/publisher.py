"""The leader's work: a lane for each site, and whatever else any node asked for in the store."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

import structlog

from ddnsd.leader.compaction import Compactor
from ddnsd.leader.expiry import Expirer
from ddnsd.leader.lane import Lane
from ddnsd.leader.mandate import DeposedError, LeaderPolicy, Mandate
from ddnsd.leader.moves import Mover
from ddnsd.leader.oblivion import Forgetter
from ddnsd.leader.sweep import Sweeper
from ddnsd.leader.tasks import cancel
from ddnsd.leader.workdesk import Workdesk
from ddnsd.model.addresses import RRTYPES
from ddnsd.model.publication import is_removed
from ddnsd.model.records import RecordKey, Site
from ddnsd.model.resources import Kind
from ddnsd.nameserver.interface import Nameserver
from ddnsd.store import keys
from ddnsd.store.snapshot import Touched

_log = structlog.get_logger(__name__)

_FALLEN_SECONDS = 5.0  # before a lane that fell is begun anew


class Publisher:
    """Publishes all zones for as long as this node leads. A lane that fails as it never should falls
    alone, and is begun anew: what is wrong with one zone delays no other."""

    def __init__(self, nameservers: Mapping[str, Nameserver], mandate: Mandate, compactor: Compactor) -> None:
        self._nameservers = nameservers
        self._compactor = compactor
        self._mandate = mandate
        self._lanes: dict[Site, Lane] = {}
        self._of_zone: defaultdict[str | None, list[Lane]] = defaultdict(list)
        self._running: dict[Site, asyncio.Task[None]] = {}
        self._changed = asyncio.Event()
        self._unknown: set[str] = set()  # nameservers already complained about
        self._sweeper = Sweeper(mandate)
        self._mover = Mover(mandate, self.backlog)
        self._expirer = Expirer(mandate)
        self._forgetter = Forgetter(mandate)
        self._workdesk = Workdesk(self._lanes, mandate)
        self._errands: Mapping[str, Callable[[], None]] = {  # what to do when something there is written
            keys.REQUESTS: self._workdesk.due,
            keys.PREFIXES: self._moves_changed,
            keys.HISTORY: self._forgetter.look,
        }

    @property
    def epoch(self) -> int:
        """The revision with which this node's leadership began."""
        return self._mandate.leadership.epoch

    def reconfigure(self, nameservers: Mapping[str, Nameserver], policy: LeaderPolicy) -> None:
        """Go on with these. A lane whose nameserver is gone, or another one now, ends; a new one begins."""
        if policy.reconcile_interval != self._mandate.policy.reconcile_interval:
            for lane in self._lanes.values():
                lane.compare()
        self._mandate.policy = policy
        self._compactor.reconfigure(policy.compact_after)
        self._nameservers = nameservers
        self._unknown.clear()
        for site, lane in self._lanes.items():
            if nameservers.get(site.nameserver) is not lane.nameserver:
                self._running[site].cancel()
        self._changed.set()

    def backlog(self, site: Site) -> int:
        """Return how many records are pending at a site."""
        lane = self._lanes.get(site)
        return lane.backlog if lane else 0

    async def run(self) -> None:
        """Publish until leadership is lost or a task falls; every task has ended when this returns.

        Raises:
            DeposedError: another node leads.
        """
        unsubscribe = self._mandate.cache.subscribe(self._look)
        helpers = [
            asyncio.create_task(self._mandate.leadership.lost(), name="leadership"),
            asyncio.create_task(self._sweeper.run(), name="sweep"),
            asyncio.create_task(self._mover.run(), name="moves"),
            asyncio.create_task(self._expirer.run(), name="expiry"),
            asyncio.create_task(self._forgetter.run(), name="oblivion"),
            asyncio.create_task(self._workdesk.run(), name="workdesk"),
            asyncio.create_task(self._compactor.run(), name="compaction"),
        ]
        try:
            while not helpers[0].done():
                self._start_lanes()
                await self._event(helpers)
        finally:
            unsubscribe()
            await cancel(*helpers, *self._running.values())

    async def _event(self, helpers: Sequence[asyncio.Task[None]]) -> None:
        """Wait for new sites, a lane that ends, or the end of leadership."""
        changed = asyncio.create_task(self._changed.wait(), name="sites")
        try:
            await asyncio.wait(
                [changed, *helpers, *self._running.values()], return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            changed.cancel()
        for task in helpers:
            if task.done():
                task.result()
        for site, task in list(self._running.items()):
            if task.done():
                del self._running[site]
                self._of_zone[site.zone].remove(self._lanes.pop(site))
                if not task.cancelled():  # by `reconfigure`
                    task.result()

    def _start_lanes(self) -> None:
        self._changed.clear()
        for site in self._sites():
            nameserver = self._nameservers.get(site.nameserver)
            if nameserver is None:
                self._complain(site)
            elif site not in self._lanes:
                lane = self._lanes[site] = Lane(site, nameserver, self._mandate)
                self._of_zone[site.zone].append(lane)
                self._running[site] = asyncio.create_task(_run(lane), name=f"lane {site.zone}")

    def _sites(self) -> Collection[Site]:
        """Return where the zones live, and where something of them may still be."""
        state = self._mandate.state
        homes = (Site(zone, entry.value.spec.nameserver) for zone, entry in state.zones.items())
        return dict.fromkeys([*homes, *state.footprints])

    def _complain(self, site: Site) -> None:
        if site.nameserver not in self._unknown:
            self._unknown.add(site.nameserver)
            _log.error(
                "nameserver.unknown",
                **site._asdict(),
                remedy="add it under `nameservers` in config.yaml, or change the zone's spec.nameserver",
            )

    def _look(self, touched: Sequence[Touched]) -> None:
        """Tell each lane which of its records to look at again."""
        records: dict[RecordKey, None] = {}
        zones: set[str] = set()
        for place in touched:
            if place.shelf in (keys.ADDRESSES, keys.PUBLISHED) and isinstance(place.id, RecordKey):
                records[place.id] = None
                if is_removed(self._mandate.state, place.id):
                    self._sweeper.due()
            elif place.shelf == Kind.HOST.plural:
                records.update(dict.fromkeys(self._records_of(str(place.id))))
            elif place.shelf == Kind.ZONE.plural:
                records.update(dict.fromkeys(self._mandate.state.records_in(str(place.id))))
                zones.add(str(place.id))
                self._changed.set()
                self._sweeper.due()
            elif place.shelf == keys.FOOTPRINTS and isinstance(place.id, Site):
                if place.id not in self._mandate.state.footprints:  # what might have stood there, too
                    records.update(dict.fromkeys(self._mandate.state.records_in(place.id.zone)))
                self._changed.set()
                self._sweeper.due()
            elif place.shelf in self._errands:
                self._errands[place.shelf]()
        self._dispatch(records, zones)

    def _moves_changed(self) -> None:
        self._mover.due()
        if not self._mandate.state.prefixes:  # a tombstone stays while there is any
            self._sweeper.due()

    def _dispatch(self, records: Iterable[RecordKey], zones: Collection[str]) -> None:
        state = self._mandate.state
        by_zone: dict[str | None, list[RecordKey]] = {}
        for record in records:
            committed = state.addresses.get(record)
            zone = state.zone_of_record(record, committed.value) if committed else state.zone_of(record.name)
            by_zone.setdefault(zone, []).append(record)
        for zone in {*by_zone, *zones}:  # a zone without records comes and goes, too
            for lane in self._of_zone.get(zone, ()):
                lane.look(by_zone.get(zone, ()))

    def _records_of(self, host: str) -> Iterable[RecordKey]:
        records = (RecordKey(host, type) for type in RRTYPES)
        return [record for record in records if record in self._mandate.state.addresses]


async def _run(lane: Lane) -> None:
    """Run the lane until its site is left, or until it falls and has rested.

    Raises:
        DeposedError: another node leads.
    """
    try:
        await lane.run()
    except DeposedError:
        raise
    except Exception:  # noqa: BLE001  a bug, or a zone like no other: the others are published all the same
        _log.exception("lane.fell", **lane.site._asdict())
        await asyncio.sleep(_FALLEN_SECONDS)
