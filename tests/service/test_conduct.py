"""What clients are charged for, who has to wait, and what is remembered of refusals."""

from datetime import timedelta

import pytest

from ddnsd.model.addresses import Family
from ddnsd.model.decision import Plan, decide
from ddnsd.model.ratelimit import Rate
from ddnsd.model.request import (
    Limited,
    Moved,
    Refusal,
    Request,
    Skipped,
    Unchanged,
    Updated,
    UpdateRequest,
    UpdateResult,
)
from ddnsd.model.resources import digest
from ddnsd.service.limits import ClientLimits, FairUse, FairUseLimits, RefusedAttempts, Ticket, newest
from tests.model.world import BLOG, NOW, World, read_all, small_world

SOURCE, STRANGER = "198.51.100.1", "203.0.113.1"
GOOD = Request(BLOG.name, "192.0.2.7", "secret", SOURCE)
BAD = GOOD._replace(token="wrong-token-of-somebody")
UPDATED = (Updated(BLOG.name, "192.0.2.7", Family.A, ""),)
UNCHANGED = (Unchanged(BLOG.name, "192.0.2.7", Family.A),)


class Judge:
    """A conduct with one of everything at a time, and a clock that stands still."""

    def __init__(self, world: World) -> None:
        one = Rate(0.001, 1)
        fair = FairUse(FairUseLimits(True, one, one, one, one, one), clock=lambda: 0.0)
        self.refused = RefusedAttempts()
        self.conduct = ClientLimits(world.state, fair, self.refused)
        self.world = world

    def waits(self, request: Request) -> bool:
        return self.conduct.wait(request, digest(request.token)) > 0

    def answered(self, request: Request, answer: UpdateResult) -> None:
        attempt = read_all(request)
        name = attempt.name if isinstance(attempt, UpdateRequest) else ""
        self.conduct.note(request, digest(request.token), name, answer)

    def changes(self, request: Request) -> bool:
        attempt = read_all(request)
        assert not isinstance(attempt, Refusal)
        plan = decide(self.world.state, attempt, NOW)
        assert isinstance(plan, Plan)
        return self.conduct.enter(plan, Ticket()) == 0


@pytest.fixture
def judge() -> Judge:
    return Judge(small_world())


@pytest.mark.parametrize("answer", [UNCHANGED, (*UNCHANGED, Moved(BLOG.name, "2001:db8::/64", 9, 0))])
def test_who_repeats_what_is_never_waits(judge: Judge, answer: tuple[Moved | Unchanged, ...]) -> None:
    for _ in range(100):
        judge.answered(GOOD, answer)
    assert not judge.waits(GOOD)


def test_a_prefix_that_many_hosts_follow_is_no_free_question(judge: Judge) -> None:
    judge.answered(GOOD, (Moved(BLOG.name, "2001:db8::/64", 100, 0),))
    assert judge.waits(GOOD)


@pytest.mark.parametrize("refusal", [Refusal.NAMESERVER_FAILED, Refusal.STORE_FAILED])
def test_nobody_is_charged_for_what_others_failed_to_do(judge: Judge, refusal: Refusal) -> None:
    for _ in range(100):
        judge.answered(GOOD, refusal)
        judge.answered(BAD, refusal)
    assert not judge.waits(GOOD)
    assert not judge.waits(BAD)


def test_what_the_nameserver_was_there_for_and_refused_is_an_attempt(judge: Judge) -> None:
    judge.conduct.note(GOOD, digest("secret"), BLOG.name, Refusal.NAMESERVER_FAILED, refused=True)
    assert judge.waits(GOOD)


def test_who_has_a_token_is_charged_by_it_and_not_by_where_it_comes_from(judge: Judge) -> None:
    judge.answered(GOOD, UPDATED)
    assert judge.waits(GOOD)
    judge.world.token("another", "other-secret")
    judge.world.account("bob")
    judge.world.token("bobs", "bobs-secret", "bob")
    assert judge.waits(GOOD._replace(token="other-secret")), "the account's attempts are used up, too"
    assert not judge.waits(GOOD._replace(token="bobs-secret")), "another account behind the same address"


def test_who_tries_wrong_tokens_has_to_wait_and_who_has_a_right_one_beside_it_does_not(judge: Judge) -> None:
    judge.answered(BAD, Refusal.UNKNOWN_TOKEN)
    assert judge.waits(BAD)
    assert not judge.waits(BAD._replace(source=STRANGER))
    assert not judge.waits(GOOD)


def test_where_the_source_is_not_known_a_failure_is_the_proxys(judge: Judge) -> None:
    behind = BAD._replace(source="", peer="10.0.0.1")
    judge.answered(behind, Refusal.UNKNOWN_TOKEN)
    assert judge.waits(behind)
    assert not judge.waits(behind._replace(source=STRANGER))
    assert not judge.waits(GOOD._replace(source="", peer="10.0.0.1"))


def test_whoever_has_a_token_is_listened_to_when_all_strangers_wait(judge: Judge) -> None:
    one = Rate(0.001, 1)
    fair = FairUse(FairUseLimits(True, one, one, one, one, one, process_failures=one), lambda: 0.0)
    conduct = ClientLimits(judge.world.state, fair, RefusedAttempts())
    conduct.malformed("2001:db8::1")
    assert conduct.wait(BAD, digest(BAD.token)) > 0
    assert conduct.wait(GOOD, digest(GOOD.token)) == 0


def test_what_cannot_be_read_is_its_sources_failure(judge: Judge) -> None:
    judge.conduct.malformed(SOURCE)
    assert judge.waits(BAD)
    assert not judge.waits(GOOD)


def test_a_request_without_a_token_is_its_sources_failure(judge: Judge) -> None:
    judge.conduct.note(GOOD._replace(token=""), "", "", Refusal.MISSING_TOKEN)
    assert judge.waits(BAD)


def test_changes_are_taken_before_they_are_made(judge: Judge) -> None:
    assert judge.changes(GOOD)
    assert not judge.changes(GOOD._replace(ip="192.0.2.8"))


def test_to_try_a_refused_change_once_more_is_another_change(judge: Judge) -> None:
    judge.world.commit(BLOG, "192.0.2.7")
    judge.world.refuse(BLOG)
    attempt = read_all(GOOD)
    assert not isinstance(attempt, Refusal)
    plan = decide(judge.world.state, attempt, NOW + timedelta(seconds=5))
    assert isinstance(plan, Plan)
    assert plan.changes == 1


def test_refusals_are_remembered_without_what_may_be_a_secret(judge: Judge) -> None:
    judge.answered(BAD, Refusal.UNKNOWN_TOKEN)
    judge.answered(GOOD._replace(domain="nosuch.example.com"), Refusal.NOT_FOUND)
    judge.answered(GOOD._replace(domain="a-token-in-the-wrong-place"), Refusal.NOT_FOUND)
    judge.answered(GOOD, Limited(1.0))
    judge.answered(GOOD, UPDATED)
    told = [(each.name, each.result, each.token) for each in newest(judge.refused.all(), 9)]
    assert told == [
        ("", "not_found", "router"),
        ("nosuch.example.com", "not_found", "router"),
        (BLOG.name, "unknown_token", ""),
    ]


def test_what_is_left_out_is_shown_once_with_its_count(judge: Judge) -> None:
    skipped = Skipped(BLOG.name, "2001:db8::7", Family.AAAA, Refusal.RECORD_DISABLED)
    for _ in range(2):
        judge.answered(GOOD, (*UPDATED, skipped))
    (attempt,) = judge.refused.all()
    shown = (attempt.name, attempt.result, attempt.source, attempt.left_out, attempt.count)
    assert shown == (BLOG.name, "record_disabled", SOURCE, "2001:db8::7", 2)
