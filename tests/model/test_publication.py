"""What shall be published where, and how far it is."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ddnsd.model.publication import (
    Progress,
    Wanted,
    is_refused,
    is_removed,
    is_served,
    is_verified,
    standing,
    wanted,
)
from ddnsd.model.records import Placement, Published, PublishError
from tests.model.whole_zone import contents, is_settled
from tests.model.world import BLOG, BLOG6, NOW, PLACEMENT, World, small_world
from tests.narrow import present

IP, IP6 = "192.0.2.7", "2001:db8::7"
SECOND = Placement("example.com", "second")


@pytest.fixture
def world() -> World:
    return small_world()


def move(world: World) -> None:
    world.zone(nameserver="second")


def standing_of(world: World) -> Progress:
    want, published = wanted(world.state, BLOG), world.state.published.get(BLOG)
    assert want is not None
    return standing(world.state, want, published.value if published else None)


def test_wanted_is_the_committed_address_at_the_zones_nameserver(world: World) -> None:
    revision = world.commit(BLOG, IP)
    assert wanted(world.state, BLOG) == Wanted(BLOG, PLACEMENT, revision, IP, 60, NOW, wildcard=False)
    assert present(wanted(world.state, BLOG)).values == (IP,)


def test_nothing_is_wanted_where_nothing_is_committed_or_no_zone_is_left(world: World) -> None:
    assert wanted(world.state, BLOG) is None
    world.commit(BLOG, IP)
    world.state.zones.drop("example.com")
    assert wanted(world.state, BLOG) is None


def test_a_tombstone_wants_nothing_served_in_the_zone_where_it_was_published(world: World) -> None:
    world.commit(BLOG, IP)
    world.zone("blog.example.com")  # made later: the name would lie in it now
    world.withdraw(BLOG, "example.com")
    assert present(wanted(world.state, BLOG)).placement == PLACEMENT
    assert present(wanted(world.state, BLOG)).values == ()


@pytest.mark.parametrize(("host", "zone", "ttl"), [(None, 60, 60), (None, 300, 300), (5, 300, 5)])
def test_the_ttl_is_the_hosts_or_else_the_zones(world: World, host: int | None, zone: int, ttl: int) -> None:
    world.zone(ttl=zone)
    world.host(ttl=host)
    world.commit(BLOG, IP)
    assert present(wanted(world.state, BLOG)).ttl == ttl
    world.state.hosts.drop(BLOG.name)
    assert present(wanted(world.state, BLOG)).ttl == zone


def test_a_disabled_host_or_zone_stays_published(world: World) -> None:
    world.commit(BLOG, IP)
    world.publish(BLOG)
    world.host(enabled=False)
    world.zone(enabled=False)
    assert standing_of(world) is Progress.PUBLISHED


def test_a_held_host_or_zone_stays_published(world: World) -> None:
    world.commit(BLOG, "192.0.2.7")
    world.zone(held=True)
    world.host(held=True)
    assert present(wanted(world.state, BLOG)).values == ("192.0.2.7",)
    assert not world.state.is_retired(PLACEMENT)


def test_an_address_is_pending_until_all_of_it_is_published(world: World) -> None:
    world.commit(BLOG, IP)
    assert standing_of(world) is Progress.PENDING
    world.publish(BLOG)
    assert standing_of(world) is Progress.PUBLISHED
    world.host(ttl=5)
    assert standing_of(world) is Progress.PENDING
    world.publish(BLOG)
    move(world)
    assert standing_of(world) is Progress.PENDING
    world.publish(BLOG)
    world.commit(BLOG, IP)  # the same address again is a value of its own
    assert standing_of(world) is Progress.PENDING


def test_a_refused_address_stands_so_until_something_changes(world: World) -> None:
    world.commit(BLOG, IP)
    world.refuse(BLOG)
    assert standing_of(world) is Progress.REFUSED
    move(world)
    assert standing_of(world) is Progress.PENDING  # the new home was never asked
    world.zone()
    world.commit(BLOG, IP)
    assert standing_of(world) is Progress.PENDING


def test_a_refusal_to_be_tried_again_counts_no_more(world: World) -> None:
    world.commit(BLOG, IP)
    error = PublishError(0, "REFUSED", NOW, "default")
    world.note(BLOG, Published(0, "", 60, "default", error=error))
    assert standing_of(world) is Progress.PENDING
    assert not is_refused(world.state, BLOG, world.state.addresses[BLOG].revision)


def test_served_is_a_matter_of_revision_and_nameserver_alone(world: World) -> None:
    older = world.commit(BLOG, IP)
    world.publish(BLOG)
    newer = world.commit(BLOG, IP)
    world.host(ttl=5)
    assert is_served(world.state, BLOG, older)
    assert not is_served(world.state, BLOG, newer)
    move(world)
    assert not is_served(world.state, BLOG, older)


def test_without_an_address_nothing_is_served_or_refused(world: World) -> None:
    assert not is_served(world.state, BLOG, 1)
    assert not is_refused(world.state, BLOG, 1)


def test_nothing_is_served_or_refused_in_a_zone_that_is_gone(world: World) -> None:
    revision = world.commit(BLOG, IP)
    world.publish(BLOG)
    world.refuse(BLOG)
    world.state.zones.drop("example.com")
    assert not is_served(world.state, BLOG, revision)
    assert not is_refused(world.state, BLOG, revision)


def test_a_zone_that_is_gone_has_no_contents_and_nothing_to_settle(world: World) -> None:
    world.commit(BLOG, IP)
    world.withdraw(BLOG)
    world.state.zones.drop("example.com")
    assert list(contents(world.state, "example.com")) == []
    assert is_settled(world.state, "example.com")


def test_a_placement_is_verified_once_its_state_says_so(world: World) -> None:
    assert is_verified(world.state, PLACEMENT)
    assert not is_verified(world.state, SECOND)
    world.placement(verified=False)
    assert not is_verified(world.state, PLACEMENT)


def test_contents_are_the_addresses_of_the_zone(world: World) -> None:
    world.host("gone.example.com")
    world.zone("sub.example.com")
    world.host("a.sub.example.com")
    gone, elsewhere = BLOG._replace(name="gone.example.com"), BLOG._replace(name="a.sub.example.com")
    for record in (BLOG, gone, elsewhere):
        world.commit(record, IP)
    world.commit(BLOG6, IP6)
    world.withdraw(gone)
    served = {(want.record, want.ip) for want in contents(world.state, "example.com")}
    assert served == {(BLOG, IP), (BLOG6, IP6)}
    move(world)
    assert {want.record for want in contents(world.state, "example.com")} == {BLOG, BLOG6}


def test_a_zone_is_settled_while_nothing_is_pending_at_its_home(world: World) -> None:
    assert is_settled(world.state, "example.com")
    world.commit(BLOG, IP)
    world.commit(BLOG6, IP6)
    world.publish(BLOG)
    assert not is_settled(world.state, "example.com")
    world.refuse(BLOG6)
    assert is_settled(world.state, "example.com")
    move(world)
    assert not is_settled(world.state, "example.com")
    world.publish(BLOG)
    assert not is_settled(world.state, "example.com")  # BLOG6 was refused elsewhere
    world.publish(BLOG6)
    assert is_settled(world.state, "example.com")
    world.withdraw(BLOG)
    assert not is_settled(world.state, "example.com")


def test_another_zones_pending_records_do_not_unsettle(world: World) -> None:
    world.zone("sub.example.com")
    world.host("a.sub.example.com")
    world.commit(BLOG._replace(name="a.sub.example.com"), IP)
    assert is_settled(world.state, "example.com")
    assert not is_settled(world.state, "sub.example.com")


def test_an_address_is_not_removed(world: World) -> None:
    assert not is_removed(world.state, BLOG)
    world.commit(BLOG, IP)
    assert not is_removed(world.state, BLOG)
    world.publish(BLOG)
    assert not is_removed(world.state, BLOG)


@pytest.mark.parametrize("is_published", [True, False])
def test_a_tombstone_is_removed_once_its_removal_is_published(world: World, is_published: bool) -> None:
    world.commit(BLOG, IP)
    if is_published:
        world.publish(BLOG)
    world.withdraw(BLOG)
    assert not is_removed(world.state, BLOG)
    world.publish(BLOG)
    assert is_removed(world.state, BLOG)


def test_an_earlier_removal_does_not_count_for_a_later_tombstone(world: World) -> None:
    world.withdraw(BLOG)
    world.publish(BLOG)
    world.commit(BLOG, IP)
    world.withdraw(BLOG)
    assert not is_removed(world.state, BLOG)


def test_while_a_zone_moves_its_tombstones_stay(world: World) -> None:
    world.withdraw(BLOG)
    move(world)
    world.placement(nameserver="second")
    world.publish(BLOG)
    assert not is_removed(world.state, BLOG)  # it may still stand at the old home
    world.state.placements.drop(PLACEMENT)
    assert is_removed(world.state, BLOG)


def test_tombstones_of_a_zone_that_is_gone_go_with_its_last_placement(world: World) -> None:
    world.commit(BLOG, IP)
    world.publish(BLOG)
    world.withdraw(BLOG)
    world.state.zones.drop("example.com")
    assert not is_removed(world.state, BLOG)
    world.state.placements.drop(PLACEMENT)
    assert is_removed(world.state, BLOG)


@given(st.lists(st.sampled_from(["commit", "withdraw", "publish", "refuse", "move", "return"]), max_size=12))
def test_whatever_happens_publishing_what_is_wanted_settles_it(steps: list[str]) -> None:
    world = small_world()
    happen: dict[str, Callable[[], object]] = {
        "commit": lambda: world.commit(BLOG, IP),
        "withdraw": lambda: world.withdraw(BLOG),
        "publish": lambda: world.publish(BLOG),
        "refuse": lambda: world.refuse(BLOG),
        "move": lambda: move(world),
        "return": world.zone,
    }
    world.commit(BLOG, IP)
    for step in steps:
        happen[step]()
    world.publish(BLOG)
    committed = world.state.addresses[BLOG]
    assert standing_of(world) is Progress.PUBLISHED
    assert is_served(world.state, BLOG, committed.revision)
    assert is_removed(world.state, BLOG) == committed.value.is_tombstone
    assert len(list(contents(world.state, "example.com"))) == (not committed.value.is_tombstone)
