"""Work that any node asks of the leader through the store: check, repair, takeover, forget of a zone."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from itertools import chain

import msgspec
import structlog

from ddnsd.leader.claim import ForeignFenceError
from ddnsd.leader.footprint import Footprints
from ddnsd.leader.lane import Lane, forgotten
from ddnsd.leader.mandate import Mandate
from ddnsd.leader.trouble import UnpublishedError
from ddnsd.model.records import Site, Work, WorkRequest
from ddnsd.nameserver.interface import NameserverError
from ddnsd.store import codec, keys
from ddnsd.store.interface import UnavailableError

_log = structlog.get_logger(__name__)

_BOUND_SECONDS = 30.0  # for one request; a transfer of a big zone takes seconds
_KEPT_SECONDS = 600.0  # how long an answer stays readable
_FINDINGS = 1000  # lines kept of one answer


class _NothingToDoError(Exception):
    """There is nothing that the work could be done on; the message says why."""


class Workdesk:
    """Takes each request once, answers it in the store, and clears old answers away."""

    def __init__(self, lanes: Mapping[Site, Lane], are_all: asyncio.Event, mandate: Mandate) -> None:
        """`are_all` is set while no lane is still to come."""
        self._lanes = lanes
        self._are_all = are_all
        self._mandate = mandate
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
                for id, entry in list(self._mandate.state.requests.items()):
                    if id not in taken:
                        taken.add(id)
                        group.create_task(self._handle(id, entry.value), name=f"work {entry.value.work}")
                taken.intersection_update(self._mandate.state.requests)
                await self._due.wait()
                self._due.clear()

    async def _handle(self, id: str, request: WorkRequest) -> None:
        """Answer one request, keep the answer for a while, then delete it."""
        key = keys.request(id)
        try:
            if request.finished is None:
                answer = msgspec.structs.replace(await self._answer(request), finished=datetime.now(UTC))
                await self._mandate.commit({}, {key: codec.encode(answer)})
            await asyncio.sleep(_KEPT_SECONDS)
            await self._mandate.commit({}, deletes=frozenset({key}))
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
            return [await self._forget(site) for site in self._left_sites(request.zone)]
        lanes = self._lanes_for(request)
        if not lanes:
            raise _NothingToDoError(f"{request.zone} is no zone that this leader publishes")
        return list(
            chain.from_iterable([await lane.work(request.work, adopt=request.adopt) for lane in lanes])
        )

    def _left_sites(self, zone: str) -> Sequence[Site]:
        """Return where something of the zone is still to be removed, and cannot be.

        Raises:
            _NothingToDoError: there is no such site.
        """
        state = self._mandate.state
        left = [site for site in state.sites_of(zone) if state.is_retired(site)]
        stuck = [site for site in left if site not in self._lanes or state.footprints[site].value.error]
        if left and not stuck:
            raise _NothingToDoError(f"{zone} is just being removed from {left[0].nameserver}: wait for that")
        if not stuck:
            home = state.zones.get(zone)
            where = f" but at {home.value.spec.nameserver}, where it lives: delete or move it" if home else ""
            raise _NothingToDoError(f"nothing is left of {zone} anywhere{where}")
        return stuck

    async def _forget(self, site: Site) -> str:
        lane = self._lanes.get(site)
        if lane is not None:
            return "".join(await lane.work(Work.FORGET))
        await Footprints(site, self._mandate).delete()  # its nameserver is not in config.yaml any more
        return forgotten(site)

    def _lanes_for(self, request: WorkRequest) -> Sequence[Lane]:
        """Return the lane of the zone's home; for a takeover also those that cannot leave a site."""
        state = self._mandate.state
        lanes = [lane for site, lane in self._lanes.items() if site.zone == request.zone]
        home = [lane for lane in lanes if not state.is_retired(lane.site)]
        if request.work is not Work.TAKEOVER:
            return home
        return home + [lane for lane in lanes if lane not in home and lane.is_paused]
