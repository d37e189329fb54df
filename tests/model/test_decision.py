"""What an update comes to: every row of the contract's error table, its precedence, and the way on."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from itertools import combinations
from typing import Any, NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.strategies._internal.core import DataObject

from ddnsd.model.addresses import Family
from ddnsd.model.decision import Decision, Join, Plan, RecordChange, Step, decide
from ddnsd.model.records import RecordKey
from ddnsd.model.request import Refusal, Request, Unchanged, UpdateRequest
from ddnsd.model.resources import digest
from tests.model.world import BLOG, BLOG6, NOW, World, read_all, small_world

LATER, EARLIER = NOW + timedelta(hours=1), NOW - timedelta(hours=1)
IP, OLD_IP = "192.0.2.7", "192.0.2.4"


def request(domain: str = BLOG.name, ip: str = IP, token: str = "secret", source: str = "") -> Request:
    return Request(domain, ip, token, source)


def planned(world: World, *asked: Request, private: bool = True) -> Decision:
    attempt = read_all(*asked, private=private)
    return attempt if isinstance(attempt, Refusal) else decide(world.state, attempt, NOW)


def decided(world: World, asked: Request, *, private: bool = True) -> Refusal | Step:
    """Return the refusal of a request of one address, or its one step."""
    decision = planned(world, asked, private=private)
    if isinstance(decision, Refusal):
        return decision
    (step,) = decision.steps if isinstance(decision, Plan) else decision
    return step


class Fault(NamedTuple):
    """Something wrong with an update that is right otherwise: fields of the request or of a spec."""

    refusal: Refusal
    place: str
    fields: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.refusal.name.lower()}:{self.place}.{','.join(self.fields)}"

    def clashes(self, other: "Fault") -> bool:
        return self.place == other.place and not self.fields.keys().isdisjoint(other.fields)


# In the order of the checks: the first one that is there is answered.
FAULTS = (
    Fault(Refusal.MISSING_DOMAIN, "request", {"domain": ""}),
    Fault(Refusal.MISSING_TOKEN, "request", {"token": ""}),
    Fault(Refusal.FIRST_LEVEL, "request", {"domain": "example.com"}),
    Fault(Refusal.FIRST_LEVEL, "request", {"domain": "Elsewhere.NET."}),
    Fault(Refusal.INVALID_IP, "request", {"ip": "192.0.2.256"}),
    Fault(Refusal.INVALID_IP, "request", {"ip": "", "source": ""}),
    Fault(Refusal.INVALID_IP, "request", {"ip": "", "source": "fe80::1%eth0"}),
    Fault(Refusal.UNKNOWN_TOKEN, "request", {"token": "another"}),
    Fault(Refusal.UNKNOWN_TOKEN, "token", {"disabled": True}),
    Fault(Refusal.UNKNOWN_TOKEN, "token", {"expires": NOW}),
    Fault(Refusal.UNKNOWN_TOKEN, "token", {"account": "nobody"}),
    Fault(Refusal.UNKNOWN_TOKEN, "token", {"held": True}),
    Fault(Refusal.UNKNOWN_TOKEN, "account", {"held": True}),
    Fault(Refusal.SUSPENDED, "account", {"status": "suspended"}),
    Fault(Refusal.SUSPENDED, "account", {"status": "suspended", "suspended_until": LATER}),
    Fault(Refusal.BANNED, "account", {"status": "banned"}),
    Fault(Refusal.NOT_FOUND, "request", {"domain": "other.example.com"}),
    Fault(Refusal.NOT_FOUND, "request", {"domain": "no_such_name.example.com"}),
    Fault(Refusal.NOT_FOUND, "token", {"hosts": ("other.example.com",)}),
    Fault(Refusal.NOT_FOUND, "host", {"account": "bob"}),
    Fault(Refusal.ZONE_DISABLED, "zone", {"enabled": False}),
    Fault(Refusal.ZONE_DISABLED, "zone", {"held": True}),
    Fault(Refusal.RECORD_DISABLED, "host", {"enabled": False}),
    Fault(Refusal.RECORD_DISABLED, "host", {"held": True}),
    Fault(Refusal.FAMILY_MISMATCH, "host", {"families": (Family.AAAA,)}),
)
PAIRS = [pair for pair in combinations(FAULTS, 2) if not pair[0].clashes(pair[1])]


def decided_with(faults: Iterable[Fault]) -> Refusal | Step:
    places: dict[str, dict[str, Any]] = {"request": {}, "token": {}, "account": {}, "host": {}, "zone": {}}
    for fault in faults:
        places[fault.place] |= fault.fields
    world = World()
    world.zone(**places["zone"])
    world.account(**places["account"])
    world.account("bob")
    world.host(**places["host"])
    world.token(**places["token"])
    return decided(world, request(**places["request"]))


def test_the_faults_are_all_that_can_be_known_before_a_commit() -> None:
    later = {Refusal.NAMESERVER_FAILED, Refusal.STORE_FAILED}
    assert {fault.refusal for fault in FAULTS} == set(Refusal) - later


def test_without_a_fault_the_update_is_allowed() -> None:
    assert isinstance(decided_with([]), RecordChange)


@pytest.mark.parametrize("fault", FAULTS, ids=str)
def test_each_fault_has_its_refusal(fault: Fault) -> None:
    assert decided_with([fault]) is fault.refusal


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: f"{pair[0]} {pair[1]}")
def test_of_two_faults_the_earlier_is_answered(pair: tuple[Fault, Fault]) -> None:
    assert decided_with(pair) is decided_with(reversed(pair)) is pair[0].refusal


@given(st.lists(st.sampled_from(FAULTS), min_size=1, unique_by=id))
def test_of_any_faults_the_earliest_is_answered(faults: list[Any]) -> None:
    present: list[Fault] = []
    for fault in faults:
        if not any(map(fault.clashes, present)):
            present.append(fault)
    assert decided_with(present) is min(present, key=FAULTS.index).refusal


# Whoever may change whatever


@st.composite
def installations(draw: st.DrawFn) -> World:
    """Draw two zones, one inside the other, two accounts, and whatever they own."""
    world, accounts = World(), ("alice", "bob")
    names = ("a.example.com", "b.example.com", "a.sub.example.com", "b.sub.example.com")
    for zone in ("example.com", "sub.example.com"):
        world.zone(zone, enabled=draw(st.booleans()))
    for account in accounts:
        world.account(account, status=draw(st.sampled_from(["active", "suspended", "banned"])))
    for name in draw(st.sets(st.sampled_from(names))):
        world.host(name, draw(st.sampled_from(accounts)), enabled=draw(st.booleans()))
    for secret in draw(st.sets(st.sampled_from(["one", "two", "three"]))):
        hosts = draw(st.none() | st.lists(st.sampled_from(names), min_size=1).map(tuple))
        expires = draw(st.sampled_from([None, EARLIER, NOW, LATER]))
        account = draw(st.sampled_from(accounts))
        world.token(f"{account}-{secret}", secret, account, hosts=hosts, expires=expires)
    return world


@given(installations(), st.sampled_from(["one", "two", "three"]), st.data())
def test_only_a_valid_token_of_the_owner_changes_an_enabled_host(
    world: World, secret: str, data: DataObject
) -> None:
    name = data.draw(st.sampled_from([*world.state.hosts, "a.example.com", "a.sub.example.com"]))
    zone = world.state.zones["sub.example.com" if name.endswith(".sub.example.com") else "example.com"]
    host = world.state.hosts.get(name)
    token = world.state.tokens.by_digest(digest(secret))
    allowed = (
        host is not None
        and token is not None
        and token.value.spec.expires in (None, LATER)
        and token.value.spec.account == host.value.spec.account
        and name in (token.value.spec.hosts or [name])
        and world.state.accounts[host.value.spec.account].value.spec.status == "active"
        and host.value.spec.enabled
        and zone.value.spec.enabled
    )
    decision = decided(world, request(name, token=secret))
    assert isinstance(decision, RecordChange) == allowed
    assert isinstance(decision, Refusal) != allowed


@pytest.mark.parametrize(("until", "refusal"), [(LATER, Refusal.SUSPENDED), (NOW, None), (EARLIER, None)])
def test_a_suspension_is_over_by_itself_at_its_moment(until: datetime, refusal: Refusal | None) -> None:
    world = small_world()
    world.account(status="suspended", suspended_until=until)
    decision = decided(world, request())
    assert decision is refusal or (refusal is None and isinstance(decision, RecordChange))


@pytest.mark.parametrize(("expires", "is_valid"), [(LATER, True), (NOW, False), (EARLIER, False)])
def test_a_token_is_valid_until_it_expires(expires: datetime, is_valid: bool) -> None:
    world = small_world()
    world.token(expires=expires)
    decision = decided(world, request())
    assert isinstance(decision, RecordChange) if is_valid else decision is Refusal.UNKNOWN_TOKEN


def test_a_token_limited_to_hosts_changes_these() -> None:
    world = small_world()
    world.host("other.example.com")
    world.token(hosts=(BLOG.name,))
    assert isinstance(decided(world, request()), RecordChange)
    assert decided(world, request("other.example.com")) is Refusal.NOT_FOUND


def test_a_host_whose_zone_is_gone_is_not_found() -> None:
    world = small_world()
    world.state.zones.drop("example.com")
    assert decided(world, request()) is Refusal.NOT_FOUND


def test_a_host_whose_name_became_an_apex_is_first_level() -> None:
    world = small_world()
    world.zone("blog.example.com")
    assert decided(world, request()) is Refusal.FIRST_LEVEL


def test_the_name_is_found_in_any_spelling() -> None:
    world = small_world()
    world.host("xn--bcher-kva.example.com")
    decision = decided(world, request("BÜCHER.Example.com."))
    assert isinstance(decision, RecordChange)
    assert decision.record == RecordKey("xn--bcher-kva.example.com", Family.A)


@pytest.mark.parametrize(
    ("ip", "source", "record", "address"),
    [
        ("192.0.2.7", "198.51.100.1", BLOG, "192.0.2.7"),
        ("", "198.51.100.1", BLOG, "198.51.100.1"),
        ("", "::ffff:198.51.100.1", BLOG, "198.51.100.1"),
        ("2001:DB8::7", "198.51.100.1", BLOG6, "2001:db8::7"),
        ("", "2001:db8:0::1", BLOG6, "2001:db8::1"),
    ],
)
def test_the_address_is_the_one_given_or_else_the_clients(
    ip: str, source: str, record: RecordKey, address: str
) -> None:
    decision = decided(small_world(), request(ip=ip, source=source))
    assert isinstance(decision, RecordChange)
    assert (decision.record, decision.content) == (record, address)


def test_private_addresses_can_be_refused() -> None:
    asked = request(ip="192.168.1.100")
    assert isinstance(decided(small_world(), asked), RecordChange)
    assert decided(small_world(), asked, private=False) is Refusal.INVALID_IP
    assert decided(small_world(), request(ip="", source="10.0.0.1"), private=False) is Refusal.INVALID_IP


HOSTILE = st.text(max_size=400) | st.sampled_from(["\ud800", "\x00", "。", "１.2.3.4", "[::]", "a" * 70_000])


@given(HOSTILE, HOSTILE, HOSTILE, HOSTILE)
def test_whatever_is_sent_is_read_or_refused(domain: str, ip: str, token: str, source: str) -> None:
    asked = Request(domain, ip, token, source)
    attempt = read_all(asked)
    if not domain:
        assert attempt is Refusal.MISSING_DOMAIN
    elif not token:
        assert attempt is Refusal.MISSING_TOKEN
    else:
        assert isinstance(attempt, UpdateRequest)
        assert isinstance(decide(small_world().state, attempt, NOW), Refusal)


# What is committed already


def test_the_first_update_has_no_previous_address() -> None:
    world = small_world()
    decision = decided(world, request())
    assert isinstance(decision, RecordChange)
    assert (decision.record, decision.content, decision.previous) == (BLOG, IP, "")


def test_a_change_holds_only_while_all_that_was_read_does() -> None:
    world = small_world()
    world.commit(BLOG, OLD_IP)
    plan = planned(world, request())
    assert isinstance(plan, Plan)
    read_keys = {"tokens/router", "accounts/alice", "zones/example.com", "hosts/blog.example.com"}
    assert {entry.key for entry in plan.reads} == read_keys
    assert plan.records == {BLOG: world.state.addresses[BLOG].revision}


def test_another_address_replaces_the_committed_one() -> None:
    world = small_world()
    world.commit(BLOG, OLD_IP, previous="192.0.2.1")
    world.commit(BLOG6, "2001:db8::1")
    decision = decided(world, request())
    assert isinstance(decision, RecordChange)
    assert (decision.content, decision.previous) == (IP, OLD_IP)


def test_a_published_address_is_unchanged() -> None:
    world = small_world()
    world.commit(BLOG, IP)
    world.publish(BLOG)
    assert decided(world, request()) == Unchanged(BLOG.name, IP, Family.A)


def test_a_pending_address_is_joined_with_its_stored_predecessor() -> None:
    world = small_world()
    revision = world.commit(BLOG, IP, previous=OLD_IP)
    assert decided(world, request()) == Join(BLOG, revision, IP, OLD_IP, published=False)


def test_an_address_of_which_only_an_older_one_is_published_is_joined() -> None:
    world = small_world()
    world.commit(BLOG, OLD_IP)
    world.publish(BLOG)
    revision = world.commit(BLOG, IP, previous=OLD_IP)
    assert decided(world, request()) == Join(BLOG, revision, IP, OLD_IP, published=False)


def test_an_address_that_drifted_is_joined() -> None:
    world = small_world()
    revision = world.commit(BLOG, IP, previous=OLD_IP)
    world.publish(BLOG)
    world.doubt(BLOG)
    assert decided(world, request()) == Join(BLOG, revision, IP, OLD_IP, published=False)


def test_an_address_whose_zone_is_not_verified_is_joined_as_published() -> None:
    world = small_world()
    revision = world.commit(BLOG, IP, previous=OLD_IP)
    world.publish(BLOG)
    world.placement(verified=False)
    assert decided(world, request()) == Join(BLOG, revision, IP, OLD_IP, published=True)
    world.state.placements.clear()
    assert decided(world, request()) == Join(BLOG, revision, IP, OLD_IP, published=True)


def test_an_older_refusal_says_nothing_about_a_newer_address() -> None:
    world = small_world()
    world.commit(BLOG, OLD_IP)
    world.refuse(BLOG)
    revision = world.commit(BLOG, IP, previous=OLD_IP)
    assert decided(world, request()) == Join(BLOG, revision, IP, OLD_IP, published=False)


def test_a_published_address_is_unchanged_though_its_new_ttl_is_pending_or_refused() -> None:
    world = small_world()
    world.commit(BLOG, IP)
    world.publish(BLOG)
    world.host(ttl=3600)
    assert decided(world, request()) == Unchanged(BLOG.name, IP, Family.A)
    world.refuse(BLOG)
    assert decided(world, request()) == Unchanged(BLOG.name, IP, Family.A)
    world.placement(verified=False)
    assert isinstance(decided(world, request()), Join)


def test_a_zone_that_moved_has_to_publish_first() -> None:
    world = small_world()
    revision = world.commit(BLOG, IP, previous=OLD_IP)
    world.publish(BLOG)
    world.zone(nameserver="second")
    world.placement(nameserver="second")
    assert decided(world, request()) == Join(BLOG, revision, IP, OLD_IP, published=False)


def test_what_the_nameserver_refused_that_the_zone_has_left_is_joined() -> None:
    world = small_world()
    revision = world.commit(BLOG, IP, previous=OLD_IP)
    world.refuse(BLOG)
    world.zone(nameserver="second")
    assert decided(world, request()) == Join(BLOG, revision, IP, OLD_IP, published=False)


def test_a_tombstone_is_overwritten_and_inherits_no_previous_address() -> None:
    world = small_world()
    world.commit(BLOG, IP)
    world.publish(BLOG)
    world.withdraw(BLOG)
    decision = decided(world, request())
    assert isinstance(decision, RecordChange)
    assert (decision.content, decision.previous) == (IP, "")


def test_the_families_of_a_name_do_not_know_each_other() -> None:
    world = small_world()
    world.commit(BLOG, IP)
    world.publish(BLOG)
    decision = decided(world, request(ip="2001:db8::7"))
    assert isinstance(decision, RecordChange)
    assert (decision.record, decision.previous) == (BLOG6, "")
