"""Fair use: who has to wait, who never has, and how much memory that takes."""

import tracemalloc
from collections import defaultdict
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ddnsd.model.ratelimit import Buckets, Rate
from ddnsd.service.limits import FairUse, FairUseLimits, Ticket

LIMITS = FairUseLimits(
    enabled=True,
    token_attempts=Rate(10, 20),
    token_changes=Rate(1, 12),
    account_attempts=Rate(100, 50),
    account_changes=Rate(10, 30),
    source_failures=Rate(1, 6),
)


class Clock:
    """Seconds that pass when told to."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class World:
    """Fair use with a clock in the hand."""

    def __init__(self, limits: FairUseLimits = LIMITS, most: int = 1000) -> None:
        self.clock = Clock()
        self.fair = FairUse(limits, self.clock, most)

    def fail(self, source: str, times: int) -> None:
        for _ in range(times):
            self.fair.failed(source)


@pytest.fixture
def world() -> World:
    return World()


@pytest.mark.parametrize(
    ("times", "step", "fresh", "beyond"),
    [
        (4, 1, "2001:db8:1:f0::1", "2001:db8:1:100::1"),  # a /56
        (16, 0x100, "2001:db8:1:ffff::1", "2001:db8:2::1"),  # a /48
    ],
)
def test_many_networks_of_one_customer_fail_together(
    world: World, times: int, step: int, fresh: str, beyond: str
) -> None:
    for number in range(times):
        world.fail(f"2001:db8:1:{number * step:x}::{number + 1:x}", 6)
    assert world.fair.source_wait(fresh) > 0
    assert world.fair.source_wait(beyond) == 0
    world.clock.now += 1 / times
    assert world.fair.source_wait(fresh) == 0


def test_all_sources_together_may_fail_so_often_and_no_more() -> None:
    world = World(LIMITS._replace(process_failures=Rate(2, 20)))
    for number in range(20):
        world.fail(f"192.0.2.{number}", 1)
    assert world.fair.source_wait("198.51.100.1") == 0.5
    assert world.fair.source_wait("2001:db8::1") == 0.5
    assert world.fair.source_wait("") == 0.5
    assert world.fair.attempt_wait("router", "alice") == 0
    world.clock.now += 0.5
    assert world.fair.source_wait("198.51.100.1") == 0


def test_so_many_requests_of_a_token_and_of_an_account_wait_at_a_time() -> None:
    fair = World(LIMITS._replace(token_waiting=2, account_waiting=3)).fair
    calls = [Ticket() for _ in range(5)]
    assert [fair.enter("router", "alice", ticket) for ticket in calls[:3]] == [0, 0, 1]
    assert fair.enter("router", "alice", calls[0]) == 0, "another request of a call that waits already"
    assert [fair.enter("nas", "alice", ticket) for ticket in calls[3:]] == [0, 1]
    assert fair.enter("bobs", "bob", Ticket()) == 0
    fair.leave(calls[0])
    assert fair.enter("nas", "alice", Ticket()) == 1
    fair.leave(calls[0])
    assert fair.enter("nas", "alice", Ticket()) == 0


def test_without_limits_any_number_waits() -> None:
    fair = World(LIMITS._replace(enabled=False, token_waiting=1)).fair
    calls = [Ticket() for _ in range(9)]
    assert {fair.enter("router", "alice", ticket) for ticket in calls} == {0}
    fair.reconfigure(LIMITS._replace(token_waiting=1))
    assert fair.enter("router", "alice", Ticket()) == 1
    for ticket in calls:
        fair.leave(ticket)
    assert fair.enter("router", "alice", Ticket()) == 0


def test_a_source_that_fails_too_often_waits_and_others_do_not(world: World) -> None:
    world.fail("192.0.2.1", 5)
    assert world.fair.source_wait("192.0.2.1") == 0
    world.fail("192.0.2.1", 1)
    assert world.fair.source_wait("192.0.2.1") == 1
    assert world.fair.source_wait("192.0.2.2") == 0
    world.clock.now += 1
    assert world.fair.source_wait("192.0.2.1") == 0


def test_who_goes_on_failing_waits_no_longer_for_that(world: World) -> None:
    world.fail("192.0.2.1", 1000)
    assert world.fair.source_wait("192.0.2.1") == 1


@pytest.mark.parametrize(
    ("other", "same"),
    [
        ("2001:db8:0:1:ffff::9", True),
        ("2001:DB8::1:0:0:0:2", True),
        ("2001:db8:0:2::1", False),
        ("192.0.2.1", False),
    ],
)
def test_all_of_a_slash_64_are_one_source(world: World, other: str, same: bool) -> None:
    world.fail("2001:db8:0:1::1", 6)
    assert (world.fair.source_wait(other) > 0) is same


def test_an_ipv4_address_is_the_same_in_an_ipv6_one(world: World) -> None:
    world.fail("::ffff:192.0.2.1", 6)
    assert world.fair.source_wait("192.0.2.1") == 1


def test_who_is_not_known_never_waits(world: World) -> None:
    world.fail("", 1000)
    assert world.fair.source_wait("") == 0


def test_a_token_waits_for_its_own_attempts_and_its_accounts(world: World) -> None:
    for token in ("one", "two", "three"):
        for _ in range(20):
            world.fair.attempted(token, "alice")
    assert world.fair.attempt_wait("one", "alice") == pytest.approx(0.1)
    assert world.fair.attempt_wait("new", "alice") == pytest.approx(0.01)
    assert world.fair.attempt_wait("new", "bob") == 0


def test_to_ask_takes_nothing(world: World) -> None:
    for _ in range(1000):
        assert world.fair.attempt_wait("one", "alice") == 0
        assert world.fair.source_wait("192.0.2.1") == 0


def test_changes_are_taken_from_both_or_from_none(world: World) -> None:
    assert world.fair.take_changes("one", "alice", 12) == 0
    assert world.fair.take_changes("two", "alice", 12) == 0
    assert world.fair.take_changes("three", "alice", 12) == pytest.approx(0.6)
    world.clock.now += 0.6
    assert world.fair.take_changes("three", "alice", 12) == 0, "it lost nothing by being refused"
    assert world.fair.take_changes("three", "alice", 1) == 1


def test_more_changes_than_the_burst_once_the_bucket_is_full(world: World) -> None:
    assert world.fair.take_changes("one", "alice", 10_000) == 0
    wait = world.fair.take_changes("one", "alice", 10_000)
    assert wait == 12
    world.clock.now += wait
    assert world.fair.take_changes("one", "alice", 10_000) == 0


def test_both_families_of_many_hosts_may_change_together() -> None:
    world = World(LIMITS._replace(token_changes=Rate(1, 120)))
    assert [world.fair.take_changes("one", "alice", 1) for _ in range(30)] == [0] * 30


def test_without_limits_nobody_waits() -> None:
    world = World(LIMITS._replace(enabled=False))
    world.fail("192.0.2.1", 1000)
    for _ in range(1000):
        world.fair.attempted("one", "alice")
        assert world.fair.take_changes("one", "alice", 1000) == 0
    assert world.fair.attempt_wait("one", "alice") == 0
    assert world.fair.source_wait("192.0.2.1") == 0


def test_other_limits_hold_from_now_on_and_the_same_change_nothing(world: World) -> None:
    world.fail("192.0.2.1", 6)
    world.fair.reconfigure(LIMITS._replace())
    assert world.fair.source_wait("192.0.2.1") == 1
    world.fair.reconfigure(LIMITS._replace(source_failures=Rate(0.1, 2)))
    assert world.fair.source_wait("192.0.2.1") == 0
    world.fail("192.0.2.1", 2)
    assert world.fair.source_wait("192.0.2.1") == pytest.approx(10)
    world.fair.reconfigure(LIMITS._replace(enabled=False))
    assert world.fair.source_wait("192.0.2.1") == 0


def test_a_hundred_thousand_sources_take_no_more_memory_than_the_table_has_places() -> None:
    fair = FairUse(LIMITS, Clock())
    tracemalloc.start()
    for number in range(100_000):
        fair.failed(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}")
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 10_000_000


def test_who_has_used_up_everything_is_remembered_whatever_comes(world: World) -> None:
    world.fail("192.0.2.1", 6)
    for number in range(100_000):
        world.fair.failed(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}")
    assert world.fair.source_wait("192.0.2.1") == 1


def test_who_went_on_taking_is_not_forgotten_by_what_it_took_first() -> None:
    table = Buckets(Rate(1, 10), 2)
    table.take("much", 0)
    table.take("little", 0, 5)
    table.take("much", 0, 9)
    table.take("more", 0, 8)
    assert [table.wait(name, 0) for name in ("much", "little", "more")] == [1, 0, 0]
    assert [table.wait(name, 0, 10) for name in ("much", "little", "more")] == [10, 0, 8]


def test_what_is_full_again_is_forgotten_while_others_come() -> None:
    table = Buckets(Rate(1, 10), 1000)
    for number in range(1000):
        table.take(f"early-{number}", 0)
    for number in range(100):
        table.take(f"late-{number}", 2)
    assert len(table) <= 1000 - 100


ACTS = st.lists(
    st.tuples(st.sampled_from("abcdefgh"), st.floats(0, 20), st.integers(1, 30)), min_size=1, max_size=200
)


@given(ACTS)
def test_a_table_with_room_does_as_a_bucket_for_each_would(acts: list[Any]) -> None:
    rate, now = Rate(1, 10), 0.0
    table = Buckets(rate, 8)
    levels: defaultdict[str, float] = defaultdict(lambda: rate.burst)
    seen: defaultdict[str, float] = defaultdict(float)
    for name, pause, count in acts:
        now += pause
        level = min(rate.burst, levels[name] + (now - seen[name]))
        assert table.wait(name, now, count) == pytest.approx(max(0, min(count, 10) - level), abs=1e-6)
        table.take(name, now, count)
        levels[name], seen[name] = max(0, level - count), now


@given(ACTS, st.integers(1, 4))
def test_a_table_is_never_larger_than_it_may_and_nobody_waits_for_others(acts: list[Any], most: int) -> None:
    rate, now = Rate(1, 10), 0.0
    table, alone = Buckets(rate, most), Buckets(rate, 8)
    for name, pause, count in acts:
        now += pause
        assert table.wait(name, now, count) <= alone.wait(name, now, count) + 1e-6
        table.take(name, now, count)
        alone.take(name, now, count)
        assert len(table) <= most
