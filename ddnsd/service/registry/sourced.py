"""What the controller of one source may do: change the resources of its own cluster, one turn at a time."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple

import msgspec

from ddnsd.model.audit import Author
from ddnsd.model.records import HeldDeletions, Resource, Source
from ddnsd.model.resources import Kind, Spec, TokenSpec, previous_name
from ddnsd.model.state import State
from ddnsd.service.documents import Document, InvalidDocumentError
from ddnsd.service.registry import rules
from ddnsd.service.registry.bulk import commit_all
from ddnsd.service.registry.results import NotMineError, RefusedError, Result, SourceTakenError
from ddnsd.service.registry.transaction import Auditor, RegistryCommits, RegistryTransaction
from ddnsd.store.group_commit import GroupCommit
from ddnsd.store.watch_cache import WatchCache

_COST = max(rules.PUT_COST, rules.DELETE_COST)  # keys that one change compares or writes, at most


class SourcedHold(NamedTuple):
    """Let it stay as it is, published, and take no more updates."""

    kind: Kind
    name: str


class SourcedDelete(NamedTuple):
    """Delete it; an account or zone that hosts still refer to is held instead."""

    kind: Kind
    name: str


class Withdrawn(StrEnum):
    """What came of a hold or a deletion."""

    HELD = "held"
    DELETED = "deleted"
    ABSENT = "absent"  # there is none of this source's


# A document, whose origin is of the source, is to be stored; what was held is held no more.
SourcedChange = Document | SourcedHold | SourcedDelete
SourcedOutcome = Result | Withdrawn | RefusedError | InvalidDocumentError

_Numbered = tuple[int, SourcedChange]  # its place in the call
_Unit = tuple[_Numbered, ...]  # done in one commit, mostly of one change
_MOST_IN_RING = 8  # tokens that swap their secrets: one commit holds them, whatever else it holds


class SourcedRegistry:
    """The resources of one source, for as long as this controller leads and the source's name is its own.

    All methods raise `NotMineError` once that is over, and `StoreFailedError` if the store cannot do it:
    then perhaps some of it is done, and doing it again is safe.
    """

    def __init__(
        self,
        cache: WatchCache,
        commits: GroupCommit,
        *,
        source: str,
        uid: str,
        guard: Mapping[str, int],
        nameservers: Collection[str],
        timeout: float,
    ) -> None:
        """`uid` is that of the release's Namespace; `guard` the leadership's among the source's controllers.

        `nameservers` are the names that a zone may refer to; `timeout` bounds each turn, in seconds.
        """
        auditor = Auditor(Author(f"kubernetes/{source}", way="controller"), sources=False)
        self._commits = RegistryCommits(cache, commits, timeout, self._demand_leadership).audited(auditor)
        self._source = source
        self._uid = uid
        self._guard = guard
        self._nameservers = frozenset(nameservers)

    def reconfigure(self, *, nameservers: Collection[str], timeout: float) -> None:
        """Take new ones over, for what comes from now on."""
        self._nameservers = frozenset(nameservers)
        self._commits.reconfigure(timeout)

    async def ask(self) -> None:
        """Ask for the name if it is somebody else's, who lives perhaps; needs no leadership.

        Raises:
            SourceTakenError: it is somebody else's; that I have asked for it stands there now.
        """
        await self._demand_free(self._claim)

    async def bind(self) -> None:
        """Bind the source's name to me, if it is free.

        Raises:
            SourceTakenError: it is somebody else's; that I have asked for it stands there now.
        """
        await self._demand_free(self._bind)

    async def change(self, changes: Sequence[SourcedChange]) -> Sequence[SourcedOutcome]:
        """Do these changes, each for itself, in as few commits as hold them; return what came of each.

        What frees a name or a secret comes first, what others refer to before them.
        """
        units = _units(changes, self._commits.cache.state)
        outcomes: dict[int, SourcedOutcome] = {}
        async for committed, _ in commit_all(self._commits, units, self._put_unit, _cost):
            for each in committed:
                outcomes |= each
        return [outcomes[place] for place in range(len(changes))]

    async def report(self, watched: Sequence[str] | None, held: HeldDeletions | None) -> None:
        """Write down of which namespaces all is known (see `Source`), and what waits for an operator."""

        def decide(draft: RegistryTransaction) -> None:
            old = self._demand_mine(draft)
            new = msgspec.structs.replace(
                old,
                watched=None if watched is None else tuple(watched),
                held=held,
                pruned=old.pruned if held else "",
            )
            if new != old:
                draft.put_source(self._source, new)

        await self._commits.take(decide)

    async def note_installation(self, other: str) -> None:
        """Write down which other installation the objects name; "" for none."""

        def decide(draft: RegistryTransaction) -> None:
            old = self._demand_mine(draft)
            if old.other_installation != other:
                draft.put_source(self._source, msgspec.structs.replace(old, other_installation=other))

        await self._commits.take(decide)

    def _demand_leadership(self, draft: RegistryTransaction) -> None:
        """Make the draft depend on the leadership's guard, which holds until the commit or undoes it."""
        for key, revision in self._guard.items():
            entry = draft.state.controllers.get(key.partition("/")[2])
            if entry is None or entry.revision != revision:
                raise NotMineError(f"this node does not lead the controllers of source {self._source}")
        draft.expect(self._guard)

    async def _demand_free(self, claim: Callable[[RegistryTransaction], Source | None]) -> None:
        taken, _ = await self._commits.take(claim)
        if taken is not None:
            raise SourceTakenError(self._source, taken.uid, taken.bound)

    def _demand_mine(self, draft: RegistryTransaction) -> Source:
        source = draft.source(self._source)
        if source is None or source.uid != self._uid:
            raise NotMineError(f"source {self._source} is not bound to the Namespace with uid {self._uid}")
        return source

    def _bind(self, draft: RegistryTransaction) -> Source | None:
        """Bind the name, or note the claim; return who has it if it is not me."""
        if draft.source(self._source) is None:
            draft.put_source(self._source, Source(self._uid, draft.now))
            return None
        return self._claim(draft)

    def _claim(self, draft: RegistryTransaction) -> Source | None:
        """Note the claim if the name is somebody else's; return who has it."""
        source = draft.source(self._source)
        if source is None or source.uid == self._uid:
            return None
        if source.claimant != self._uid:
            claim = msgspec.structs.replace(source, claimant=self._uid, claimed=draft.now)
            draft.put_source(self._source, claim)
        return source

    def _put_unit(self, draft: RegistryTransaction, unit: _Unit) -> dict[int, SourcedOutcome] | None:
        """Put a unit into the draft; return what came of its changes, by place, None if it goes on."""
        self._demand_mine(draft)
        if len(unit) > 1:
            return self._swap(draft, unit)
        ((place, change),) = unit
        outcome = self._judge(draft, change)
        return None if outcome is None else {place: outcome}

    def _swap(self, draft: RegistryTransaction, unit: _Unit) -> dict[int, SourcedOutcome]:
        """Put tokens into the draft that take each other's secrets: all of them, or none."""
        puts = {place: change for place, change in unit if isinstance(change, Document)}
        others = rules.secrets_after(puts.values())
        try:
            with draft.all_tokens_or_none():
                return {place: self._put(draft, document, others) for place, document in puts.items()}
        except (RefusedError, InvalidDocumentError) as error:
            return dict.fromkeys(puts, error)

    def _judge(self, draft: RegistryTransaction, change: SourcedChange) -> SourcedOutcome | None:
        """Put one change into the draft; None: it goes on in the next commit."""
        if isinstance(change, Document):
            try:
                return self._put(draft, change)
            except (RefusedError, InvalidDocumentError) as error:
                return error
        resource = draft.of_kind(change.kind).get(change.name)
        if resource is None or resource.origin is None or resource.origin.source != self._source:
            return Withdrawn.ABSENT
        if isinstance(change, SourcedHold) or rules.has_hosts(draft, change.kind, change.name):
            _hold(draft, change.kind, change.name, resource)
            return Withdrawn.HELD
        gone = rules.delete(draft, change.kind, change.name, resource, cascade=False, writer=resource.origin)
        return Withdrawn.DELETED if gone.done else None

    def _put(
        self, draft: RegistryTransaction, document: Document, others: Mapping[str, str] = rules.NOBODY
    ) -> Result:
        if document.origin is None or document.origin.source != self._source:
            raise ValueError(f"{document.title} is not of source {self._source}")
        return rules.put(draft, document, self._nameservers, others)


def _cost(draft: RegistryTransaction, unit: _Unit) -> int:
    return sum(_COST + draft.given(change.name) for _, change in unit)


def _units(changes: Sequence[SourcedChange], state: State) -> list[_Unit]:
    """Return the changes in the order in which they are made; together what can only be made together."""
    waiting: list[_Unit] = [(numbered,) for numbered in enumerate(changes)]
    tokens: dict[str, tuple[int, Document]] = {
        change.name: (place, change)
        for place, change in enumerate(changes)
        if isinstance(change, Document) and isinstance(change.spec, TokenSpec)
    }
    wanted = rules.secrets_after(document for _, document in tokens.values())
    for ring in _rings(wanted, state):
        members = {tokens[name][0] for name in ring}
        waiting = [unit for unit in waiting if unit[0][0] not in members]
        waiting.append(tuple(tokens[name] for name in ring))
    return sorted(waiting, key=lambda unit: _rank(unit[0][1]))


def _rings(wanted: Mapping[str, str], state: State) -> Iterator[Sequence[str]]:
    """Yield names of tokens each of which takes the secret that the next one has, the last the first's."""
    seen: set[str] = set()
    for first in wanted:
        path: list[str] = []
        name = first
        while name in wanted and name not in seen:
            seen.add(name)
            path.append(name)
            holder = state.tokens.by_digest(wanted[name])
            name = holder.key.partition("/")[2] if holder is not None else ""
        if name in path and 1 < len(ring := path[path.index(name) :]) <= _MOST_IN_RING:
            yield ring


def _hold(draft: RegistryTransaction, kind: Kind, name: str, resource: Resource[Spec]) -> None:
    if not resource.held:
        draft.of_kind(kind).put(name, msgspec.structs.replace(resource, held=True))
    if kind is Kind.TOKEN and (previous := draft.tokens.get(previous_name(name))):
        _hold(draft, kind, previous_name(name), previous)


_FREEING = {Kind.HOST: 0, Kind.TOKEN: 1}  # ranks of deletions; the others are last, when hosts have moved
_PUTS = {Kind.ZONE: 2, Kind.ACCOUNT: 3, Kind.HOST: 4, Kind.TOKEN: 5}
_HOLD, _LAST = 6, 7


def _rank(change: SourcedChange) -> int:
    match change:
        case Document():
            return _PUTS[change.kind]
        case SourcedHold():
            return _HOLD
        case SourcedDelete():
            return _FREEING.get(change.kind, _LAST)
