"""Pushing one batch: one fenced UPDATE, and the search for the record at fault when it is refused."""

import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from itertools import chain
from typing import Protocol

from ddnsd.leader.claim import Claim, FenceLostError
from ddnsd.leader.fault import ZoneFaultError
from ddnsd.leader.inquiry import Inquiry
from ddnsd.leader.pace import Pace
from ddnsd.leader.rrsets import absences, removals, replacements
from ddnsd.model.publication import Push
from ddnsd.model.records import RecordKey, Site
from ddnsd.model.taking import Finding, Whose
from ddnsd.nameserver.interface import Exists, Nameserver, NoAnswerError, Rcode, Replace, Update


class Outcomes(Protocol):
    """Who is told what became of the pushes; all return at once."""

    def taken(self, pushes: Sequence[Push]) -> None:
        """The nameserver answered NOERROR to these."""
        ...

    def refused(self, pushes: Sequence[Push], reason: str) -> None:
        """The nameserver refuses these, though it takes others."""
        ...

    def found(self, findings: Sequence[Finding]) -> None:
        """So it stands with the names of these; they were not pushed."""
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
        self._inquiry = Inquiry(site, self._checked, self._confirm_zone)

    @property
    def batch(self) -> int:
        """How many records the next UPDATE should hold."""
        return self._pace.size

    async def ask(self, claim: Claim, pushes: Sequence[Push]) -> None:
        """Ask whose the names are that the pushes are to take. Raises as `push` does."""
        self._tell(await self._inquiry.ask(claim, pushes))

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
        if rcode is Rcode.YXRRSET:
            free = await self._sift(claim, batch)
            if len(free) < len(batch):
                if free:
                    await self.push(claim, free)
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

    async def remove(self, claim: Claim, names: Mapping[RecordKey, Collection[str]]) -> None:
        """Remove the records' RRsets at these owner names, and nobody else's. Raises as `push` does."""
        changes = tuple(chain.from_iterable(removals(record, names[record]) for record in names))
        if changes:
            await self._demand(claim, changes)

    async def release(self, claim: Claim, questions: Iterable[Exists]) -> None:
        """Remove each RRset that is exactly as it was noted. Raises as `push` does."""
        for question in questions:
            rcode = await self._inquiry.release(claim, question)
            if rcode is not Rcode.NOERROR:
                await self._confirm_zone(claim)

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

    async def _sift(self, claim: Claim, batch: Sequence[Push]) -> Sequence[Push]:
        """Tell of those whose names are not free, though they were; return the others."""
        findings = await self._inquiry.ask(claim, [push for push in batch if push.absent])
        taken = [each for each in findings if set(each.names.values()) != {Whose.NOBODYS}]
        self._tell(taken)
        found = {each.push.record for each in taken}
        return [push for push in batch if push.record not in found]

    def _tell(self, findings: Sequence[Finding]) -> None:
        if known := [each for each in findings if not each.refusal]:
            self._outcomes.found(known)
        for each in findings:
            if each.refusal:
                self._outcomes.refused([each.push], each.refusal)

    async def _send(self, claim: Claim, batch: Sequence[Push]) -> Rcode:
        prerequisites = chain.from_iterable(map(absences, batch))
        changes = tuple(chain.from_iterable(map(replacements, batch)))
        return await self._checked(Update(self._site.zone, (claim.prerequisite, *prerequisites), changes))

    async def _checked(self, update: Update) -> Rcode:
        started, count = time.monotonic(), max(len(update.changes), len(update.prerequisites) - 1)
        try:
            rcode = await self._nameserver.update(update)
        except NoAnswerError:
            self._pace.unanswered(count)
            raise
        if count:
            self._pace.answered(count, time.monotonic() - started)
        if rcode is Rcode.NXRRSET and not any(isinstance(each, Exists) for each in update.prerequisites[1:]):
            raise FenceLostError("the zone's fence is not the one of this leader's claim")
        return rcode
