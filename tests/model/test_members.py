"""Which node should lead."""

from datetime import UTC, datetime

from ddnsd.model.records import Beat, Entry, Member, Resource
from ddnsd.model.resources import ZoneSpec
from ddnsd.model.state import State, preferred_to

NOW = datetime(2026, 11, 23, tzinfo=UTC)


def member(*nameservers: str, priority: int = 0, eligible: bool = True) -> Member:
    return Member("n", "", "1", NOW, frozenset(nameservers), eligible, priority, {}, Beat(NOW, 0, 0))


def state(*zones: str, **members: Member) -> State:
    """Return a state with zones at these nameservers."""
    found = State()
    for nameserver in zones:
        found.zones.put(f"{nameserver}.example", Entry("", 1, 1, Resource(ZoneSpec(nameserver))))
    for id, value in members.items():
        found.members.put(id, Entry("", 1, 1, value))
    return found


def test_alone_nobody_is_better() -> None:
    assert preferred_to(state("bind"), "me", member()) is None
    assert preferred_to(state(me=member(priority=9)), "me", member()) is None, "it is itself"


def test_equals_do_not_displace_each_other() -> None:
    assert preferred_to(state("bind", other=member("bind")), "me", member("bind")) is None


def test_higher_priority_leads() -> None:
    both = state("bind", low=member("bind", priority=-1), high=member("bind", priority=1))
    assert preferred_to(both, "me", member("bind")) == "high"
    assert preferred_to(both, "high", member("bind", priority=1)) is None


def test_whoever_may_not_lead_is_no_better() -> None:
    assert preferred_to(state(other=member(priority=5, eligible=False)), "me", member()) is None


def test_a_nameserver_counts_more_than_priority() -> None:
    assert preferred_to(state("bind", "knot", other=member("bind", "knot")), "me", member("bind", priority=9))
    some = state("bind", "knot", other=member("knot"))
    assert preferred_to(some, "me", member("bind")) is None, "one is lacking on both"


def test_a_nameserver_that_no_zone_names_does_not_count() -> None:
    assert preferred_to(state("bind", other=member("bind", "spare")), "me", member("bind")) is None
