"""Pushing one batch: one fenced UPDATE, and the search for the record at fault when it is refused."""

import time
from collections.abc import Callable, Collection, Sequence
from itertools import chain
from typing import Protocol

from ddnsd.leader.claim import Claim, FenceLostError
from ddnsd.leader.fault import ZoneFaultError
from ddnsd.leader.pace import Pace
from ddnsd.leader.rrsets import removals, replacements
from ddnsd.model.plan import Push
from ddnsd.model.records import RecordKey, Site
from ddnsd.nameserver.interface import Nameserver, NoAnswerError, Rcode, Replace, Update


class Outcomes(Protocol):
    """Who is told what became of the pushes; both return at once."""

    def taken(self, pushes: Sequence[Push]) -> None:
        """The nameserver answered NOERROR to these."""
        ...

    def refused(self, pushes: Sequence[Push], reason: str) -> None:
        """The nameserver refuses these, though it takes others."""
        ...


class Pusher:
    """Pushes batches to one site. One UPDATE is in flight at a time: callers wait for each other's."""

    def __init__(
        self, site: Site, nameserver: Nameserver, outcomes: Outcomes, batch: Callable[[], int]
    ) -> None:
        """`batch` says how many records there may be in one UPDATE."""
        self._site = site
        self._nameserver = nameserver
        self._outcomes = outcomes
        self._pace = Pace(batch)

    @property
    def batch(self) -> int:
        """How many records the next UPDATE should hold."""
        return self._pace.size

    async def push(self, claim: Claim, batch: Sequence[Push]) -> None:
        """Push the batch; if it is refused, split it until the records at fault stand alone.

        Raises:
            FenceLostError: the fence is not mine any more; nothing of the rest was applied.
            ZoneFaultError: the zone takes no UPDATE at all, so no record is blamed.
            NameserverError: no usable answer.
        """
        rcode = await self._send(claim, batch)
        if rcode is Rcode.NOERROR:
            self._outcomes.taken(batch)
            return
        await self._confirm_zone(claim)
        if len(batch) > 1:
            middle = len(batch) // 2
            await self.push(claim, batch[:middle])
            await self.push(claim, batch[middle:])
            return
        # A nameserver under load answers SERVFAIL now and then: one more try before the blame.
        rcode = await self._send(claim, batch)
        if rcode is Rcode.NOERROR:
            self._outcomes.taken(batch)
        else:
            self._outcomes.refused(batch, f"the nameserver answered {rcode} to this record")

    async def remove(
        self, claim: Claim, records: Sequence[RecordKey], starred: Collection[RecordKey]
    ) -> None:
        """Remove the records' RRsets, those of the starred at `*.<host>` too, and nobody else's.

        Raises as `push` does.
        """
        changes = (removals(record, starred=record in starred) for record in records)
        await self._demand(claim, tuple(chain.from_iterable(changes)))

    async def remove_fence(self, claim: Claim) -> None:
        """Remove the fence: nothing can be sent under this claim any more. Raises as `push` does."""
        await self._demand(claim, (Replace(claim.name, claim.renewal.type, 0, ()),))

    async def _demand(self, claim: Claim, changes: tuple[Replace, ...]) -> None:
        rcode = await self._checked(Update(self._site.zone, (claim.prerequisite,), changes))
        if rcode is not Rcode.NOERROR:
            raise ZoneFaultError(rcode, "an UPDATE of the zone that blames no record")

    async def _confirm_zone(self, claim: Claim) -> None:
        """Send an UPDATE of the fence alone: if that is refused too, the zone is at fault."""
        await self._demand(claim, (claim.renewal,))

    async def _send(self, claim: Claim, batch: Sequence[Push]) -> Rcode:
        changes = tuple(chain.from_iterable(map(replacements, batch)))
        return await self._checked(Update(self._site.zone, (claim.prerequisite,), changes))

    async def _checked(self, update: Update) -> Rcode:
        started, count = time.monotonic(), len(update.changes)
        try:
            rcode = await self._nameserver.update(update)
        except NoAnswerError:
            self._pace.unanswered(count)
            raise
        self._pace.answered(count, time.monotonic() - started)
        if rcode is Rcode.NXRRSET:
            raise FenceLostError("the zone's fence is not the one of this leader's claim")
        return rcode
