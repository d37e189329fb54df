"""What the nameserver itself refuses: answered from what is stored for a while, then tried once more."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from ddnsd.model.decision import Decision, Join, Move, Plan, RecordChange, Refused, decide
from ddnsd.model.publication import pause_after
from ddnsd.model.request import Refusal, Request, UpdateRequest
from tests.model.world import BLOG, BLOG6, NOW, World, read_all, small_world

IP, OLD_IP, SIX = "192.0.2.7", "192.0.2.4", "2001:db8:1:2::7"
ASKED = Request(BLOG.name, IP, "secret", "")
PREFIX = Request("plain.example.com", "", "secret", "", prefix="2001:db8:1:2::/64")
SECOND = timedelta(seconds=1)


def decided(world: World, asked: Request = ASKED, at: datetime = NOW) -> Decision:
    attempt = read_all(asked)
    assert isinstance(attempt, UpdateRequest)
    return decide(world.state, attempt, at)


def refused(times: int = 0) -> World:
    world = small_world()
    world.commit(BLOG, IP, previous=OLD_IP, again=times)
    world.refuse(BLOG)
    return world


def followed(times: int = 0) -> World:
    world = small_world()
    world.host(ipv6_suffix="::7")
    world.host("plain.example.com")
    world.commit(BLOG6, SIX, again=times)
    world.refuse(BLOG6)
    return world


@pytest.mark.parametrize(
    ("times", "seconds"), [(0, 5), (1, 10), (2, 20), (5, 160), (6, 300), (7, 300), (10**9, 300)]
)
def test_the_pause_doubles(times: int, seconds: int) -> None:
    assert pause_after(times) == seconds * SECOND


@pytest.mark.parametrize("times", [0, 3])
def test_a_refusal_is_the_answer_until_its_pause_is_over(times: int) -> None:
    world, over = refused(times), NOW + pause_after(times)
    assert decided(world) is decided(world, at=over - SECOND) is Refusal.NAMESERVER_FAILED
    plan = decided(world, at=over)
    assert isinstance(plan, Plan)
    assert plan.steps == (RecordChange(BLOG, IP, IP, OLD_IP, "example.com", again=True, times=times + 1),)
    assert plan.changes == 1


def test_a_refusal_by_a_clock_ahead_of_this_one_is_no_answer() -> None:
    assert isinstance(decided(refused(), at=NOW - SECOND), Plan)


def test_another_value_is_an_attempt_of_its_own() -> None:
    plan = decided(refused(6), ASKED._replace(ip="192.0.2.8"))
    assert isinstance(plan, Plan)
    assert plan.steps == (RecordChange(BLOG, "192.0.2.8", "192.0.2.8", IP, "example.com", again=False),)


@pytest.mark.parametrize("change", [lambda world: world.host(ttl=30), lambda world: world.zone(ttl=30)])
def test_a_change_of_the_host_or_its_zone_ends_the_pauses(change: Callable[..., Any]) -> None:
    world = refused(6)
    change(world)
    plan = decided(world)
    assert isinstance(plan, Plan)
    assert plan.steps == (RecordChange(BLOG, IP, IP, OLD_IP, "example.com", again=True, times=0),)


def test_a_reconcile_ends_the_pause_as_it_tries_by_itself() -> None:
    world = refused(6)
    revision = world.state.addresses[BLOG].revision
    world.try_again(BLOG)
    plan = decided(world)
    assert isinstance(plan, Plan)
    assert plan.steps == (Join(BLOG, revision, IP, OLD_IP, published=False),)


def test_what_is_beside_a_refused_record_is_committed_and_the_answer_known() -> None:
    plan = decided(refused(), ASKED._replace(ipv6="2001:db8::8"))
    assert isinstance(plan, Plan)
    assert plan.steps[0] == Refused(BLOG)
    assert isinstance(plan.steps[1], RecordChange)
    assert plan.refused


def test_a_prefix_that_only_waits_for_a_refused_host_is_answered_so() -> None:
    assert decided(followed(), PREFIX) is Refusal.NAMESERVER_FAILED


def test_a_refused_host_follows_its_prefix_once_more_after_the_pause() -> None:
    plan = decided(followed(2), PREFIX, NOW + pause_after(2))
    assert isinstance(plan, Plan)
    (move,) = plan.steps
    assert isinstance(move, Move)
    assert (move.moving, move.again, move.resting, move.due, plan.changes) == ((), (BLOG6,), (), True, 1)
    assert move.result.moved == 1


def test_others_follow_their_prefix_meanwhile() -> None:
    world = followed()
    world.host("nas.example.com", ipv6_suffix="::9")
    plan = decided(world, PREFIX)
    assert isinstance(plan, Plan)
    (move,) = plan.steps
    assert isinstance(move, Move)
    assert (len(move.moving), move.resting) == (1, (BLOG6,))
    assert plan.refused


def test_a_refresh_is_not_written_with_each_repetition_of_what_waits() -> None:
    world = small_world()
    world.host(expires_after=8 * 3600)
    world.see(BLOG.name)
    world.commit(BLOG, IP)
    plan = decided(world)
    assert isinstance(plan, Plan)
    assert plan.sighted == ()
    world.refuse(BLOG)
    assert decided(world) is Refusal.NAMESERVER_FAILED
