"""Asking a nameserver whose the names are that ddnsd is to write for the first time.

A query does not tell, as a wildcard may answer it; prerequisites do (RFC 2136 §2.4): an UPDATE of nothing
else changes nothing. All names of a batch are asked about in one; only if something stands at one of them
the batch is split, until that stands alone.
"""

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

from ddnsd.leader.claim import Claim
from ddnsd.leader.rrsets import record_type, wards
from ddnsd.model.names import in_doubt
from ddnsd.model.publication import Push
from ddnsd.model.records import RecordKey, Site
from ddnsd.model.taking import Finding, Whose, was_written_before
from ddnsd.nameserver.interface import Absent, Exists, Rcode, Replace, Update

_SOMETHING = (Rcode.YXRRSET, Rcode.NXRRSET)  # a prerequisite does not hold: an answer, not a fault


@dataclass(frozen=True, slots=True, eq=False)
class _Question:
    """One owner name of a push."""

    push: Push
    name: str

    @property
    def absent(self) -> Absent:
        """That nothing stands there."""
        return Absent(self.name, record_type(self.push.record))

    @property
    def as_noted(self) -> Sequence[Exists]:
        """That what stands there is what an UPDATE without an answer was to write: one of these."""
        noted, type = self.push.before, record_type(self.push.record)
        if was_written_before(self.push):
            return [Exists(self.name, type, self.push.want.values)]
        if noted is None or noted.taking is None or self.name not in _doubted(self.push):
            return ()
        contents = (noted.taking.values, tuple(sorted(noted.ip.split())))
        return [Exists(self.name, type, values) for values in dict.fromkeys(contents) if values]


class Inquiry:
    """Asks one site. What was found is written down before anything is pushed because of it."""

    def __init__(
        self,
        site: Site,
        send: Callable[[Update], Awaitable[Rcode]],
        confirm_zone: Callable[[Claim], Awaitable[None]],
    ) -> None:
        """`send` raises as `Pusher.push`, `confirm_zone` if the fence is lost or the zone takes no UPDATE."""
        self._site = site
        self._send = send
        self._confirm_zone = confirm_zone

    async def ask(self, claim: Claim, pushes: Iterable[Push]) -> Sequence[Finding]:
        """Return whose the names are that the pushes take, or may have taken.

        What shall be gone, and may be ours, is removed with that: only if it is what was noted.

        Raises:
            FenceLostError, ZoneFaultError, NameserverError: as `Pusher.push`; nothing is known then.
        """
        questions: list[_Question] = []
        findings: list[Finding] = []
        for push in pushes:
            if push.want.ip:
                names = sorted(push.takes.union(push.doubts))
                questions += [_Question(push, name) for name in names]
            else:
                findings.append(await self._release(claim, push))
        found: dict[_Question, Whose | Rcode] = {}
        await self._sort(claim, questions, found)
        findings += _by_push(found)
        if any(name is not Whose.NOBODYS for finding in findings for name in finding.names.values()):
            # A claim's text is never used again: if the fence still is mine, it was at each answer.
            await self._confirm_fence(claim)
        return findings

    async def release(self, claim: Claim, question: Exists) -> Rcode:
        """Remove an RRset, if it is exactly this; NXRRSET if not. Raises as `ask`."""
        change = Replace(question.name, question.type, 0, ())
        return await self._send(Update(self._site.zone, (claim.prerequisite, question), (change,)))

    async def _release(self, claim: Claim, push: Push) -> Finding:
        names: dict[str, Whose] = {}
        for name in push.doubts:
            names[name] = Whose.ANOTHERS
            for question in _Question(push, name).as_noted:
                rcode = await self.release(claim, question)
                if rcode is Rcode.NOERROR:
                    names[name] = Whose.NOBODYS
                    break
                if rcode not in _SOMETHING:
                    await self._confirm_zone(claim)
                    return Finding(push, {}, _refusal(rcode))
        return Finding(push, names)

    async def _sort(
        self, claim: Claim, questions: Sequence[_Question], found: dict[_Question, Whose | Rcode]
    ) -> None:
        """Find out for each question whose the name is."""
        if not questions:
            return
        rcode = await self._ask(claim, _absences(questions))
        if rcode is Rcode.NOERROR:
            found.update(dict.fromkeys(questions, Whose.NOBODYS))
            return
        if rcode not in _SOMETHING:
            await self._confirm_zone(claim)
        if len(questions) == 1:
            found[questions[0]] = await self._alone(claim, questions[0], rcode)
            return
        noted = [question.as_noted[0] for question in questions if question.as_noted]
        if len(noted) == len(questions) and await self._ask(claim, noted) is Rcode.NOERROR:
            found.update(dict.fromkeys(questions, Whose.OURS))  # the UPDATE without an answer was done
            return
        middle = len(questions) // 2
        await self._sort(claim, questions[:middle], found)
        await self._sort(claim, questions[middle:], found)

    async def _alone(self, claim: Claim, question: _Question, rcode: Rcode) -> Whose | Rcode:
        """Find out about a name at which, or beside which, something stands."""
        if rcode not in _SOMETHING:
            return rcode
        for one in question.as_noted:
            if await self._ask(claim, (one,)) is Rcode.NOERROR:
                return Whose.OURS
        if question.push.wards and await self._ask(claim, (question.absent,)) is Rcode.NOERROR:
            return Whose.BESIDE
        return Whose.ANOTHERS

    async def _ask(self, claim: Claim, prerequisites: Iterable[Absent | Exists]) -> Rcode:
        return await self._send(Update(self._site.zone, (claim.prerequisite, *prerequisites), ()))

    async def _confirm_fence(self, claim: Claim) -> None:
        if await self._ask(claim, ()) is not Rcode.NOERROR:
            await self._confirm_zone(claim)


def _absences(questions: Iterable[_Question]) -> Iterable[Absent]:
    absences = chain.from_iterable((question.absent, *wards(question.push)) for question in questions)
    return dict.fromkeys(absences)


def _doubted(push: Push) -> Sequence[str]:
    return in_doubt(push.before, push.want.site.nameserver)


def _by_push(found: Mapping[_Question, Whose | Rcode]) -> Iterator[Finding]:
    pushes = {question.push.record: question.push for question in found}
    names: dict[RecordKey, dict[str, Whose]] = {record: {} for record in pushes}
    refusals: dict[RecordKey, str] = {}
    for question, whose in found.items():
        if isinstance(whose, Rcode):
            refusals[question.push.record] = _refusal(whose)
        else:
            names[question.push.record][question.name] = whose
    for record, push in pushes.items():
        yield Finding(push, names[record], refusals.get(record, ""))


def _refusal(rcode: Rcode) -> str:
    return f"the nameserver answered {rcode} to this record"
