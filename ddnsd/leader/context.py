"""What a leader holds for the time of its leading, and what all that publishes one zone shares.

The leader keeps notes about each zone at a nameserver in the store (`fences/<zone>/<nameserver>`): that it
publishes there, and whether what is served is known.
"""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NewType

from ddnsd.aio import Gate, Slice
from ddnsd.model.fence import Fence, FenceOwner
from ddnsd.model.publication import Queue, is_verified
from ddnsd.model.records import Placement, PlacementState, RecordKey
from ddnsd.model.state import State
from ddnsd.nameserver.interface import Exists, Nameserver, Rcode, Replace
from ddnsd.store import keys
from ddnsd.store.group_commit import GroupCommit
from ddnsd.store.interface import (
    MAX_KEYS_PER_UPDATE,
    Done,
    Leadership,
    Outcome,
    Stale,
    UnavailableError,
)
from ddnsd.store.tables import Transaction
from ddnsd.store.watch_cache import WatchCache
from ddnsd.telemetry.metrics import Metrics


class DeposedError(Exception):
    """Another node leads: stop at once, change nothing more."""


def _utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpiryPace:
    """How often the leader looks for what has expired, and by which clocks; times in seconds."""

    period: float = 5.0
    grace: float = 900.0  # at most; enough for clients that come every five minutes
    at_once: int = 200  # hosts that are withdrawn side by side
    wall: Callable[[], datetime] = _utc_now
    steady: Callable[[], float] = time.monotonic  # nobody sets it
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep


_KEYS_OF_A_HOST = 4  # that its part of a commit compares or writes, at most
_OTHER_KEYS = 8  # that a commit expects besides those of its hosts


@dataclass(frozen=True, slots=True, kw_only=True)
class PrefixLimits:
    """How much of a prefix update is done at once, and when it gives way to what else is published."""

    hosts: int = (MAX_KEYS_PER_UPDATE - _OTHER_KEYS) // _KEYS_OF_A_HOST  # in one commit
    at_once: int = 16  # commits: no more of the loop's time at a stretch
    # Records of a placement: enough to keep its nameserver busy. What clients change meanwhile waits.
    most_pending: int = 400
    # Seconds: a nameserver that publishes nothing in that time is not spared any more.
    longest_pause: float = 1.0


@dataclass(frozen=True, slots=True)
class LeaderPolicy:
    """The installation's settings for whoever leads; times in seconds."""

    fence_label: str  # the fence of a zone is the TXT record <fence_label>.<zone>
    batch: int  # records in one UPDATE
    reconcile_interval: float
    probe_interval: float  # between questions to a silent nameserver, tries of a zone at fault
    compact_after: float  # the age of history that the store may forget; 0: never
    timeout: float  # how long what was just written may not be served yet
    expiry: ExpiryPace = ExpiryPace()
    prefixes: PrefixLimits = PrefixLimits()
    most_history: int = 100_000  # entries of all hosts together


@dataclass(slots=True)
class LeaderContext:
    """A won election, and what is needed to use it; the policy may be replaced by another one."""

    cache: WatchCache
    commits: GroupCommit
    leadership: Leadership
    owner: FenceOwner
    policy: LeaderPolicy
    metrics: Metrics

    @property
    def state(self) -> State:
        """The state as this node knows it."""
        return self.cache.state

    async def records_in(self, zone: str) -> AsyncIterator[RecordKey]:
        """Yield the keys of the zone's records, its tombstones included, in slices of the event loop.

        What comes or goes meanwhile may be among them or not: look at the state of the moment.
        """
        async for name in Slice().each(list(self.state.names_in(zone))):
            for record in self.state.records_at(name, zone):
                yield record

    def new_fence(self) -> Fence:
        """Return a claim unlike any other."""
        return Fence(self.owner, self.leadership.epoch, secrets.token_hex(8))

    async def commit(self, transaction: Transaction) -> Outcome:
        """Commit on the condition, besides the transaction's own, that this node still leads.

        Raises:
            UnavailableError: certainly not applied.
        """
        transaction.expects |= self.leadership.guard
        return await self.commits.commit(transaction.update())

    async def note(self, placement: Placement, noted: PlacementState | None) -> None:
        """Note this about a placement, None to forget it, durably; return when this node's state shows it.

        Raises:
            DeposedError: this node does not lead.
            UnavailableError: the store cannot take it now.
        """
        entry, key = self.state.placements.get(placement), keys.placement(placement)
        if noted == (entry.value if entry else None):
            return
        transaction = Transaction().expect(key, entry)
        outcome = await self.commit(transaction.put(key, noted) if noted else transaction.delete(key))
        if isinstance(outcome, Stale) and not await self.leadership.confirm():
            raise DeposedError(f"another node leads; this one was writing {key}")
        await self.cache.current()
        if not isinstance(outcome, Done):
            raise UnavailableError(f"{key} could not be written: {outcome!r}")


_CLAIMS_AT_ONCE = 16
_LOOKS_AT_ONCE = 4


class NameserverGates:
    """How many zones of a nameserver are looked through, claimed, and transferred at once.

    A thousand at once would only wait for each other, and with them the one that somebody waits for.
    """

    def __init__(self, nameserver: Nameserver) -> None:
        self.looks = Gate(lambda: _LOOKS_AT_ONCE)
        self.claims = Gate(lambda: _CLAIMS_AT_ONCE)
        self.transfers = Gate(lambda: nameserver.max_transfers)


FENCE_TTL = 60  # seconds; nobody but ddnsd asks for it


Claim = NewType("Claim", Exists)
"""A fence that the nameserver has confirmed, as every UPDATE asserts it (RFC 2136 §2.4.2)."""


def renewal(claim: Claim) -> Replace:
    """Return the fence written as it is: an UPDATE that asks nothing but whether UPDATEs are taken."""
    return Replace(claim.name, claim.type, FENCE_TTL, claim.values)


@dataclass(slots=True, eq=False)
class ZoneContext:
    """One zone at one nameserver: what its publisher and all that works for it share."""

    placement: Placement
    nameserver: Nameserver
    leader: LeaderContext
    gates: NameserverGates
    queue: Queue
    claim: Claim | None = None  # that the nameserver has confirmed; only the publisher changes it

    @property
    def state(self) -> State:
        """The state as this node knows it."""
        return self.leader.state

    @property
    def policy(self) -> LeaderPolicy:
        """The settings of the moment."""
        return self.leader.policy

    @property
    def is_retired(self) -> bool:
        """Say whether the zone is gone, or lives at another nameserver now."""
        return self.leader.state.is_retired(self.placement)

    @property
    def is_verified(self) -> bool:
        """Say whether `published` is known to tell the truth about the placement."""
        return is_verified(self.leader.state, self.placement)

    @property
    def noted(self) -> PlacementState:
        """What is noted about the placement; of a new one, that nothing was sent there yet."""
        entry = self.leader.state.placements.get(self.placement)
        return entry.value if entry else PlacementState(untouched=True)

    def is_urgent(self) -> bool:
        """Say whether somebody waits for this placement."""
        return len(self.queue) > 0

    async def note(self, noted: PlacementState | None) -> None:
        """Note this about the placement, None to forget it. Raises as `LeaderContext.note`."""
        await self.leader.note(self.placement, noted)


_KEY = "let ddnsd's key update the zone there (docs/nameservers.md)"
_REMEDIES: Mapping[Rcode, str] = {  # BIND's meanings (RFC 2136 §3.1, RFC 8945 §5.2); PowerDNS has one for all
    Rcode.REFUSED: _KEY,
    Rcode.NOTAUTH: "does the nameserver have the zone, as its primary, and the same key as ddnsd?",
    Rcode.NOTIMP: f"turn dynamic update on, and {_KEY}",
    Rcode.SERVFAIL: "the nameserver's log says why: is the zone loaded, may the nameserver write its file?",
}


class ZoneFaultError(Exception):
    """The zone takes no UPDATE at all (loading, not authoritative, key refused): no record is to blame."""

    def __init__(self, rcode: Rcode, what: str) -> None:
        """`what` says to which UPDATE `rcode` was the answer."""
        remedy = _REMEDIES.get(rcode, "the nameserver's log says why")
        super().__init__(f"{rcode} to {what}; {remedy}")


class FenceLostError(Exception):
    """The fence is not the one of my claim: somebody else has claimed the zone."""


class ForeignFenceError(Exception):
    """The fence is another installation's, or cannot be read: this zone pauses until `zone takeover`."""

    def __init__(self, holder: str) -> None:
        super().__init__(holder)
        self.holder = holder
