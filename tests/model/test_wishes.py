"""What clients may ask for beyond one address: families, names, withdrawals, challenges, prefixes."""

from datetime import timedelta

import pytest

from ddnsd.model.addresses import Challenge, Family
from ddnsd.model.decision import Join, Move, Plan, RecordChange, Step, decide
from ddnsd.model.publication import holding
from ddnsd.model.records import RecordKey
from ddnsd.model.request import Moved, Refusal, Request, Skipped, Unchanged, UpdateRequest
from ddnsd.model.resources import Scope
from tests.model.test_decision import IP, decided, planned, request
from tests.model.world import BLOG, BLOG6, NOW, World, read_all, small_world
from tests.narrow import only


def steps_of(world: World, *asked: Request) -> tuple[Step, ...]:
    decision = planned(world, *asked)
    assert not isinstance(decision, Refusal), decision
    return decision.steps if isinstance(decision, Plan) else decision


def published(world: World, record: RecordKey, ip: str) -> None:
    world.commit(record, ip)
    world.publish(record)


def test_both_families_are_one_plan_in_the_order_of_their_types() -> None:
    world = small_world()
    published(world, BLOG6, "2001:db8::1")
    steps = steps_of(world, request(ip="2001:db8::1")._replace(ipv6="2001:db8::1"))
    assert steps == (Unchanged(BLOG.name, "2001:db8::1", Family.AAAA),)
    four, six = steps_of(world, request()._replace(ipv6="2001:DB8::2"))
    assert isinstance(four, RecordChange)
    assert isinstance(six, RecordChange)
    assert (four.record, four.content) == (BLOG, IP)
    assert (six.record, six.content, six.previous) == (BLOG6, "2001:db8::2", "2001:db8::1")


@pytest.mark.parametrize(
    "asked",
    [
        request()._replace(ipv6="192.0.2.8"),
        request()._replace(ipv6="nonsense"),
        request(ip="2001:db8::1")._replace(ipv6="2001:db8::2"),
        request(ip="nonsense")._replace(ipv6="2001:db8::2"),
        request()._replace(prefix="2001:db8::"),
        request()._replace(prefix="2001:db8::/65"),
        request()._replace(prefix="192.0.2.0/24"),
    ],
)
def test_an_address_of_the_wrong_family_or_no_prefix_is_refused(asked: Request) -> None:
    assert planned(small_world(), asked) is Refusal.INVALID_IP


def test_one_family_alone_never_takes_the_clients_own_address_for_the_other() -> None:
    (six,) = steps_of(small_world(), request(ip="", source="198.51.100.1")._replace(ipv6="2001:db8::1"))
    assert isinstance(six, RecordChange)
    assert six.record == BLOG6


def test_a_name_that_is_asked_for_twice_is_changed_once() -> None:
    assert len(steps_of(small_world(), request(), request(f"{BLOG.name.upper()}."))) == 1


@pytest.mark.parametrize("moves", [(True, False), (False, True), (True, True)])
def test_a_name_that_is_asked_for_twice_with_a_prefix_is_changed_once_and_moves_the_others(
    moves: tuple[bool, bool],
) -> None:
    world = followed()
    again = f"{BLOG.name.upper()}."
    asked = [
        PREFIX._replace(domain=name, moves=does) for name, does in zip((BLOG.name, again), moves, strict=True)
    ]
    own, move = steps_of(world, *asked)
    assert isinstance(own, RecordChange)
    assert isinstance(move, Move)


def test_several_names_are_done_together_or_not_at_all() -> None:
    world = small_world()
    world.host("other.example.com")
    plan = planned(world, request(), request("other.example.com"))
    assert isinstance(plan, Plan)
    assert [only(RecordChange, step).record.name for step in plan.steps] == [BLOG.name, "other.example.com"]
    assert {entry.key for entry in plan.reads} >= {"hosts/blog.example.com", "hosts/other.example.com"}
    world.host("other.example.com", enabled=False)
    assert planned(world, request(), request("other.example.com")) is Refusal.RECORD_DISABLED


# Withdrawing


CLEAR = request(ip="")._replace(clear=(Family.A, Family.AAAA))


def test_a_withdrawal_leaves_a_tombstone_and_tells_what_was_there() -> None:
    world = small_world()
    published(world, BLOG, IP)
    four, six = steps_of(world, CLEAR)
    assert four == RecordChange(BLOG, "", "", IP, "example.com", again=False)
    assert six == Unchanged(BLOG.name, "", Family.AAAA)


def test_both_families_can_be_withdrawn_from_a_host_that_has_but_one() -> None:
    world = small_world()
    world.host(families=(Family.A,))
    assert steps_of(world, CLEAR) == tuple(Unchanged(BLOG.name, "", family) for family in Family)


def test_a_family_that_was_taken_from_the_host_is_withdrawn_already() -> None:
    world = small_world()
    published(world, BLOG6, "2001:db8::1")
    world.withdraw(BLOG6)
    world.host(families=(Family.A,))
    assert steps_of(world, CLEAR)[1] == Unchanged(BLOG.name, "", Family.AAAA)


def test_an_answer_is_about_all_records_at_one_moment() -> None:
    world = small_world()
    published(world, BLOG6, "2001:db8::1")
    plan = planned(world, request()._replace(ipv6="2001:db8::1"))
    assert isinstance(plan, Plan)
    assert plan.records == {BLOG: 0, BLOG6: world.state.addresses[BLOG6].revision}, "the unchanged one, too"


def test_a_withdrawal_on_its_way_is_joined() -> None:
    world = small_world()
    published(world, BLOG, IP)
    revision = world.withdraw(BLOG, cleared=True)
    assert steps_of(world, CLEAR)[0] == Join(BLOG, revision, "", "", published=False)


def test_what_was_withdrawn_with_an_earlier_host_of_the_name_is_withdrawn_anew() -> None:
    world = small_world()
    published(world, BLOG, IP)
    world.withdraw(BLOG)
    step = steps_of(world, CLEAR)[0]
    assert isinstance(step, RecordChange)
    assert step.again


def test_a_withdrawn_address_can_be_set_again() -> None:
    world = small_world()
    published(world, BLOG, IP)
    world.withdraw(BLOG, cleared=True)
    step = decided(world, request())
    assert isinstance(step, RecordChange)
    assert (step.content, step.previous) == (IP, "")


# Challenges


ONE, TWO, THREE = (word.ljust(43, "_") for word in ("one", "two", "three"))
CHALLENGE = RecordKey(BLOG.name, Challenge.TXT)


def challenge(value: str) -> Request:
    return request(ip="")._replace(text=value)


def content_after(world: World, value: str) -> str:
    step = decided(world, challenge(value))
    assert isinstance(step, RecordChange)
    assert (step.record, step.shown) == (CHALLENGE, value)
    return step.content


def test_the_two_newest_challenges_are_kept() -> None:
    world = small_world()
    assert content_after(world, ONE) == ONE
    published(world, CHALLENGE, ONE)
    assert content_after(world, TWO) == f"{ONE} {TWO}"
    published(world, CHALLENGE, f"{ONE} {TWO}")
    assert content_after(world, THREE) == f"{TWO} {THREE}"
    assert content_after(world, ONE) == f"{TWO} {ONE}", "asked for again it is the newest"
    assert decided(world, challenge(TWO)) == Unchanged(BLOG.name, TWO, Challenge.TXT)


@pytest.mark.parametrize("text", ["short", "x" * 44, "a value " + "x" * 35, "ü" * 43])
def test_what_is_no_challenge_is_refused(text: str) -> None:
    assert planned(small_world(), challenge(text)) is Refusal.INVALID_IP


def test_a_challenge_that_is_asked_for_long_after_gets_its_time_again() -> None:
    world = small_world()
    published(world, CHALLENGE, f"{ONE} {TWO}")
    attempt = read_all(challenge(TWO))
    assert isinstance(attempt, UpdateRequest)
    later = decide(world.state, attempt, NOW + timedelta(hours=2))
    assert isinstance(later, Plan)
    assert isinstance(later.steps[0], RecordChange)


def test_a_name_that_leaves_no_room_for_a_challenge_has_none() -> None:
    world, long = small_world(), ".".join(["a" * 60] * 3 + ["b" * 57, "example.com"])
    world.host(long)
    assert len(long) > 253 - len("_acme-challenge.")
    assert planned(world, challenge(ONE)._replace(domain=long)) is Refusal.FAMILY_MISMATCH


@pytest.mark.parametrize(
    ("scopes", "address", "text"),
    [
        (None, True, True),
        ((Scope.ADDRESS,), True, False),
        ((Scope.TXT,), False, True),
        (tuple(Scope), True, True),
    ],
)
def test_a_token_writes_what_it_is_for(scopes: tuple[Scope, ...] | None, address: bool, text: bool) -> None:
    world = small_world()
    world.token(scopes=scopes)
    assert isinstance(planned(world, request()), Plan) is address
    assert isinstance(planned(world, challenge(ONE)), Plan) is text
    if not address:
        assert planned(world, request()) is planned(world, CLEAR) is Refusal.NOT_FOUND
        assert planned(world, request()._replace(prefix="2001:db8::/64")) is Refusal.NOT_FOUND


def test_who_has_to_know_the_tokens_name_has_to_know_it() -> None:
    world = small_world()
    assert isinstance(planned(world, challenge(ONE)._replace(user="router")), Plan)
    assert planned(world, challenge(ONE)._replace(user="another")) is Refusal.UNKNOWN_TOKEN


# Prefixes


PREFIX = request(ip="")._replace(prefix="2001:db8:1:2::/64")
OTHER6 = RecordKey("other.example.com", Family.AAAA)


def followed() -> World:
    """Return a world with two hosts that follow prefixes, one that does not, and another account's."""
    world = small_world()
    world.host(ipv6_suffix="::7")
    world.host("other.example.com", ipv6_suffix="::1:2:3:8", ipv6_subnet="ff")
    world.host("plain.example.com")
    world.account("bob")
    world.host("bobs.example.com", "bob", ipv6_suffix="::9")
    return world


def move_of(world: World, asked: Request) -> Move | Moved:
    last = steps_of(world, asked)[-1]
    assert isinstance(last, Move | Moved)
    return last


def test_a_prefix_moves_all_hosts_that_follow_and_that_the_token_may_change() -> None:
    world = followed()
    world.host("other.example.com", ipv6_suffix="::1:2:3:8")
    move = move_of(world, PREFIX)
    assert isinstance(move, Move)
    assert set(move.moving) == {BLOG6, OTHER6}
    world.token(hosts=(BLOG.name,))
    move = move_of(world, PREFIX)
    assert isinstance(move, Move)
    assert move.moving == (BLOG6,)


def test_a_subnet_that_the_prefix_has_no_room_for_is_left_where_it_is() -> None:
    move = move_of(followed(), PREFIX)
    assert isinstance(move, Move)
    assert move.moving == (BLOG6,)
    move = move_of(followed(), PREFIX._replace(prefix="2001:db8:1:2::/56"))
    assert isinstance(move, Move)
    assert set(move.moving) == {BLOG6, OTHER6}


def test_below_a_prefix_a_host_that_follows_has_its_own_address_whatever_else_is_sent() -> None:
    world = followed()
    own, move = steps_of(world, PREFIX._replace(ipv6="2001:db8:1:2::ffff"))
    assert isinstance(own, RecordChange)
    assert (own.record, own.content) == (BLOG6, "2001:db8:1:2::7")
    plain, move = steps_of(world, PREFIX._replace(domain="plain.example.com", ipv6="2001:db8:1:2::ffff"))
    assert isinstance(plain, RecordChange)
    assert plain.content == "2001:db8:1:2::ffff"
    assert isinstance(move, Move)


def test_a_prefix_that_all_follow_already_is_unchanged() -> None:
    world = followed()
    published(world, BLOG6, "2001:db8:1:2::7")
    unchanged = (
        Unchanged(BLOG.name, "2001:db8:1:2::7", Family.AAAA),
        Moved(BLOG.name, "2001:db8:1:2::/64", 1, 0),
    )
    assert steps_of(world, PREFIX) == unchanged
    world.placement(verified=False)
    assert isinstance(move_of(world, PREFIX), Move), "what is served is not known"


def test_a_move_on_its_way_is_joined_by_who_asks_for_the_same() -> None:
    world = followed()
    revision = world.move("2001:db8:1:2::/64")
    own, move = steps_of(world, PREFIX)
    assert own == Join(BLOG6, revision, "2001:db8:1:2::7", "", published=False)
    assert isinstance(move, Move)
    assert move.moving == ()
    assert [join.record for join in move.joined] == [BLOG6]


def test_a_move_on_its_way_counts_as_committed() -> None:
    world = followed()
    published(world, BLOG6, "2001:db8::1")
    world.move("2001:db8:1:2::/64")
    step = decided(world, request(ip="2001:db8::1"))
    assert isinstance(step, RecordChange), "what was published is not what is to be"
    assert step.previous == "2001:db8:1:2::7"
    world.commit(BLOG6, "2001:db8::1")
    assert isinstance(decided(world, request(ip="2001:db8::1")), Join), "the newer one wins"


def test_of_several_moves_on_their_way_the_newest_that_has_an_address_for_the_host_counts() -> None:
    world = followed()
    world.token("second", "another")
    world.move("2001:db8:1::/64", "second")
    world.move("2001:db8:2::/64")
    assert holding(world.state, BLOG6) == ("2001:db8:2::7", world.revision)
    newest = world.revision
    world.move("2001:db8:3::/64", "second", hosts=("other.example.com",))
    assert holding(world.state, BLOG6) == ("2001:db8:2::7", newest)
    assert holding(world.state, OTHER6) == ("", 0), "its subnet fits none"


def test_a_move_on_its_way_changes_nothing_for_a_host_that_is_there_already() -> None:
    world = followed()
    published(world, BLOG6, "2001:db8:1:2::7")
    world.move("2001:db8:1:2::/64")
    plain = PREFIX._replace(domain="plain.example.com")
    assert decided(world, request(ip="2001:db8:1:2::7")) == Unchanged(
        BLOG.name, "2001:db8:1:2::7", Family.AAAA
    )
    assert move_of(world, plain) == Moved("plain.example.com", "2001:db8:1:2::/64", 1, 0)
    world.refuse(BLOG6)
    move = move_of(world, plain)
    assert isinstance(move, Move)
    assert move.joined, "it is being tried again"


def test_a_prefix_refreshes_those_that_expire_and_follow_though_nothing_moves() -> None:
    world = followed()
    world.host(ipv6_suffix="::7", expires_after=8 * 3600)
    published(world, BLOG6, "2001:db8:1:2::7")
    plain = PREFIX._replace(domain="plain.example.com")
    world.see(BLOG.name, NOW - timedelta(hours=3))
    plan = planned(world, plain)
    assert isinstance(plan, Plan)
    (move,) = plan.steps
    assert isinstance(move, Move)
    assert (move.due, move.result.moved, plan.changes) == (True, 0, 0)
    world.see(BLOG.name, NOW - timedelta(hours=2))
    assert move_of(world, plain) == Moved("plain.example.com", "2001:db8:1:2::/64", 1, 0)


def test_a_disabled_host_does_not_follow() -> None:
    world = followed()
    world.host(ipv6_suffix="::7", enabled=False)
    plain = PREFIX._replace(domain="plain.example.com")
    assert move_of(world, plain) == Moved("plain.example.com", "2001:db8:1:2::/64", 0, 0)


# Hosts that expire


def test_a_refresh_is_written_when_the_last_one_is_older_than_a_quarter_of_the_time() -> None:
    world = small_world()
    world.host(expires_after=8 * 3600)
    published(world, BLOG, IP)
    world.see(BLOG.name, NOW - timedelta(hours=2))
    assert decided(world, request()) == Unchanged(BLOG.name, IP, Family.A)
    assert not isinstance(planned(world, request()), Plan)
    world.see(BLOG.name, NOW - timedelta(hours=2, seconds=1))
    plan = planned(world, request())
    assert isinstance(plan, Plan)
    assert (plan.steps, plan.sighted, plan.changes) == (
        (Unchanged(BLOG.name, IP, Family.A),),
        ((BLOG.name, (Family.A,)),),
        0,
    )
    assert plan.records == {BLOG: world.state.addresses[BLOG].revision}, "what expires is not refreshed"


def test_a_change_is_a_refresh_however_fresh_the_host_is() -> None:
    world = small_world()
    world.host(expires_after=8 * 3600)
    world.see(BLOG.name)
    plan = planned(world, request())
    assert isinstance(plan, Plan)
    assert plan.sighted == ((BLOG.name, (Family.A,)),)


def test_neither_a_withdrawal_nor_a_challenge_is_a_refresh() -> None:
    world = small_world()
    world.host(expires_after=8 * 3600)
    published(world, BLOG, IP)
    for asked in (CLEAR, challenge(ONE)):
        plan = planned(world, asked)
        assert isinstance(plan, Plan)
        assert plan.sighted == ()


# Parts that a host cannot take


@pytest.mark.parametrize(
    ("families", "left", "out"),
    [
        ((Family.A,), Family.A, Family.AAAA),
        ((Family.AAAA,), Family.AAAA, Family.A),
    ],
)
def test_a_part_of_a_family_that_the_host_does_not_have_is_left_out(
    families: tuple[Family], left: Family, out: Family
) -> None:
    world = small_world()
    world.host(families=families)
    ips = {Family.A: IP, Family.AAAA: "2001:db8::1"}
    plan = planned(world, request()._replace(ipv6="2001:db8::1"))
    assert isinstance(plan, Plan)
    change, skipped = plan.steps
    assert isinstance(change, RecordChange)
    assert change.record == RecordKey(BLOG.name, left)
    assert skipped == Skipped(BLOG.name, ips[out], out, Refusal.FAMILY_MISMATCH)
    assert world.state.hosts[BLOG.name] in plan.reads, "it holds as long as the host is as it is"
    published(world, RecordKey(BLOG.name, left), ips[left])
    unchanged = (Unchanged(BLOG.name, ips[left], left), skipped)
    assert planned(world, request()._replace(ipv6="2001:db8::1")) == unchanged


@pytest.mark.parametrize(
    ("asked", "refusal"),
    [
        (request(ip="2001:db8::1"), Refusal.FAMILY_MISMATCH),
        (request(ip="")._replace(ipv6="2001:db8::1"), Refusal.FAMILY_MISMATCH),
        (request(ip="2001:db8::1")._replace(prefix="2001:db8::/64", moves=False), Refusal.FAMILY_MISMATCH),
        (request()._replace(ipv6="nonsense"), Refusal.INVALID_IP),
        (request()._replace(ipv6="ff02::1"), Refusal.INVALID_IP),
        (request()._replace(more=("0.1.2.3",)), Refusal.INVALID_IP),
    ],
)
def test_with_nothing_left_or_a_mistake_all_is_refused(asked: Request, refusal: Refusal) -> None:
    world = small_world()
    world.host(families=(Family.A,))
    assert planned(world, asked) is refusal


def test_a_part_that_the_internet_cannot_reach_is_left_out_where_those_are_refused() -> None:
    world = small_world()
    plan = planned(world, request(ip="10.0.0.1")._replace(ipv6="2001:db8::1"), private=False)
    assert isinstance(plan, Plan)
    change, skipped = plan.steps
    assert isinstance(change, RecordChange)
    assert (change.record, skipped) == (BLOG6, Skipped(BLOG.name, "10.0.0.1", Family.A, Refusal.INVALID_IP))
    plan = planned(world, request(ip="192.168.1.1")._replace(more=(IP,)), private=False)
    assert isinstance(plan, Plan)
    assert [type(step) for step in plan.steps] == [RecordChange, Skipped], "not two addresses of one family"
    plan = planned(world, request()._replace(prefix="fd00::/64"), private=False)
    assert isinstance(plan, Plan)
    assert plan.steps[1:] == (Skipped(BLOG.name, "fd00::/64", Family.AAAA, Refusal.INVALID_IP),)
    for asked in (request(ip="10.0.0.1"), request(ip="10.0.0.1")._replace(ipv6="fd00::1")):
        assert planned(world, asked, private=False) is Refusal.INVALID_IP


def test_a_host_that_has_no_address_below_a_prefix_keeps_its_other_part() -> None:
    world = small_world()
    world.host(ipv6_suffix="::7", ipv6_subnet="ff")
    plan = planned(world, request()._replace(prefix="2001:db8::/60", moves=False))
    assert isinstance(plan, Plan)
    assert isinstance(plan.steps[0], RecordChange)
    assert plan.steps[1:] == (Skipped(BLOG.name, "2001:db8::/60", Family.AAAA, Refusal.INVALID_IP),)
    alone = request(ip="")._replace(prefix="2001:db8::/60")
    assert planned(world, alone) is Refusal.INVALID_IP


def test_several_names_are_done_where_each_has_something_left() -> None:
    world, other = small_world(), "other.example.com"
    world.host(families=(Family.A,))
    world.host(other)
    both = [request()._replace(domain=name, ipv6="2001:db8::1") for name in (BLOG.name, other)]
    plan = planned(world, *both)
    assert isinstance(plan, Plan)
    assert [type(step) for step in plan.steps] == [RecordChange, RecordChange, RecordChange, Skipped]
    six = [request(ip="2001:db8::1")._replace(domain=name) for name in (other, BLOG.name)]
    assert planned(world, *six) is Refusal.FAMILY_MISMATCH


def test_a_wildcard_host_may_be_named_as_its_wildcard() -> None:
    world = small_world()
    world.host(wildcard=True)
    plan = planned(world, request()._replace(domain=f"*.{BLOG.name}"))
    assert plan == planned(world, request())
    both = [request()._replace(domain=name) for name in (f"*.{BLOG.name}", BLOG.name)]
    assert planned(world, *both) == plan, "it is one host"
    for name in (f"*.*.{BLOG.name}", f"x*.{BLOG.name}", "*", "*."):
        assert planned(world, request()._replace(domain=name)) is Refusal.NOT_FOUND
    assert planned(world, request()._replace(domain="*.example.com")) is Refusal.FIRST_LEVEL
    world.host()
    for names in ([f"*.{BLOG.name}"], [f"*.{BLOG.name}", BLOG.name]):
        asked = [request()._replace(domain=name) for name in names]
        assert planned(world, *asked) is Refusal.NOT_FOUND
