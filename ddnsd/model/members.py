"""Which of the installation's nodes should lead."""

from collections.abc import Collection
from typing import NamedTuple

from ddnsd.model.records import Member
from ddnsd.model.state import State


class Rank(NamedTuple):
    """The greater one should lead. Who cannot reach a zone's nameserver is worse than any who can."""

    lacking: int  # minus the number of nameservers that zones name and the node does not have
    priority: int


def needed_nameservers(state: State) -> frozenset[str]:
    """Return the nameservers that the zones name."""
    return frozenset(zone.value.spec.nameserver for zone in state.zones.values())


def rank(member: Member, needed: Collection[str]) -> Rank:
    """Return how much the node is to be preferred as the leader."""
    return Rank(-sum(name not in member.nameservers for name in needed), member.priority)


def preferred_to(state: State, me: str, member: Member) -> str | None:
    """Return the id of a running node that should lead rather than this one, None if there is none."""
    needed = needed_nameservers(state)
    mine = rank(member, needed)
    for id, other in state.members.items():
        if id != me and other.value.eligible and rank(other.value, needed) > mine:
            return id
    return None
