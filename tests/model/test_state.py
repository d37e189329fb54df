"""The tables in memory and what they are asked."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ddnsd.model.records import Entry, Placement, RecordKey, Resource
from ddnsd.model.resources import HostSpec, TokenSpec, digest
from ddnsd.model.state import State, Table, TokenTable
from tests.model.world import BLOG, BLOG6, PLACEMENT, World, small_world

DIGESTS = [digest(secret) for secret in ("one", "two")]


def token(digest: str, created: int, revision: int = 0) -> Entry[Resource[TokenSpec]]:
    return Entry("tokens/…", revision or created, created, Resource(TokenSpec("alice", digest)))


def test_a_table_forgets_what_is_dropped_twice() -> None:
    table: Table[str, str] = Table()
    table.put("a", Entry("a", 1, 1, "value"))
    table.drop("a")
    table.drop("a")
    assert table == {}


def test_the_oldest_holder_of_a_digest_wins() -> None:
    tokens = TokenTable()
    young, old = token(DIGESTS[0], created=7), token(DIGESTS[0], created=3)
    tokens.put("young", young)
    tokens.put("old", old)
    assert tokens.by_digest(DIGESTS[0]) is old
    rewritten = token(DIGESTS[0], created=3, revision=9)
    tokens.put("old", rewritten)
    assert tokens.by_digest(DIGESTS[0]) is rewritten
    tokens.drop("old")
    assert tokens.by_digest(DIGESTS[0]) is young
    tokens.drop("young")
    assert tokens.by_digest(DIGESTS[0]) is None


def test_a_token_with_a_new_secret_is_not_found_by_its_old_one() -> None:
    tokens = TokenTable()
    tokens.put("router", token(DIGESTS[0], created=1))
    tokens.put("router", token(DIGESTS[1], created=1, revision=2))
    assert tokens.by_digest(DIGESTS[0]) is None
    assert tokens.by_digest(DIGESTS[1]) is tokens["router"]


@given(
    st.lists(
        st.tuples(st.sampled_from("abc"), st.none() | st.tuples(st.sampled_from(DIGESTS), st.integers(1, 5)))
    )
)
def test_the_index_says_what_a_search_would_find(steps: list[tuple[str, tuple[str, int] | None]]) -> None:
    tokens = TokenTable()
    for name, put in steps:
        if put is None:
            tokens.drop(name)
        else:
            tokens.put(name, token(*put))
    for wanted in DIGESTS:
        holders = [
            (entry.created, name) for name, entry in tokens.items() if entry.value.spec.sha256 == wanted
        ]
        expected = tokens[min(holders)[1]] if holders else None
        assert tokens.by_digest(wanted) is expected


def zoned(*zones: str) -> World:
    world = World()
    for zone in zones:
        world.zone(zone)
    return world


@pytest.mark.parametrize(
    ("name", "zone"),
    [
        ("blog.example.com", "example.com"),
        ("a.b.example.com", "example.com"),
        ("example.com", "example.com"),
        ("a.sub.example.com", "sub.example.com"),
        ("sub.example.com", "sub.example.com"),
        ("a.notsub.example.com", "example.com"),
        ("notexample.com", None),
        ("com", None),
    ],
)
def test_a_name_lies_in_the_zone_of_the_longest_match(name: str, zone: str | None) -> None:
    assert zoned("example.com", "sub.example.com").state.zone_of(name) == zone


LABELS = st.sampled_from("abc")
NAMES = st.lists(LABELS, min_size=1, max_size=5).map(".".join)


@given(st.sets(NAMES), NAMES)
def test_the_longest_match_is_what_a_search_would_find(zones: set[str], name: str) -> None:
    above = [zone for zone in zones if name == zone or name.endswith(f".{zone}")]
    assert zoned(*zones).state.zone_of(name) == max(above, key=len, default=None)


@pytest.mark.parametrize(
    ("name", "is_first_level"),
    [
        ("example.com", True),  # a zone's apex
        ("sub.example.com", True),
        ("blog.example.com", False),
        ("elsewhere.net", True),  # in no zone, fewer than three labels
        ("net", True),
        ("blog.elsewhere.net", False),
        ("home", True),  # an apex of one label
        ("nas.home", False),  # two labels, but inside a zone
        ("example.co.uk", False),  # in no zone, three labels: nobody can say
    ],
)
def test_a_first_level_name_is_an_apex_or_short_outside_every_zone(name: str, is_first_level: bool) -> None:
    state = zoned("example.com", "sub.example.com", "home").state
    assert state.is_first_level(name) == is_first_level


def test_hosts_belong_to_their_innermost_zone() -> None:
    world = zoned("example.com", "sub.example.com")
    for name in ("blog.example.com", "a.sub.example.com", "blog.elsewhere.net"):
        world.host(name)
    assert list(world.state.hosts_in("example.com")) == ["blog.example.com"]
    assert list(world.state.hosts_in("sub.example.com")) == ["a.sub.example.com"]
    assert list(world.state.hosts_in("com")) == []


def test_records_belong_to_the_zone_they_are_or_were_published_in() -> None:
    world = small_world()
    world.commit(BLOG, "192.0.2.1")
    world.withdraw(BLOG6, "com")
    elsewhere = RecordKey("a.elsewhere.net", BLOG.type)
    world.commit(elsewhere, "192.0.2.1")
    assert list(world.state.records_in("example.com")) == [BLOG]
    assert list(world.state.records_in("com")) == [BLOG6]
    assert list(world.state.records_in("elsewhere.net")) == []


def test_a_placement_is_retired_when_its_zone_is_gone_or_elsewhere() -> None:
    world = small_world()
    assert not world.state.is_retired(PLACEMENT)
    world.zone(nameserver="second")
    assert world.state.is_retired(PLACEMENT)
    assert not world.state.is_retired(Placement("example.com", "second"))
    world.state.zones.drop("example.com")
    assert world.state.is_retired(Placement("example.com", "second"))


def test_the_placements_of_a_zone_are_those_that_are_noted() -> None:
    world = small_world()
    world.placement(nameserver="second", verified=False)
    world.placement("elsewhere.net")
    assert set(world.state.placements.of("example.com")) == {PLACEMENT, Placement("example.com", "second")}


HOSTS = st.builds(
    HostSpec,
    st.sampled_from(["alice", "bob"]),
    ipv6_suffix=st.none() | st.just("::1"),
    expires_after=st.none() | st.just(60),
)


@given(st.lists(st.tuples(st.sampled_from("abc"), st.none() | HOSTS)))
def test_the_hosts_of_an_account_are_those_that_a_search_would_find(
    steps: list[tuple[str, HostSpec | None]],
) -> None:
    hosts = State().hosts
    for name, spec in steps:
        if spec is None:
            hosts.drop(name)
        else:
            hosts.put(name, Entry(f"hosts/{name}", 1, 1, Resource(spec)))
    specs = {name: entry.value.spec for name, entry in hosts.items()}
    for account in ("alice", "bob"):
        assert hosts.of(account) == {name for name, spec in specs.items() if spec.account == account}
        assert hosts.followers(account) == {name for name in hosts.of(account) if specs[name].ipv6_suffix}
    assert hosts.expiring == {name for name, spec in specs.items() if spec.expires_after}


def test_prefixes_on_their_way_are_known_by_account() -> None:
    world = small_world()
    world.account("bob")
    world.token("bobs", "another", "bob")
    world.move("2001:db8:1::/64")
    world.move("2001:db8:2::/64", "bobs")
    world.move("2001:db8:3::/64", "bobs")
    prefixes = world.state.prefixes
    assert [move.value.prefix for move in prefixes.of("alice")] == ["2001:db8:1::/64"]
    assert [move.value.prefix for move in prefixes.of("bob")] == ["2001:db8:3::/64"]
    for id in list(prefixes):
        prefixes.drop(id)
        prefixes.drop(id)
    assert not [*prefixes.of("alice"), *prefixes.of("bob")]
