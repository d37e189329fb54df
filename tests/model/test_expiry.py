"""Hosts that expire: fresh, expiring, expired."""

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from ddnsd.model.addresses import Family
from ddnsd.model.expiry import (
    Expiry,
    age_by_clock,
    due,
    expiry,
    family_seen,
    is_held,
    is_stale_sighting,
    sighting,
    stage,
)
from ddnsd.model.records import Entry, LastSeen, RecordKey
from ddnsd.model.resources import HostSpec
from tests.model.world import BLOG, BLOG6, NOW, World, small_world

HOST = BLOG.name
SPAN = timedelta(hours=8)
SPEC = HostSpec("alice", expires_after=int(SPAN.total_seconds()))


@pytest.fixture
def world() -> World:
    world = small_world()
    world.host(expires_after=SPEC.expires_after)
    return world


def seen(world: World, at: datetime = NOW, value: LastSeen | None = None) -> Entry[LastSeen]:
    entry = Entry(f"seen/{HOST}", world.revision, world.revision, value or LastSeen(at))
    world.state.seen.put(HOST, entry)
    return entry


def is_due(world: World, now: datetime, *records: RecordKey) -> bool:
    """Say whether any of the host's addresses is to be withdrawn."""
    return any(
        due(world.state, record, age_by_clock(world.state, now)) for record in records or (BLOG, BLOG6)
    )


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
    world: World, age: timedelta, state: Expiry
) -> None:
    seen(world)
    world.commit(BLOG, "192.0.2.7")
    assert expiry(world.state, HOST, NOW + age) == (NOW, NOW + SPAN, state)
    assert is_due(world, NOW + age) is (state is Expiry.EXPIRED)


def test_a_host_that_does_not_expire_or_is_none_is_never_due(world: World) -> None:
    world.commit(BLOG, "192.0.2.7")
    later = NOW + 10 * SPAN
    assert is_due(world, later)
    world.host()
    assert expiry(world.state, HOST, later) is None
    assert not is_due(world, later)
    assert expiry(world.state, "other.example.com", NOW) is None


@pytest.mark.parametrize("record", [BLOG, BLOG6])
def test_a_host_that_was_never_seen_counts_from_when_its_address_was_changed(
    world: World, record: RecordKey
) -> None:
    assert expiry(world.state, HOST, NOW) is None
    world.commit(record, "192.0.2.7")
    assert expiry(world.state, HOST, NOW) == (NOW, NOW + SPAN, Expiry.FRESH)
    assert is_due(world, NOW + SPAN)


@pytest.mark.parametrize("held", ["host", "zone", "account"])
def test_what_is_held_stays_as_it_is(world: World, held: str) -> None:
    seen(world)
    world.commit(BLOG, "192.0.2.7")
    assert is_due(world, NOW + SPAN)
    if held == "host":
        world.host(held=True, expires_after=SPEC.expires_after)
    elif held == "zone":
        world.zone(held=True)
    else:
        world.account(held=True)
    assert is_held(world.state, HOST)
    assert not is_due(world, NOW + SPAN)


def test_a_host_without_an_address_is_not_due(world: World) -> None:
    seen(world)
    assert expiry(world.state, HOST, NOW + SPAN) == (NOW, NOW + SPAN, Expiry.EXPIRED)
    assert not is_due(world, NOW + SPAN)
    world.withdraw(BLOG)
    assert not is_due(world, NOW + SPAN)
    world.commit(BLOG6, "2001:db8::7")
    assert is_due(world, NOW + SPAN)


def test_a_sighting_is_written_when_the_last_one_is_older_than_a_quarter(world: World) -> None:
    entry = seen(world)
    assert not is_stale_sighting(SPEC, entry, (Family.A,), NOW + SPAN / 4)
    assert is_stale_sighting(SPEC, entry, (Family.A,), NOW + SPAN / 4 + timedelta(seconds=1))
    assert is_stale_sighting(SPEC, None, (Family.A,), NOW)
    assert not is_stale_sighting(HostSpec("alice"), None, (Family.A,), NOW)


@given(st.lists(st.floats(0, 0.49), max_size=30))
def test_a_host_that_is_refreshed_in_time_is_never_even_warned_of(pauses: list[float]) -> None:
    """In time: at least every half of its span."""
    world = small_world()
    world.host(expires_after=SPEC.expires_after)
    world.commit(BLOG, "192.0.2.7")
    now, entry = NOW, seen(world)
    for pause in pauses:
        now += SPAN * pause
        found = expiry(world.state, HOST, now)
        assert found is not None
        assert found[2] is Expiry.FRESH
        if is_stale_sighting(SPEC, entry, (Family.A,), now):
            entry = seen(world, now)


def test_a_host_that_a_prefix_is_on_its_way_to_is_not_due() -> None:
    world = small_world()
    world.host(ipv6_suffix="::7", expires_after=SPEC.expires_after)
    world.commit(BLOG6, "2001:db8::7")
    later = NOW + SPAN
    assert is_due(world, later)
    world.move("2001:db8::/64")
    assert not is_due(world, later)


def test_a_host_without_an_address_is_not_warned_of(world: World) -> None:
    seen(world)
    later = NOW + SPAN - timedelta(seconds=1)
    assert stage(world.state, BLOG, age_by_clock(world.state, later)) is None
    world.commit(BLOG, "192.0.2.7")
    assert stage(world.state, BLOG, age_by_clock(world.state, later)) is Expiry.EXPIRING


def test_a_refresh_of_one_family_is_none_of_the_other(world: World) -> None:
    world.commit(BLOG, "192.0.2.7")
    world.commit(BLOG6, "2001:db8::7")
    later = NOW + SPAN
    seen(world, value=sighting(sighting(None, list(Family), NOW), [Family.AAAA], later))
    assert is_due(world, later, BLOG)
    assert not is_due(world, later, BLOG6)
    assert expiry(world.state, HOST, later) == (later, NOW + SPAN, Expiry.EXPIRED)
    world.withdraw(BLOG)
    assert expiry(world.state, HOST, later) == (later, later + SPAN, Expiry.FRESH)


def test_a_refresh_by_an_older_node_is_one_of_both_families(world: World) -> None:
    """It writes `at`, and the fields that it does not know as they were."""
    ours = sighting(sighting(None, list(Family), NOW), [Family.AAAA], NOW + SPAN)
    theirs = structs.replace(ours, at=NOW + 2 * SPAN)
    assert {family_seen(theirs, family) for family in Family} == {NOW + 2 * SPAN}
    again = sighting(theirs, [Family.A], NOW + 3 * SPAN)
    assert [family_seen(again, family) for family in Family] == [NOW + 3 * SPAN, NOW + 2 * SPAN]
    assert again.at == NOW + 3 * SPAN, "older nodes know this alone"


def test_a_family_that_was_set_without_a_refresh_counts_from_then(world: World) -> None:
    seen(world, NOW - 10 * SPAN)
    world.commit(BLOG, "192.0.2.7")
    assert not is_due(world, NOW + SPAN - timedelta(seconds=1))
    assert is_due(world, NOW + SPAN)


def test_a_sighting_in_the_future_is_stale(world: World) -> None:
    """A clock was wrong that wrote it: the host would seem fresh until then, and no refresh be written."""
    assert is_stale_sighting(SPEC, seen(world, NOW + timedelta(days=2)), (Family.A,), NOW)
    assert not is_stale_sighting(SPEC, seen(world, NOW + SPAN / 4), (Family.A,), NOW)


def test_a_sighting_is_written_for_the_family_that_needs_it(world: World) -> None:
    entry = seen(world, value=sighting(sighting(None, list(Family), NOW), [Family.AAAA], NOW + SPAN))
    assert is_stale_sighting(SPEC, entry, (Family.A,), NOW + SPAN)
    assert not is_stale_sighting(SPEC, entry, (Family.AAAA,), NOW + SPAN)
    assert is_stale_sighting(SPEC, entry, tuple(Family), NOW + SPAN)
