"""Hosts that expire: fresh, expiring, expired."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ddnsd.model.expiry import Expiry, due, expiry, is_held, is_stale_sighting, stage
from ddnsd.model.records import Entry, LastSeen
from ddnsd.model.resources import HostSpec

from .world import BLOG, BLOG6, NOW, World, small_world

HOST = BLOG.name
SPAN = timedelta(hours=8)
SPEC = HostSpec("alice", expires_after=int(SPAN.total_seconds()))


@pytest.fixture
def world() -> World:
    world = small_world()
    world.host(expires_after=SPEC.expires_after)
    return world


def seen(world: World, at=NOW) -> Entry[LastSeen]:
    entry = Entry(f"seen/{HOST}", world.revision, world.revision, LastSeen(at))
    world.state.seen.put(HOST, entry)
    return entry


@pytest.mark.parametrize(
    ("age", "state"),
    [
        (timedelta(hours=-1), Expiry.FRESH),  # by a node whose clock is behind
        (timedelta(0), Expiry.FRESH),
        (timedelta(hours=6), Expiry.FRESH),
        (timedelta(hours=6, seconds=1), Expiry.EXPIRING),
        (timedelta(hours=8, seconds=-1), Expiry.EXPIRING),
        (timedelta(hours=8), Expiry.EXPIRED),
        (timedelta(days=800), Expiry.EXPIRED),
    ],
)
def test_a_host_expires_when_it_was_not_seen_for_so_long_and_is_warned_of_in_the_last_quarter(
    world, age, state
):
    seen(world)
    world.commit(BLOG, "192.0.2.7")
    assert expiry(world.state, HOST, NOW + age) == (NOW, NOW + SPAN, state)
    assert due(world.state, HOST, NOW + age) is (state is Expiry.EXPIRED)


def test_a_host_that_does_not_expire_or_is_none_is_never_due(world):
    world.commit(BLOG, "192.0.2.7")
    seen(world, NOW - 10 * SPAN)
    assert due(world.state, HOST, NOW)
    world.host()
    assert expiry(world.state, HOST, NOW) is None
    assert not due(world.state, HOST, NOW)
    assert expiry(world.state, "other.example.com", NOW) is None


@pytest.mark.parametrize("record", [BLOG, BLOG6])
def test_a_host_that_was_never_seen_counts_from_when_its_address_was_changed(world, record):
    assert expiry(world.state, HOST, NOW) is None
    world.commit(record, "192.0.2.7")
    assert expiry(world.state, HOST, NOW) == (NOW, NOW + SPAN, Expiry.FRESH)
    assert due(world.state, HOST, NOW + SPAN)


@pytest.mark.parametrize("held", ["host", "zone", "account"])
def test_what_is_held_stays_as_it_is(world, held):
    seen(world)
    world.commit(BLOG, "192.0.2.7")
    assert due(world.state, HOST, NOW + SPAN)
    if held == "host":
        world.host(held=True, expires_after=SPEC.expires_after)
    elif held == "zone":
        world.zone(held=True)
    else:
        world.account(held=True)
    assert is_held(world.state, HOST)
    assert not due(world.state, HOST, NOW + SPAN)


def test_a_host_without_an_address_is_not_due(world):
    seen(world)
    assert expiry(world.state, HOST, NOW + SPAN) == (NOW, NOW + SPAN, Expiry.EXPIRED)
    assert not due(world.state, HOST, NOW + SPAN)
    world.withdraw(BLOG)
    assert not due(world.state, HOST, NOW + SPAN)
    world.commit(BLOG6, "2001:db8::7")
    assert due(world.state, HOST, NOW + SPAN)


def test_a_sighting_is_written_when_the_last_one_is_older_than_a_quarter(world):
    entry = seen(world)
    assert not is_stale_sighting(SPEC, entry, NOW + SPAN / 4)
    assert is_stale_sighting(SPEC, entry, NOW + SPAN / 4 + timedelta(seconds=1))
    assert is_stale_sighting(SPEC, None, NOW)
    assert not is_stale_sighting(HostSpec("alice"), None, NOW)


@given(st.lists(st.floats(0, 0.49), max_size=30))
def test_a_host_that_is_refreshed_in_time_is_never_even_warned_of(pauses):
    """In time: at least every half of its span."""
    world = small_world()
    world.host(expires_after=SPEC.expires_after)
    world.commit(BLOG, "192.0.2.7")
    now, entry = NOW, seen(world)
    for pause in pauses:
        now += SPAN * pause
        found = expiry(world.state, HOST, now)
        assert found is not None
        assert found.state is Expiry.FRESH
        if is_stale_sighting(SPEC, entry, now):
            entry = seen(world, now)


def test_a_host_that_a_prefix_is_on_its_way_to_is_not_due():
    world = small_world()
    world.host(ipv6_suffix="::7", expires_after=SPEC.expires_after)
    world.commit(BLOG6, "2001:db8::7")
    later = NOW + SPAN
    assert due(world.state, HOST, later)
    world.move("2001:db8::/64")
    assert not due(world.state, HOST, later)


def test_a_host_without_an_address_is_not_warned_of(world):
    seen(world)
    later = NOW + SPAN - timedelta(seconds=1)
    assert stage(world.state, HOST, later) is None
    world.commit(BLOG, "192.0.2.7")
    assert stage(world.state, HOST, later) is Expiry.EXPIRING
