"""One zone at one nameserver: claim it, push what is pending, one UPDATE in flight, leave it."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Sequence
from functools import partial
from typing import assert_never

import structlog

from ddnsd.aio import cancel, wait_for
from ddnsd.leader.acknowledge import Acknowledger, Adoption
from ddnsd.leader.backoff import PlacementBackoff, kind_of
from ddnsd.leader.claim import Claimer
from ddnsd.leader.context import (
    Claim,
    FenceLostError,
    ForeignFenceError,
    LeaderContext,
    NameserverGates,
    ZoneContext,
    ZoneFaultError,
)
from ddnsd.leader.push import RECORD_TYPES, PushAnswer, Pusher, refusal, rrsets
from ddnsd.leader.reconcile import Reconciler
from ddnsd.model.names import ours
from ddnsd.model.publication import Push, Queue, doubted, portion, to_leave, wanted
from ddnsd.model.records import Placement, PlacementState, RecordKey, Work
from ddnsd.model.taking import Finding
from ddnsd.nameserver.interface import (
    Exists,
    LoadedNameserver,
    Nameserver,
    NameserverError,
    Rcode,
    RecordType,
    RRset,
)
from ddnsd.store.interface import UnavailableError

_log = structlog.get_logger(__name__)

# The longest pauses between two tries to compare a zone, in seconds.
_MOST, _MOST_UNVERIFIED = 60.0, 3.0

_Write = Callable[[], Awaitable[Sequence[Push] | None]]  # returns those still to be written


class ZonePublisher:
    """Publishes one zone at one nameserver while this node leads. `run` returns when that has been left."""

    def __init__(
        self,
        placement: Placement,
        nameserver: Nameserver,
        leader: LeaderContext,
        gates: NameserverGates,
        of_zone: Sequence["ZonePublisher"],
    ) -> None:
        """`gates` is the nameserver's; `of_zone` are those of all placements of the zone, now and later."""
        self.placement = placement
        self.nameserver = nameserver
        self._queue = Queue(placement)
        self.context = ZoneContext(placement, nameserver, leader, gates, self._queue)
        self._of_zone = of_zone
        self._unseen = asyncio.Event()  # there may be pending records that the queue lacks
        self._unseen.set()
        self._is_looking = False  # for them
        self._claimer = Claimer(self.context)
        self._pusher = Pusher(self.context)
        self._acknowledger = Acknowledger(self.context)
        self._reconciler = Reconciler(self.context)
        self._reconcile_due = asyncio.Event()
        self._settling: set[asyncio.Task[None]] = set()
        self._late: set[asyncio.Task[None]] = set()  # of these, of what is not served yet
        self._pushing: set[RecordKey] = set()
        self._parts: list[Sequence[Push]] = []  # of the batch, the next one last
        self._wake = asyncio.Event()
        self._takeover = asyncio.Event()
        self._retiring = False
        self._gone = asyncio.Event()
        self._claimed = asyncio.Event()
        self._backoff = PlacementBackoff(self.context)
        self._is_given_up = False  # an operator has what is there stay there
        self._failure: BaseException | None = None  # of writing down what was pushed, as it never should

    @property
    def backlog(self) -> int:
        """How many records are pending."""
        return len(self._queue)

    @property
    def is_settled(self) -> bool:
        """Say whether nothing is pending here, and that is known."""
        return not (self._unseen.is_set() or self._is_looking or self._queue)

    @property
    def is_paused(self) -> bool:
        """Say whether somebody else holds the fence."""
        return bool(self.context.noted.holder)

    async def run(self) -> None:
        """Publish until the placement is left.

        Raises:
            DeposedError: this node does not lead any more.
        """
        tasks = [
            asyncio.create_task(self._look_through(), name=f"look {self.placement.zone}"),
            asyncio.create_task(self._publish(), name=f"publish {self.placement.zone}"),
            asyncio.create_task(self._keep_comparing(), name=f"drift {self.placement.zone}"),
        ]
        try:
            for task in (await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED))[0]:
                task.result()
        finally:
            await cancel(*tasks, *self._settling)

    def look(self, records: Iterable[RecordKey]) -> None:
        """Note that these records, or what decides about them, have changed."""
        self._queue.look(self.context.state, records)
        self.context.leader.metrics.queue(self.placement.nameserver, self.placement.zone, len(self._queue))
        self._wake.set()
        if self._queue:
            self._backoff.stirred.set()

    def look_at_all(self) -> None:
        """Note that any record of the zone may have become pending."""
        self._unseen.set()
        self._wake.set()
        self._backoff.hurry()

    def retry(self) -> None:
        """Wait no longer, if the placement is in trouble: what is known of its nameserver has changed."""
        self._backoff.hurry()

    async def work(self, work: Work, *, adopt: bool = False) -> tuple[str, ...]:
        """Do what an operator asks; return what was found, a line each. `adopt` is a takeover's.

        Raises:
            ForeignFenceError, UnpublishedError: the zone is not published: there is nothing to compare.
            NameserverError, UnavailableError: it could not be done.
        """
        if work in (Work.CHECK, Work.REPAIR):
            await self._backoff.demand_none()
        match work:
            case Work.CHECK:
                return await self._reconciler.check()
            case Work.REPAIR:
                return await self._reconciler.repair()
            case Work.TAKEOVER:
                await self._take_over()
                claimed = f"{self.placement.zone} at {self.placement.nameserver} is claimed"
                if self.context.is_retired:
                    return (claimed,)
                adoption = Adoption(self.context)
                return (claimed, *await adoption.take(adopt=adopt))
            case Work.FORGET:
                return (await self._give_up(),)
            case _:
                assert_never(work)

    def compare(self) -> None:
        """Compare the zone with the store now, and then at the interval of now."""
        self._reconcile_due.set()

    def reclaim(self) -> None:
        """Claim the zone again before anything else is sent."""
        self.context.claim = None
        self._claimed.clear()
        self._wake.set()

    async def _give_up(self) -> str:
        """Leave the placement without removing anything there; return what that means."""
        self._is_given_up = True
        self._wake.set()
        self._backoff.hurry()
        try:
            await self._gone.wait()
        finally:
            self._is_given_up = False  # not done now, so the answer says: it must not be done hours later
        return forgotten(self.placement)

    async def _take_over(self) -> None:
        await self.nameserver.query(
            self.placement.zone, self.placement.zone, RecordType.SOA
        )  # or say at once why not
        self._takeover.set()
        self._backoff.hurry()
        self.reclaim()
        try:
            await self._claimed.wait()
        finally:
            self._takeover.clear()  # not done now, so the answer says: it must not be done hours later

    async def _look_through(self) -> None:
        """Look at all records whenever any may be pending, a slice at a time. Never returns.

        What is not seen yet is pushed all the same if it changes.
        """
        while True:
            await self._unseen.wait()
            async with self.context.gates.looks.place(self.context.is_urgent):
                self._unseen.clear()
                self._is_looking = True
                async for record in self.context.leader.records_in(self.placement.zone):
                    self._queue.look(self.context.state, (record,))
                    if self._queue:
                        self._wake.set()
                self._is_looking = False
            for publisher in self._of_zone:  # one that leaves its placement may wait for this
                publisher.look(())

    async def _publish(self) -> None:
        if isinstance(self.nameserver, LoadedNameserver):
            await self._open(self.nameserver)
        while not self._gone.is_set():
            self._wake.clear()
            try:
                await self._step()
            except (
                NameserverError,
                FenceLostError,
                ForeignFenceError,
                ZoneFaultError,
                UnavailableError,
            ) as error:
                await self._follow(error)

    async def _open(self, nameserver: LoadedNameserver) -> None:
        """Let the nameserver get ready, however often it takes."""
        while True:
            served = await self._contents()
            try:
                await nameserver.open(self.placement.zone, served)
            except NameserverError as error:
                await self._backoff.note(str(error), kind_of(error))
                await self._backoff.rest()
            else:
                return

    async def _contents(self) -> Sequence[RRset]:
        """Return what shall be served where it is ddnsd's own, whichever moment of its reading each record is
        of: all that changes meanwhile is pending, and so is what has yet to be taken.
        """
        served: list[RRset] = []
        async for record in self.context.leader.records_in(self.placement.zone):
            state = self.context.state
            want, entry = wanted(state, record), state.published.get(record)
            if want is not None and want.ip:
                own = ours(record, entry.value if entry else None, self.placement.nameserver)
                served += rrsets(want, own.intersection(want.owners))
        return served

    async def _keep_comparing(self) -> None:
        """Compare the zone with the store whenever due, and after each interval. Never returns."""
        failures, reason = 0, ""  # one after the other, and why the last one
        while True:
            await wait_for(self._reconcile_due, self.context.policy.reconcile_interval)
            self._reconcile_due.clear()
            try:
                is_done = await self._reconcile()
            except (NameserverError, UnavailableError) as error:
                is_done = False
                if str(error) != reason:
                    reason = str(error)
                    _log.warning("reconcile.failed", **self.placement._asdict(), reason=reason)
                self._reconcile_due.set()
            if is_done:
                failures, reason = 0, ""
                continue
            # Twice as long each time, but not long while the zone is not answered for.
            most = _MOST if self.context.is_verified else _MOST_UNVERIFIED
            await asyncio.sleep(min(self.context.policy.probe_interval * (1 << min(failures, 16)), most))
            failures += 1

    async def _reconcile(self) -> bool:
        """Compare the zone once; return False if what was transferred is not to be trusted.

        Then the zone is claimed again, and the claim asks for a transfer. A nameserver that always transfers
        an older zone is not hurried.
        """
        claim = self.context.claim
        if claim is None or self.context.is_retired:
            return True  # a claim is followed by a reconcile of its own
        if await self._reconciler.reconcile(claim) or self.context.claim is not claim:
            return True
        # Nothing is awaited between that look at the claim and this: it is the claim that was found replaced.
        _log.warning("fence.replaced", **self.placement._asdict())
        self.reclaim()
        return False

    async def _follow(self, happened: PushAnswer | Exception) -> None:
        """Do what follows from an answer or a failure: this is the decision table of docs/architecture.md."""
        match happened:
            case PushAnswer(rcode=Rcode.NOERROR, batch=batch):  # what is new is read back before it counts
                self._settle(batch, partial(self._acknowledger.acknowledge, batch))
            case PushAnswer(is_second=True, batch=batch, rcode=rcode):
                self._settle(batch, partial(self._acknowledger.refuse, batch, refusal(rcode)))
            case PushAnswer(claim, batch, Rcode.YXRRSET) if in_use := await self._pusher.ask_again(
                claim, batch
            ):
                self._write_down(in_use)  # the others are planned again with the next batch
            case PushAnswer(claim, [push]):
                await self._pusher.confirm_zone(claim)
                # A nameserver under load answers SERVFAIL now and then: one more try before the blame.
                answer = await self._pusher.push(claim, [push])
                await self._follow(answer._replace(is_second=True))
            case PushAnswer(claim, batch):
                await self._pusher.confirm_zone(claim)
                middle = len(batch) // 2
                self._parts += [batch[middle:], batch[:middle]]
            case FenceLostError():  # the next claim reads whose it is
                _log.warning("fence.lost", **self.placement._asdict(), reason=str(happened))
                self.reclaim()
                await self._backoff.rest()
            case ForeignFenceError():
                await self._pause(happened.holder)
            case ZoneFaultError():
                await self._backoff.note(str(happened), "zone")
                self.reclaim()
                await self._backoff.rest()
            case NameserverError():
                await self._backoff.note(str(happened), kind_of(happened))
                self.reclaim()
                await self._backoff.rest()
                await self._backoff.end_of_silence(self._is_abandoned)
            case _:  # the store cannot take it now
                _log.warning("publish.store_unavailable", zone=self.placement.zone, reason=str(happened))
                await asyncio.sleep(self.context.policy.probe_interval)

    async def _step(self) -> None:
        """Do the next thing, or wait for it: leave, claim, retire, push."""
        if self._failure:
            raise self._failure
        if self.context.is_retired and (self._is_given_up or self.context.noted.untouched):
            await self._leave()
            return
        claim = self.context.claim or await self._take_claim()
        if self.context.is_retired:
            await self._retire(claim)
            return
        if self._retiring:  # the zone came back; some of its records may have been removed
            self._retiring = False
            self.reclaim()
            return
        batch = self._queue.take(self.context.state, self._pusher.pace.size)
        if batch:
            await self._push(claim, batch)
        else:
            await self._wake.wait()

    def _is_abandoned(self) -> bool:
        """Say whether nothing needs to be sent there any more, or an operator has it stay as it is."""
        return self._is_given_up or (self.context.is_retired and self.context.noted.untouched)

    async def _retire(self, claim: Claim) -> None:
        """Take ddnsd's own records and then its fence out of the zone; everything else stays.

        That waits until the zone's new home is complete. It is safe to begin again after any failure.
        """
        self._retiring = True
        noted = self.context.noted  # what is wrong there stays shown until the placement is left
        await self.context.note(PlacementState(error=noted.error, since=noted.since))
        if not self.context.is_retired:
            return  # it came back meanwhile
        if self._is_settled_at_home():
            await self._remove_records(claim)
            if self.context.is_retired:  # else it came back; what was removed is drift now
                await self._pusher.remove_fence(claim)
                await self._leave()
        else:  # nothing is wrong: its new home is not complete
            self._backoff.over()
            await self.context.note(PlacementState())
            await self._wake.wait()

    def _is_settled_at_home(self) -> bool:
        """Say whether nothing of the zone is pending where it lives now, if it does anywhere."""
        state = self.context.state
        return self.placement.zone not in state.zones or any(
            publisher.is_settled for publisher in self._of_zone if not state.is_retired(publisher.placement)
        )

    async def _remove_records(self, claim: Claim) -> None:
        state = self.context.state
        records = [record async for record in self.context.leader.records_in(self.placement.zone)]
        names = {record: own for record in records if (own := to_leave(state, self.placement, record))}
        counts = {record: len(own) for record, own in names.items()}
        left = list(names)
        while left:
            part = portion(left, self._pusher.pace.size, counts)
            await self._pusher.remove(claim, {record: names[record] for record in part})
            del left[: len(part)]
        for noted in self._doubted(records):
            if await self._pusher.release(claim, noted) is not Rcode.NOERROR:
                await self._pusher.confirm_zone(claim)

    def _doubted(self, records: Sequence[RecordKey]) -> Iterator[Exists]:
        """Yield what is removed only if it is what an UPDATE without an answer was to write."""
        state = self.context.state
        for record in records:
            entry = state.published.get(record)
            if entry is not None and (taking := entry.value.taking) is not None:
                for name in doubted(state, self.placement, record):
                    yield Exists(name, RECORD_TYPES[record.type], taking.values)

    async def _take_claim(self) -> Claim:
        while self._settling:
            # The claim's reconcile compares what was acknowledged; nothing taken before may come after.
            for task in self._late:  # it is in doubt again, and asked for once the zone is claimed
                task.cancel()
            await asyncio.wait(self._settling)  # of these, some may find more that is late
        async with self.context.gates.claims.place(self.context.is_urgent):
            claim = await self._claimer.claim(self._takeover.is_set)
        self.context.claim = claim
        if not self.context.is_retired:  # a retired placement's trouble ends when it is left
            self._backoff.over()
        self._claimed.set()
        self._reconcile_due.set()
        return claim

    async def _push(self, claim: Claim, batch: Sequence[Push]) -> None:
        self.context.leader.metrics.batch(self.placement.nameserver)
        self._pushing = {push.want.record for push in batch}
        try:
            if void := [push for push in batch if push.is_void]:
                self._settle(void, partial(self._acknowledger.acknowledge, void))
            if strange := [push for push in batch if not push.is_ready]:
                self._write_down(await self._pusher.ask(claim, strange))
            self._parts = [[push for push in batch if push.is_ready and not push.is_void]]
            while self._parts:
                if part := self._parts.pop():
                    await self._follow(await self._pusher.push(claim, part))
        finally:
            self._queue.release(self._pushing)  # what the nameserver did not answer for
            self._pushing = set()

    def _write_down(self, findings: Sequence[Finding]) -> None:
        """Write down whose the names are, then plan these again; or what the nameserver refuses to say."""
        if known := [finding for finding in findings if not finding.refusal]:
            self._settle([each.push for each in known], partial(self._acknowledger.note, known))
        for finding in findings:
            if finding.refusal:
                refused = [finding.push]
                self._settle(refused, partial(self._acknowledger.refuse, refused, finding.refusal))

    def _settle(self, pushes: Sequence[Push], write: _Write) -> asyncio.Task[None]:
        """Write down what came of the pushes, while the next batch is on its way."""
        records = {push.want.record for push in pushes}
        self._pushing.difference_update(records)
        task = asyncio.create_task(self._written(records, write), name=f"settle {self.placement.zone}")
        self._settling.add(task)
        task.add_done_callback(partial(self._settled, records))
        return task

    def _settle_late(self, push: Push) -> None:
        """Go on with a push that is not served yet, by itself: it delays no other."""
        task = self._settle([push], partial(self._acknowledger.acknowledge_late, [push]))
        self._late.add(task)
        task.add_done_callback(self._late.discard)

    def _settled(self, records: Collection[RecordKey], task: asyncio.Task[None]) -> None:
        """Let the records be planned again, were the task cancelled before its first step."""
        self._settling.discard(task)
        if not task.cancelled() and (failure := task.exception()):
            self._failure = failure
        self._queue.release(records)
        self.look(records)

    async def _written(self, records: set[RecordKey], write: _Write) -> None:
        """Return once the state shows what was written; what is not served yet is none of `records` then."""
        try:
            for push in await write() or ():
                records.discard(push.want.record)
                self._settle_late(push)
            await self.context.leader.cache.current()
        except (NameserverError, UnavailableError) as error:
            _log.warning("publish.not_acknowledged", zone=self.placement.zone, reason=str(error))
            await asyncio.sleep(self.context.policy.probe_interval)

    async def _leave(self) -> None:
        await self.context.note(None)
        await self.nameserver.leave(self.placement.zone)
        self._gone.set()
        _log.info("site.left", **self.placement._asdict())

    async def _pause(self, holder: str) -> None:
        """Publish nothing here until an operator takes the zone over, or its fence is ours again."""
        mine = f"installation={self.context.leader.owner.installation} " in holder
        whose = "this installation's own history before a restore" if mine else "somebody else"
        reason = f"the zone's fence is held by {whose}, {holder!r}; see `ddnsd zone takeover`"
        await self._backoff.note(reason, "fence", holder=holder, verified_in="")
        await self._backoff.rest()


def forgotten(placement: Placement) -> str:
    """Say what it means that a placement was left as it is."""
    return (
        f"{placement.zone} at {placement.nameserver} is forgotten: "
        "what was published there, and the fence, stay there"
    )
