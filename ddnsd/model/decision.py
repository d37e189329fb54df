"""The decision about an attempt: a pure function of the attempt, the state and the time.

The order of the checks is the contract's: what is missing, what is malformed, then token, account,
name and owner, zone, record, family.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import cache, partial
from typing import Any, NamedTuple

from ddnsd.model.addresses import Challenge, Family
from ddnsd.model.authorization import AuthorizedHost, followers, place_of, token_name, valid_token
from ddnsd.model.expiry import is_stale_sighting
from ddnsd.model.prefixes import Prefix, address_below
from ddnsd.model.publication import holding, is_refused, is_served, is_served_at, is_verified, retry_of
from ddnsd.model.records import Entry, PrefixUpdate, RecordKey, Resource, prefix_update_id, revision_of
from ddnsd.model.request import HostChange, Moved, Refusal, RRsetChange, Skipped, Unchanged, UpdateRequest
from ddnsd.model.resources import TokenSpec
from ddnsd.model.state import State

CHALLENGES = 2
"""Values that a TXT keeps: a certificate for a name and the wildcard below it takes two at once."""
_FRESH_CHALLENGE = timedelta(hours=1)  # a value that is sent again later than that is committed anew


class RecordChange(NamedTuple):
    """Commit this content of a record, if everything that was read is still so."""

    record: RecordKey
    content: str  # an address; a TXT's values; "" to withdraw
    shown: str  # what the answer says of it: of a TXT the one value
    previous: str  # the `old_ip` of the answer
    zone: str  # of the host
    again: bool  # this very content is committed already: it was refused, or withdrawn with another host
    times: int = 0  # that it was committed again in a row, this one included, as it was refused


class Join(NamedTuple):
    """This very content is committed already but not known to be served: wait for that.

    `published` says that it was published before and only waits for the zone to be verified.
    """

    record: RecordKey
    revision: int
    shown: str
    previous: str
    published: bool


class Refused(NamedTuple):
    """This very content is committed, and the nameserver has refused it a moment ago: that is the answer."""

    record: RecordKey


class Move(NamedTuple):
    """Commit the prefix, if it is `due`, and wait until all that follow it are served below it."""

    name: str  # of the host that the client named
    prefix: Prefix
    hosts: int
    moving: tuple[RecordKey, ...]  # have another address yet
    again: tuple[RecordKey, ...]  # have this one, but the nameserver has refused it
    joined: tuple[Join, ...]  # have this one, but are not known to be served
    served: tuple[RecordKey, ...]  # are where they should be, as long as nobody changes them
    resting: tuple[RecordKey, ...]  # have this one, which the nameserver has refused a moment ago
    refreshes: bool  # some expire, and were not refreshed for long
    replaces: Entry[PrefixUpdate] | None

    @property
    def due(self) -> bool:
        """Say whether there is anything to commit."""
        return bool(self.moving or self.again or self.refreshes)

    @property
    def result(self) -> Moved:
        """What the answer says of it: what was on its way already counts, as for any other change."""
        on_their_way = sum(not join.published for join in self.joined)
        moved = len(self.moving) + len(self.again) + on_their_way
        return Moved(self.name, str(self.prefix), self.hosts, moved)


Step = Unchanged | Moved | Skipped | RecordChange | Join | Refused | Move


class Plan(NamedTuple):
    """What is to be done: a step for each result of the answer, in their order, all in one commit.

    `reads` is all that was read of the store, but for the `records`: they are the revisions of all that are
    asked for, 0 where nothing is committed. `sighted` are the refreshes that are to be written: hosts, and of
    which families.
    """

    token: Entry[Resource[TokenSpec]]
    steps: tuple[Step, ...]
    reads: tuple[Entry[Any], ...]
    records: Mapping[RecordKey, int]
    sighted: tuple[tuple[str, tuple[Family, ...]], ...]

    @property
    def changes(self) -> int:
        """How many changes the client asks for: also to try once more what the nameserver refused before."""
        count = 0
        for step in self.steps:
            count += isinstance(step, RecordChange)
            count += isinstance(step, Move) and bool(step.moving or step.again)
        return count

    @property
    def refused(self) -> bool:
        """Say whether the answer is known already, whatever else is committed: a record is refused."""
        for step in self.steps:
            if isinstance(step, Refused) or (isinstance(step, Move) and step.resting):
                return True
        return False


_SETTLED = (Unchanged, Moved, Skipped)
Settled = Refusal | tuple[Unchanged | Moved | Skipped, ...]
Decision = Settled | Plan


def decide(state: State, attempt: UpdateRequest, now: datetime) -> Decision:
    """Decide what an attempt comes to in this state, at this moment (UTC)."""
    if refusal := _malformation(state, attempt):
        return refusal
    token = valid_token(state, attempt, now)
    if isinstance(token, Refusal):
        return token
    asked: list[tuple[AuthorizedHost, tuple[RRsetChange, ...]]] = []
    steps: list[Step] = []
    skipped: list[Skipped] = []
    for target in attempt.targets:
        place = place_of(state, token.value.spec, target)
        if isinstance(place, Refusal):
            return place
        wishes, skips = _taken(place, target)
        if not wishes and skips and not _moves_others(place, target):
            return _refusal(skips)
        asked.append((place, wishes))
        steps += [_step(state, place, wish, now) for wish in wishes]
        if target.prefix and target.moves:
            steps.append(_move(state, token, place.name, target.prefix, now))
        skipped += skips
    steps += skipped
    settled = [step for step in steps if isinstance(step, _SETTLED)]  # all, nearly always
    done = len(settled) == len(steps)
    commits = not done and any(map(_is_to_commit, steps))
    sighted = [
        (place.name, families)
        for place, wishes in asked
        if place.host.value.spec.expires_after is not None
        and (families := _refreshed(state, place, wishes, now, commits=commits))
    ]
    if done and not sighted:
        return tuple(settled)
    plan = _plan(state, token, asked, steps, sighted)
    return plan if commits or sighted or not plan.refused else Refusal.NAMESERVER_FAILED


def _is_to_commit(step: Step) -> bool:
    return isinstance(step, RecordChange) or (isinstance(step, Move) and step.due)


def _malformation(state: State, attempt: UpdateRequest) -> Refusal | None:
    for target in attempt.targets:
        if target.name is not None and state.is_first_level(target.name):
            return Refusal.FIRST_LEVEL
    for target in attempt.targets:
        if target.wishes is None:
            return Refusal.INVALID_IP
    return None


def _plan(
    state: State,
    token: Entry[Resource[TokenSpec]],
    asked: Sequence[tuple[AuthorizedHost, tuple[RRsetChange, ...]]],
    steps: Sequence[Step],
    sighted: Sequence[tuple[str, tuple[Family, ...]]],
) -> Plan:
    """Return the plan with all that it depends on."""
    reads: list[Entry[Any]] = [token, state.accounts[token.value.spec.account]]
    records: dict[RecordKey, int] = {}  # also those that stay: an answer is about all of them at one moment
    for place, wishes in asked:
        reads += (place.zone, place.host)
        for wish in wishes:
            record = RecordKey(place.name, wish.type)
            records[record] = revision_of(state.addresses.get(record))
    return Plan(token, tuple(steps), tuple(reads), records, tuple(sighted))


def _taken(place: AuthorizedHost, target: HostChange) -> tuple[tuple[RRsetChange, ...], Sequence[Skipped]]:
    """Return what is asked of the host that it can take, and the parts that are left out.

    Below a prefix, a host that follows prefixes has its own address.
    """
    wishes, spec = target.wishes or (), place.host.value.spec
    # What the host has may always be withdrawn.
    misfits = [wish for wish in wishes if wish.value and not place.can_have(wish.type)]
    if target.prefix is None and not (target.unreachable or misfits):
        return wishes, ()  # as nearly always
    skipped = [_skipped(place, wish, Refusal.INVALID_IP) for wish in target.unreachable]
    skipped += [_skipped(place, wish, Refusal.FAMILY_MISMATCH) for wish in misfits]
    taken = tuple(wish for wish in wishes if wish not in misfits)
    if target.prefix is None or spec.ipv6_suffix is None:
        return taken, skipped
    ip = address_below(target.prefix, spec)
    if ip is None:
        return taken, [
            *skipped,
            _skipped(place, RRsetChange(Family.AAAA, str(target.prefix)), Refusal.INVALID_IP),
        ]
    return (*(wish for wish in taken if wish.type is not Family.AAAA), RRsetChange(Family.AAAA, ip)), skipped


def _moves_others(place: AuthorizedHost, target: HostChange) -> bool:
    """Say whether hosts follow the target's prefix, though nothing is left of what is asked of this one."""
    return target.prefix is not None and target.moves and place.host.value.spec.ipv6_suffix is None


def _refusal(skipped: Sequence[Skipped]) -> Refusal:
    """Return what a call is told of which nothing is left: the first of the contract's checks that fails."""
    reasons = {skip.reason for skip in skipped}
    return Refusal.INVALID_IP if Refusal.INVALID_IP in reasons else Refusal.FAMILY_MISMATCH


def _skipped(place: AuthorizedHost, wish: RRsetChange, reason: Refusal) -> Skipped:
    return Skipped(place.name, wish.value, wish.type, reason)


def _refreshed(
    state: State, place: AuthorizedHost, wishes: tuple[RRsetChange, ...], now: datetime, *, commits: bool
) -> tuple[Family, ...]:
    """Return the families whose refresh is to be written: now and then, and beside any commit."""
    families = tuple(wish.type for wish in wishes if wish.value and isinstance(wish.type, Family))
    seen = state.seen.get(place.name)
    due = commits or is_stale_sighting(place.host.value.spec, seen, families, now)
    return families if due else ()


def _step(state: State, place: AuthorizedHost, wish: RRsetChange, now: datetime) -> Step:
    """Compare what is asked of a record with what is committed."""
    record = RecordKey(place.name, wish.type)
    content, revision = held = holding(state, record)
    if not wish.value and (not revision or not place.can_have(wish.type)):
        return Unchanged(record.name, "", record.type)
    if revision and wish.type is Challenge.TXT and wish.value:
        return _challenge(state, place, record, wish.value, now)
    if content != wish.value:
        return RecordChange(record, wish.value, wish.value, content, place.placement.zone, again=False)
    return _standing(state, place, record, held, wish.value, now)


def _standing(
    state: State, place: AuthorizedHost, record: RecordKey, held: tuple[str, int], shown: str, now: datetime
) -> Step:
    """Say how far the nameserver is with what is committed already: `held` is that, with its revision."""
    content, revision = held
    if shown:  # it is served where the host is; what is withdrawn, perhaps elsewhere
        served = is_served_at(state, place.placement, record, revision)
    else:
        served = is_served(state, record, revision)
    if served and is_verified(state, place.placement):
        return Unchanged(record.name, shown, record.type)
    committed = state.addresses.get(record)
    previous = committed.value.previous if committed and committed.revision == revision else ""
    if committed is not None and committed.value.is_tombstone and not committed.value.cleared:
        return RecordChange(record, content, shown, previous, place.placement.zone, again=True)
    if not served and is_refused(state, record, revision):
        retry = retry_of(state, record, place.host, place.zone)
        if retry.is_early(now):
            return Refused(record)
        return RecordChange(
            record, content, shown, previous, place.placement.zone, again=True, times=retry.times
        )
    return Join(record, revision, shown, previous, published=served)


def _challenge(state: State, place: AuthorizedHost, record: RecordKey, value: str, now: datetime) -> Step:
    """Add a value to those of the TXT; the oldest goes."""
    committed = state.addresses[record]
    values = committed.value.ip.split()
    if values[-1:] == [value] and now - committed.value.changed < _FRESH_CHALLENGE:
        held = committed.value.ip, committed.revision
        return _standing(state, place, record, held, value, now)
    others = [each for each in values if each != value]
    content = " ".join([*others[1 - CHALLENGES :], value])
    previous = values[-1] if values else ""
    return RecordChange(record, content, value, previous, place.placement.zone, again=False)


def _move(
    state: State, token: Entry[Resource[TokenSpec]], name: str, prefix: Prefix, now: datetime
) -> Moved | Move:
    """Compare what the hosts that follow the prefix have with what they have below it."""
    hosts, refreshes = 0, False
    verified = cache(partial(is_verified, state))  # there are thousands of hosts, and few placements
    moving: list[RecordKey] = []
    again: list[RecordKey] = []
    joined: list[Join] = []
    there: list[RecordKey] = []
    resting: list[RecordKey] = []
    for record, host, placement, ip in followers(state, token.value.spec, prefix):
        hosts += 1
        seen = state.seen.get(record.name)
        refreshes = refreshes or is_stale_sighting(host.value.spec, seen, (Family.AAAA,), now)
        content, revision = holding(state, record)
        if content != ip:
            moving.append(record)
            continue
        served = is_served_at(state, placement, record, revision)
        if served and verified(placement):
            there.append(record)
        elif not served and is_refused(state, record, revision):
            retry = retry_of(state, record, host, state.zones[placement.zone])
            (resting if retry.is_early(now) else again).append(record)
        else:
            joined.append(Join(record, revision, ip, "", published=served))
    if not (moving or again or joined or resting or refreshes):
        return Moved(name, str(prefix), hosts, 0)
    before = state.prefixes.get(prefix_update_id(token.value.spec.account, token_name(token), token.revision))
    found = (tuple(moving), tuple(again), tuple(joined), tuple(there), tuple(resting))
    return Move(name, prefix, hosts, *found, refreshes=refreshes, replaces=before)
