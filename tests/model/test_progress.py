"""What has become of an address that a request waits for."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ddnsd.model.addresses import Family
from ddnsd.model.publication import Progress, progress
from ddnsd.model.records import RecordKey
from tests.model.world import BLOG, BLOG6, World, small_world

IP, NEWER_IP = "192.0.2.7", "192.0.2.8"


def after(world: World, revision: int, *, verify: bool = False, record: RecordKey = BLOG) -> Progress:
    return progress(world.state, record, revision, verify=verify)


def test_a_commit_is_waited_for_until_it_is_published() -> None:
    world = small_world()
    revision = world.commit(BLOG, IP)
    assert after(world, revision) is Progress.PENDING
    world.publish(BLOG)
    assert after(world, revision) is Progress.PUBLISHED


def test_a_newer_value_counts_for_an_older_but_not_the_other_way_round() -> None:
    world = small_world()
    older = world.commit(BLOG, IP)
    world.publish(BLOG)
    newer = world.commit(BLOG, NEWER_IP, previous=IP)
    assert after(world, older) is Progress.PUBLISHED
    assert after(world, newer) is Progress.PENDING
    world.publish(BLOG)
    assert after(world, older) is after(world, newer) is Progress.PUBLISHED


def test_a_value_that_was_overtaken_unpublished_waits_for_the_newer_one() -> None:
    world = small_world()
    older = world.commit(BLOG, IP)
    world.commit(BLOG, NEWER_IP, previous=IP)
    assert after(world, older) is Progress.PENDING
    world.refuse(BLOG)
    assert after(world, older) is Progress.REFUSED


def test_a_refusal_ends_the_waiting_of_its_revision_and_older_ones_only() -> None:
    world = small_world()
    older = world.commit(BLOG, IP)
    world.refuse(BLOG)
    newer = world.commit(BLOG, NEWER_IP)
    assert after(world, older) is Progress.REFUSED
    assert after(world, newer) is Progress.PENDING


def test_what_is_published_stays_so_though_a_newer_value_is_refused() -> None:
    world = small_world()
    older = world.commit(BLOG, IP)
    world.publish(BLOG)
    newer = world.commit(BLOG, NEWER_IP, previous=IP)
    world.refuse(BLOG)
    assert after(world, older) is Progress.PUBLISHED
    assert after(world, newer) is Progress.REFUSED


def test_what_may_have_drifted_is_waited_for() -> None:
    world = small_world()
    revision = world.commit(BLOG, IP)
    world.publish(BLOG)
    world.doubt(BLOG)
    assert after(world, revision) is Progress.PENDING


def test_a_moved_zone_is_waited_for_at_its_new_home() -> None:
    world = small_world()
    revision = world.commit(BLOG, IP)
    world.publish(BLOG)
    world.zone(nameserver="second")
    assert after(world, revision) is Progress.PENDING
    world.publish(BLOG)
    assert after(world, revision) is Progress.PUBLISHED
    assert after(world, revision, verify=True) is Progress.PENDING  # the new home is not verified


def test_an_unverified_zone_is_waited_for_only_by_who_asks_for_it() -> None:
    world = small_world()
    world.placement(verified=False)
    revision = world.commit(BLOG, IP)
    world.publish(BLOG)
    assert after(world, revision) is Progress.PUBLISHED
    assert after(world, revision, verify=True) is Progress.PENDING
    world.placement(verified=True)
    assert after(world, revision, verify=True) is Progress.PUBLISHED


@pytest.mark.parametrize(
    "end",
    [
        lambda world: world.state.hosts.drop(BLOG.name),
        lambda world: world.withdraw(BLOG),
        lambda world: world.host(families=(Family.AAAA,)),
    ],
    ids=["host deleted", "tombstone", "family gone"],
)
@pytest.mark.parametrize(
    "before", [World.publish, World.refuse, lambda *_: None], ids=["published", "refused", "pending"]
)
def test_a_withdrawn_address_is_gone_whatever_had_become_of_it(
    before: Callable[[World, RecordKey], None], end: Callable[[World], None]
) -> None:
    world = small_world()
    revision = world.commit(BLOG, IP)
    before(world, BLOG)
    end(world)
    assert after(world, revision) is Progress.GONE


def test_a_removal_that_is_published_publishes_no_address() -> None:
    world = small_world()
    revision = world.commit(BLOG, IP)
    world.withdraw(BLOG)
    world.publish(BLOG)
    assert after(world, revision) is Progress.GONE


def test_an_address_that_a_client_has_withdrawn_meanwhile_is_waited_for_until_it_is_gone() -> None:
    world = small_world()
    revision = world.commit(BLOG, IP)
    withdrawn = world.withdraw(BLOG, cleared=True)
    assert after(world, revision) is after(world, withdrawn) is Progress.PENDING
    world.refuse(BLOG)
    assert after(world, revision) is after(world, withdrawn) is Progress.REFUSED
    world.publish(BLOG)
    assert after(world, revision) is after(world, withdrawn) is Progress.PUBLISHED
    world.state.addresses.drop(BLOG)
    world.state.published.drop(BLOG)
    assert after(world, revision) is after(world, withdrawn) is Progress.PUBLISHED


def test_the_first_address_out_of_a_prefix_is_waited_for() -> None:
    world = small_world()
    world.host(ipv6_suffix="::7")
    revision = world.move("2001:db8::/64")
    assert after(world, revision, record=BLOG6) is Progress.PENDING
    world.commit(BLOG6, "2001:db8::7")
    assert after(world, revision, record=BLOG6) is Progress.PENDING
    world.publish(BLOG6)
    assert after(world, revision, record=BLOG6) is Progress.PUBLISHED


@given(st.lists(st.sampled_from(["commit", "publish", "refuse", "doubt"]), max_size=12))
def test_who_waits_for_an_older_value_never_waits_longer(steps: list[str]) -> None:
    world = small_world()
    revisions = [world.commit(BLOG, IP)]
    for step in steps:
        if step == "commit":
            revisions.append(world.commit(BLOG, IP))
        elif step != "doubt" or BLOG in world.state.published:
            getattr(world, step)(BLOG)
    found = [after(world, revision) for revision in revisions]
    order = [Progress.PUBLISHED, Progress.REFUSED, Progress.PENDING]
    assert found == sorted(found, key=order.index)


def follower() -> World:
    world = small_world()
    world.host(ipv6_suffix="::7")
    return world


def test_a_prefix_is_waited_for_though_an_earlier_owners_address_is_still_leaving() -> None:
    world = follower()
    set_before = world.commit(BLOG6, "2001:db8::1")
    world.publish(BLOG6)
    world.withdraw(BLOG6)
    revision = world.move("2001:db8::/64")
    assert after(world, set_before, record=BLOG6) is Progress.GONE
    assert after(world, revision, record=BLOG6) is Progress.PENDING
    world.commit(BLOG6, "2001:db8::7")
    world.publish(BLOG6)
    assert after(world, revision, record=BLOG6) is Progress.PUBLISHED


def test_what_is_published_stays_so_while_a_prefix_is_to_come() -> None:
    world = follower()
    revision = world.commit(BLOG6, "2001:db8::1")
    world.publish(BLOG6)
    world.move("2001:db8::/64")
    assert after(world, revision, record=BLOG6) is Progress.PUBLISHED


def test_a_prefix_that_the_host_does_not_follow_any_more_is_gone() -> None:
    world = follower()
    world.commit(BLOG6, "2001:db8::1")
    world.publish(BLOG6)
    revision = world.move("2001:db8::/64")
    assert after(world, revision, record=BLOG6) is Progress.PENDING
    for id in list(world.state.prefixes):
        world.state.prefixes.drop(id)  # it is with all that follow
    assert after(world, revision, record=BLOG6) is Progress.GONE


def test_a_prefix_whose_address_the_host_had_already_is_with_it_once_that_is_published() -> None:
    world = follower()
    world.commit(BLOG6, "2001:db8::7")
    revision = world.move("2001:db8::/64")
    assert after(world, revision, record=BLOG6) is Progress.PENDING
    world.publish(BLOG6)
    assert after(world, revision, record=BLOG6) is Progress.GONE
