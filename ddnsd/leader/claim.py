"""Claims a zone: after this, the nameserver refuses every UPDATE of an earlier claim.

The order makes it safe: read the fence; confirm that this node leads; replace exactly what was read; only
then make the state current and plan. A leader that was frozen anywhere in between finds its claim refused,
or has a state that is newer than the claim.
"""

from collections.abc import Callable

import msgspec
import structlog

from ddnsd.leader.context import (
    FENCE_TTL,
    Claim,
    DeposedError,
    FenceLostError,
    ForeignFenceError,
    ZoneContext,
    ZoneFaultError,
    renewal,
)
from ddnsd.model.fence import parse_fence
from ddnsd.model.records import PlacementState
from ddnsd.nameserver.interface import (
    Absent,
    Exists,
    Rcode,
    RecordType,
    RRset,
    Update,
)

_log = structlog.get_logger(__name__)


class Claimer:
    """Claims one placement."""

    def __init__(self, context: ZoneContext) -> None:
        self._context = context
        self._placement = context.placement
        self._nameserver = context.nameserver
        self._name = f"{context.policy.fence_label}.{context.placement.zone}"
        self._sent: set[tuple[str, ...]] = set()  # my last confirmed claim, and any after it

    async def claim(self, takeover: Callable[[], bool]) -> Claim:
        """Claim the zone; return with the state current.

        `takeover` says whether the zone may be taken from somebody else. It is asked again at the last
        moment: a claim may take longer than the operator who asked for the takeover waits for it.

        If the zone did not have the fence that was expected (none, somebody else's, one of ours out of
        an old backup), what it serves is not known: the placement is then no longer verified.

        Raises:
            ForeignFenceError: somebody else's, and no takeover.
            FenceLostError: somebody was faster.
            ZoneFaultError: the zone takes no UPDATE.
            DeposedError: this node does not lead.
            NameserverError: no usable answer.
            UnavailableError: the store cannot be asked now.
        """
        found = await self._find()
        is_ours = found is not None and self._is_ours(found)
        expected = is_ours and (not self._sent or found is None or found.values in self._sent)
        self._demand_permission(found, takeover)
        if not await self._context.leader.leadership.confirm():
            raise DeposedError(f"another node leads; this one was about to claim {self._placement.zone}")
        noted = self._context.noted  # what is wrong there stays shown until the claim is confirmed
        verified_in = noted.verified_in if expected else ""
        await self._context.note(msgspec.structs.replace(noted, verified_in=verified_in, untouched=False))
        claim = Claim(Exists(self._name, RecordType.TXT, (self._context.leader.new_fence().text,)))
        self._demand_permission(found, takeover)
        await self._replace(found, claim)
        confirmed = PlacementState(verified_in=verified_in)
        if self._context.is_retired:  # what is to be removed may be refused all the same
            noted = self._context.noted
            confirmed = msgspec.structs.replace(confirmed, error=noted.error, since=noted.since)
        await self._context.note(confirmed)
        await self._context.leader.cache.current()
        _log.info("fence.claimed", **self._placement._asdict(), expected=expected)
        return claim

    def _demand_permission(self, found: RRset | None, takeover: Callable[[], bool]) -> None:
        if found is not None and not self._is_ours(found) and not takeover():
            raise ForeignFenceError(" | ".join(found.values))

    async def _find(self) -> RRset | None:
        """Return the fence, None where there is none.

        The text may be that of a wildcard, such as an SPF at `*.<zone>`. A prerequisite, alone in an UPDATE
        that changes nothing, tells that from a fence that is somebody else's.
        """
        found = await self._nameserver.query(self._placement.zone, self._name, RecordType.TXT)
        found = found if isinstance(found, RRset) else None
        if (mine := await self._newer(found)) is not None:
            return mine
        if found is None or self._is_ours(found):
            return found
        question = Update(self._placement.zone, (Absent(self._name, RecordType.TXT),), ())
        return None if await self._nameserver.update(question) is Rcode.NOERROR else found

    async def _newer(self, found: RRset | None) -> RRset | None:
        """Return a fence of mine that is there though an older answer was read."""
        if found is not None and found.values in self._sent:
            return None
        for values in self._sent:
            question = Update(self._placement.zone, (Exists(self._name, RecordType.TXT, values),), ())
            if await self._nameserver.update(question) is Rcode.NOERROR:
                return RRset(self._name, RecordType.TXT, FENCE_TTL, values)
        return None

    def _is_ours(self, found: RRset) -> bool:
        fences = [parse_fence(text) for text in found.values]
        return len(fences) == 1 and fences[0] is not None and fences[0].owner == self._context.leader.owner

    async def _replace(self, found: RRset | None, claim: Claim) -> None:
        before = (
            Absent(self._name, RecordType.TXT)
            if found is None
            else Exists(self._name, RecordType.TXT, found.values)
        )
        self._sent.add(claim.values)
        rcode = await self._nameserver.update(Update(self._placement.zone, (before,), (renewal(claim),)))
        if rcode is not Rcode.NOERROR:  # it is not applied later either; else each try would be remembered
            self._sent.discard(claim.values)
        if rcode in (Rcode.NXRRSET, Rcode.YXRRSET):
            raise FenceLostError("the fence changed between reading and replacing it")
        if rcode is not Rcode.NOERROR:
            raise ZoneFaultError(rcode, "a claim of the zone's fence")
        self._sent = {claim.values}
