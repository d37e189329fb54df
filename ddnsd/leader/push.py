"""Sends UPDATEs to one zone under its claim: batches of what is pending, questions, removals.

Before ddnsd writes a name for the first time it asks the nameserver whether the name is in use. A query
does not tell, as a wildcard may answer it; prerequisites do (RFC 2136 §2.4): an UPDATE of nothing else
changes nothing. All names of a batch are asked about in one; only if something is at one of them the batch
is split, until that one is alone.

How many records an UPDATE holds follows from how long the nameserver takes over them. On PowerDNS with
SQLite each removal scans the zone: 200 records take 30 ms in a zone of 200 names and 4 s in one of 20,000. A
batch that took longer than the timeout would be sent again and again.
"""

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from ddnsd.leader.context import Claim, FenceLostError, ZoneContext, ZoneFaultError, renewal
from ddnsd.model.names import in_doubt
from ddnsd.model.publication import Push, Wanted
from ddnsd.model.records import RecordKey
from ddnsd.model.taking import Finding, Whose, was_written_before
from ddnsd.nameserver.interface import (
    Absent,
    Exists,
    NoAnswerError,
    Rcode,
    RecordType,
    Replace,
    RRset,
    Update,
)

RECORD_TYPES = {type.value: type for type in RecordType}  # as the nameserver's interface has them


def rrsets(want: Wanted, names: Iterable[str]) -> Iterator[RRset]:
    """Yield what shall be served at these of the owner names; `want` must not be a removal."""
    for name in names:
        yield RRset(name, RECORD_TYPES[want.record.type], want.ttl, want.values)


def removals(record: RecordKey, names: Iterable[str]) -> Iterator[Replace]:
    """Yield the changes that remove the record's RRset at these names."""
    for name in sorted(names):
        yield Replace(name, RECORD_TYPES[record.type], 0, ())


_SLOW = 1.0  # seconds; the next change waits for this batch
_FAST = 0.25


class Pace:
    """The size of the next batch: halved when one is slow or unanswered, doubled when one is fast."""

    def __init__(self, most: Callable[[], int]) -> None:
        """`most` says how many records an UPDATE may have now; the first has so many."""
        self._most = most
        self._wanted = most()

    @property
    def size(self) -> int:
        """How many records the next batch should hold."""
        return min(self._wanted, self._most())

    def answered(self, count: int, seconds: float) -> None:
        """Note that the nameserver took `seconds` over an UPDATE of `count` records."""
        if seconds > _SLOW:
            self._wanted = max(1, min(self.size, count) // 2)
        elif seconds < _FAST and count >= self.size:
            self._wanted = min(self._most(), self.size * 2)

    def unanswered(self, count: int) -> None:
        """Note that an UPDATE of `count` records got no answer in time."""
        self._wanted = max(1, min(self.size, count) // 2)


class PushAnswer(NamedTuple):
    """What the nameserver answered to a batch. `is_second`: to the second try of a single record."""

    claim: Claim
    batch: Sequence[Push]
    rcode: Rcode
    is_second: bool = False


_Question = tuple[Push, str]  # whose is this owner name of the push?
_SOMETHING = (Rcode.YXRRSET, Rcode.NXRRSET)  # a prerequisite does not hold: an answer, not a fault


class Pusher:
    """Sends to one zone, one UPDATE after the other: callers wait for each other's.

    Its methods raise:
        FenceLostError: the fence is not the claim's any more; nothing of the rest was applied.
        ZoneFaultError: the zone takes no UPDATE at all, so no record is to blame.
        NameserverError: no usable answer.
    """

    def __init__(self, context: ZoneContext) -> None:
        self._zone = context.placement.zone
        self._nameserver = context.nameserver
        self.pace = Pace(lambda: context.leader.policy.batch)

    async def push(self, claim: Claim, batch: Sequence[Push]) -> PushAnswer:
        """Push the batch in one UPDATE: all of it is applied, or nothing."""
        prerequisites: list[Exists | Absent] = [claim]
        changes: list[Replace] = []
        for push in batch:
            want, type = push.want, RECORD_TYPES[push.want.record.type]
            if push.takes:
                prerequisites += [Absent(name, type) for name in sorted(push.absent)]
            if want.ip:
                values = want.values
                changes += [Replace(name, type, want.ttl, values) for name in want.owners]
            if push.drops:
                changes += removals(want.record, push.drops)
        update = Update(self._zone, tuple(prerequisites), tuple(changes))
        return PushAnswer(claim, batch, await self._checked(update))

    async def ask(self, claim: Claim, pushes: Iterable[Push]) -> Sequence[Finding]:
        """Return whose the names are that the pushes take, or may have taken.

        What shall be gone, and may be ours, is removed with that: only if it is what was noted.
        """
        questions: list[_Question] = []
        findings: list[Finding] = []
        for push in pushes:
            if push.want.ip:
                questions += [(push, name) for name in sorted(push.takes.union(push.doubts))]
            else:
                findings.append(await self._release_doubted(claim, push))
        findings += _by_push(await self._sorted(claim, questions) if questions else ())
        is_any_in_use = any(set(finding.names.values()) - {Whose.NOBODYS} for finding in findings)
        # A claim's text is never used again: if the fence still is mine, it was at each answer.
        if is_any_in_use and await self._ask(claim, ()) is not Rcode.NOERROR:
            await self.confirm_zone(claim)
        return findings

    async def ask_again(self, claim: Claim, batch: Sequence[Push]) -> Sequence[Finding]:
        """Return what is found of those in the batch whose names are not free, though they were."""
        findings = await self.ask(claim, [push for push in batch if push.absent])
        return [each for each in findings if set(each.names.values()) != {Whose.NOBODYS}]

    async def confirm_zone(self, claim: Claim) -> None:
        """Send an UPDATE of the fence alone: if that is refused too, the zone is at fault."""
        await self._demand(claim, (renewal(claim),))

    async def remove(self, claim: Claim, names: Mapping[RecordKey, Collection[str]]) -> None:
        """Remove the records' RRsets at these owner names, and nobody else's."""
        changes = [change for record in names for change in removals(record, names[record])]
        if changes:
            await self._demand(claim, tuple(changes))

    async def release(self, claim: Claim, noted: Exists) -> Rcode:
        """Remove an RRset, if it is exactly as it was noted; NXRRSET if not."""
        change = Replace(noted.name, noted.type, 0, ())
        return await self._checked(Update(self._zone, (claim, noted), (change,)))

    async def remove_fence(self, claim: Claim) -> None:
        """Remove the fence: nothing can be sent under this claim any more."""
        await self._demand(claim, (renewal(claim)._replace(ttl=0, values=()),))

    async def _release_doubted(self, claim: Claim, push: Push) -> Finding:
        names: dict[str, Whose] = {}
        for name in push.doubts:
            names[name] = Whose.ANOTHERS
            for noted in _as_noted(push, name):
                rcode = await self.release(claim, noted)
                if rcode is Rcode.NOERROR:
                    names[name] = Whose.NOBODYS
                    break
                if rcode not in _SOMETHING:
                    await self.confirm_zone(claim)
                    return Finding(push, {}, refusal(rcode))
        return Finding(push, names)

    async def _sorted(
        self, claim: Claim, questions: Sequence[_Question]
    ) -> Sequence[tuple[Push, str, Whose | Rcode]]:
        """Return for each of the questions whose the name is, or what the nameserver refuses to say."""
        rcode = await self._ask(claim, _absences(questions))
        if rcode is Rcode.NOERROR:
            return [(push, name, Whose.NOBODYS) for push, name in questions]
        if rcode not in _SOMETHING:
            await self.confirm_zone(claim)
        if len(questions) == 1:
            push, name = questions[0]
            return [(push, name, await self._whose(claim, push, name) if rcode in _SOMETHING else rcode)]
        noted = [first for push, name in questions for first in _as_noted(push, name)[:1]]
        if len(noted) == len(questions) and await self._ask(claim, noted) is Rcode.NOERROR:
            return [(push, name, Whose.OURS) for push, name in questions]  # that UPDATE was done
        middle = len(questions) // 2
        first = await self._sorted(claim, questions[:middle])
        return [*first, *await self._sorted(claim, questions[middle:])]

    async def _whose(self, claim: Claim, push: Push, name: str) -> Whose:
        """Find out about a name at which, or beside which, something exists."""
        for one in _as_noted(push, name):
            if await self._ask(claim, (one,)) is Rcode.NOERROR:
                return Whose.OURS
        absent = Absent(name, RECORD_TYPES[push.want.record.type])
        if push.wards and await self._ask(claim, (absent,)) is Rcode.NOERROR:
            return Whose.BESIDE
        return Whose.ANOTHERS

    async def _ask(self, claim: Claim, prerequisites: Iterable[Absent | Exists]) -> Rcode:
        return await self._checked(Update(self._zone, (claim, *prerequisites), ()))

    async def _demand(self, claim: Claim, changes: tuple[Replace, ...]) -> None:
        rcode = await self._checked(Update(self._zone, (claim,), changes))
        if rcode is not Rcode.NOERROR:
            raise ZoneFaultError(rcode, "an UPDATE of the zone that blames no record")

    async def _checked(self, update: Update) -> Rcode:
        started, count = time.monotonic(), max(len(update.changes), len(update.prerequisites) - 1)
        try:
            rcode = await self._nameserver.update(update)
        except NoAnswerError:
            self.pace.unanswered(count)
            raise
        if count:
            self.pace.answered(count, time.monotonic() - started)
        if rcode is Rcode.NXRRSET and not any(isinstance(each, Exists) for each in update.prerequisites[1:]):
            raise FenceLostError("the zone's fence is not the one of this leader's claim")
        return rcode


def _absences(questions: Iterable[_Question]) -> Iterable[Absent]:
    """Return the prerequisites that these names are free, and nobody else has that of the host."""
    absences: dict[Absent, None] = {}
    for push, name in questions:
        absences[Absent(name, RECORD_TYPES[push.want.record.type])] = None
        absences.update((Absent(owner, RECORD_TYPES[type]), None) for owner, type in push.wards)
    return absences


def _as_noted(push: Push, name: str) -> Sequence[Exists]:
    """Return that what exists there is what an UPDATE without an answer was to write: one of these."""
    noted, type = push.before, RECORD_TYPES[push.want.record.type]
    if was_written_before(push):
        return [Exists(name, type, push.want.values)]
    if noted is None or noted.taking is None or name not in in_doubt(noted, push.want.placement.nameserver):
        return ()
    contents = (noted.taking.values, tuple(sorted(noted.ip.split())))
    return [Exists(name, type, values) for values in dict.fromkeys(contents) if values]


def _by_push(found: Iterable[tuple[Push, str, Whose | Rcode]]) -> Iterator[Finding]:
    pushes: dict[RecordKey, Push] = {}
    names: dict[RecordKey, dict[str, Whose]] = {}
    refusals: dict[RecordKey, str] = {}
    for push, name, whose in found:
        pushes[push.want.record] = push
        its_names = names.setdefault(push.want.record, {})
        if isinstance(whose, Rcode):
            refusals[push.want.record] = refusal(whose)
        else:
            its_names[name] = whose
    for record, push in pushes.items():
        yield Finding(push, names[record], refusals.get(record, ""))


def refusal(rcode: Rcode) -> str:
    """Say that the nameserver refuses a single record."""
    return f"the nameserver answered {rcode} to this record"
