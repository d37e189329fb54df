"""What is known of the Kubernetes clusters that have put resources into the store."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from datetime import datetime

import msgspec

from ddnsd.aio import Slice
from ddnsd.model.records import HeldDeletions
from ddnsd.model.resources import Kind
from ddnsd.model.state import State
from ddnsd.service.archive import Counts


class SourceStatus(msgspec.Struct, frozen=True):
    """A source. One without a `uid` is bound to nobody: whoever comes first takes what it has left.

    `controller` is the node that controls it now, "" if there is none. `held` are deletions that wait until
    an operator allows them; `pruned`: he has. `claimant` is the uid of another Namespace that wants the name.
    `other_installation` is the one that its objects name, while that keeps this one from changing anything.
    """

    name: str
    uid: str
    bound: datetime | None
    controller: str
    watched: tuple[str, ...] | None
    held: HeldDeletions | None
    pruned: bool
    claimant: str
    claimed: datetime | None
    other_installation: str
    resources: Counts


async def source_status(state: State) -> Mapping[str, SourceStatus]:
    """Return all sources, by name, without holding the event loop for long."""
    counts = await _counted(state)
    names = sorted(state.sources.keys() | counts.keys())
    return {name: _status_of(state, name, counts[name]) for name in names}


def source_warnings(source: SourceStatus) -> Iterator[str]:
    """Yield what an operator should look at, each with its remedy."""
    name = source.name
    if not source.uid:
        yield (
            f"source {name} is bound to nobody, and what it has left is published: start a controller "
            f"with kube.source: {name}, or delete them with `ddnsd delete`"
        )
    elif not source.controller:
        yield (
            f"source {name} has no controller, so what kubectl changes there is not taken over: "
            f"start it, or, if that cluster is lost, free what it has left with `ddnsd source release {name}`"
        )
    if source.claimant:
        yield (
            f"the Namespace with uid {source.claimant} has asked for source {name}, which {source.uid} has: "
            f"if that is its successor, `ddnsd source takeover {name}`; else give it another kube.source"
        )
    if source.other_installation:
        yield (
            f"source {name} changes nothing: its objects belong to installation {source.other_installation}, "
            f"and this one, which has nothing of them, is another: is its store the right one? "
            f"Import a backup, or, if this one is to replace it, `ddnsd source takeover {name}`"
        )
    if source.held is not None and not source.pruned:
        yield (
            f"source {name} holds {source.held.count} deletions ({source.held.reason}): if they are meant, "
            f"`ddnsd source prune {name}`"
        )


async def _counted(state: State) -> defaultdict[str, Counter[str]]:
    """Count each source's resources, by kind; what changes meanwhile as it was before or after."""
    slice = Slice()
    counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for kind in Kind:
        for entry in list(state.resources(kind).values()):
            if entry.value.origin is not None:
                counts[entry.value.origin.source][kind.plural] += 1
            await slice.pause()
    return counts


def _status_of(state: State, name: str, counts: Counter[str]) -> SourceStatus:
    entry = state.sources.get(name)
    source = entry.value if entry else None
    held = source.held if source else None
    return SourceStatus(
        name=name,
        uid=source.uid if source else "",
        bound=source.bound if source else None,
        controller=_controller(state, name),
        watched=source.watched if source else None,
        held=held,
        pruned=source is not None and held is not None and source.pruned == held.id,
        claimant=source.claimant if source else "",
        claimed=source.claimed if source else None,
        other_installation=source.other_installation if source else "",
        resources=Counts(**counts),
    )


def _controller(state: State, source: str) -> str:
    """Return the name of the node that controls a source, or its id if it is no member (any more)."""
    leader = state.controller_of(source)
    if leader is None:
        return ""
    member = state.members.get(leader.value.member)
    return member.value.name if member else leader.value.member
