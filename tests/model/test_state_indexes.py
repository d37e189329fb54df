"""Each index of the state says what a look at everything would, whatever happened before."""

import random
from collections.abc import Iterator
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.strategies._internal.strategies import SearchStrategy

from ddnsd.model.addresses import RRTYPES
from ddnsd.model.names import is_below
from ddnsd.model.records import Committed, Entry, Placement, PlacementState, Published, RecordKey, Resource
from ddnsd.model.resources import AccountSpec, HostSpec, TokenSpec, ZoneSpec
from ddnsd.model.state import NamedTable, NameTree, State
from tests.model.world import NOW

NAMES = st.sampled_from(["a", "b", "a.a", "b.a", "a.b.a", "b.b.a", "a.a.b.a", "a.b"])  # few: they meet
ACCOUNTS = st.sampled_from(["alice", "bob"])
RECORDS = st.builds(RecordKey, st.sampled_from(["b.a", "a.b.a"]), st.sampled_from(RRTYPES))
SITES = st.builds(Placement, NAMES, st.sampled_from(["one", "two"]))
COMMITTED = st.builds(
    Committed, st.sampled_from(["", "192.0.2.1"]), st.just(""), st.just(""), st.just(NOW), st.just("") | NAMES
)


PUBLISHED = st.builds(Published, st.integers(0, 80), st.just(""), st.just(60), st.just("one"))


def steps(
    table: str, ids: st.SearchStrategy[object], values: st.SearchStrategy[object]
) -> SearchStrategy[tuple[Any, Any, Any]]:
    """A put of a value, or a drop, in one table of the state."""
    return st.tuples(st.just(table), ids, st.none() | values)


HISTORIES = st.lists(
    st.one_of(
        steps("zones", NAMES, st.builds(Resource, st.builds(ZoneSpec))),
        steps("accounts", ACCOUNTS, st.builds(Resource, st.builds(AccountSpec))),
        steps("hosts", NAMES, st.builds(Resource, st.builds(HostSpec, ACCOUNTS))),
        steps("tokens", NAMES, st.builds(Resource, st.builds(TokenSpec, ACCOUNTS, st.just("0" * 64)))),
        steps("addresses", RECORDS, COMMITTED),
        steps("published", RECORDS, PUBLISHED),
        steps("placements", SITES, st.just(PlacementState())),
    ),
    min_size=20,
    max_size=80,
)


def after(history: Any) -> State:
    state = State()
    for revision, (table, id, value) in enumerate(history, 1):
        if value is None:
            getattr(state, table).drop(id)
        else:
            getattr(state, table).put(id, Entry(f"{table}/{id}", revision, revision, value))
    return state


def hosts_in(state: State, zone: str) -> Iterator[str]:
    return (name for name in state.hosts if is_below(name, zone) and state.zone_of(name) == zone)


def records_in(state: State, zone: str) -> Iterator[RecordKey]:
    for record, entry in state.addresses.items():
        if state.zone_of_record(record, entry.value) == zone:
            yield record


def check(state: State, names: set[str]) -> None:
    for name in names:
        assert sorted(state.hosts_in(name)) == sorted(hosts_in(state, name))
        assert sorted(state.records_in(name)) == sorted(records_in(state, name))
        assert sorted(state.placements.of(name)) == sorted(
            placement for placement in state.placements if placement.zone == name
        )
        leaving = {record for record, entry in state.addresses.items() if entry.value.zone == name}
        assert state.addresses.leaving(name) == leaving
        below = {host for host in state.hosts if host == name or is_below(host, name)}
        assert set(state.hosts_from(name, ())) == below
    published = {record: entry.value.revision for record, entry in state.published.items()}
    behind = {record for record, it in state.addresses.items() if published.get(record, 0) < it.revision}
    assert state.unpublished == behind
    tombstones = {record for record, entry in state.addresses.items() if entry.value.is_tombstone}
    assert state.addresses.tombstones == tombstones
    for account in ("alice", "bob"):
        for table in (state.hosts, state.tokens):
            assert table.of(account) == {id for id, it in table.items() if it.value.spec.account == account}
        for label in "abc":
            own = {name for name in state.hosts.of(account) if name.partition(".")[0] == label}
            assert state.hosts.labelled(account, label) == own
    for named in (state.zones, state.accounts, state.hosts, state.tokens):
        assert named.after("", 1000) == sorted(named)
        assert named.after("a.b", 2) == sorted(name for name in named if name > "a.b")[:2]


def mentioned(history: Any) -> set[str]:
    names = {getattr(id, "zone", getattr(id, "name", id)) for _, id, _ in history}
    names |= {value.zone for table, _, value in history if table == "addresses" and value}
    return names - {""}


@given(HISTORIES)
@settings(max_examples=100)
def test_each_index_says_what_a_scan_would(history: list[Any]) -> None:
    state = State()
    names = mentioned(history) | {"a", "b", "a.b"}
    for revision, (table, id, value) in enumerate(history, 1):
        if value is None:
            getattr(state, table).drop(id)
        else:
            getattr(state, table).put(id, Entry(f"{table}/{id}", revision, revision, value))
        if revision % 7 == 0:  # what an index puts off is put off over several steps
            check(state, names)
    check(state, names)


@given(HISTORIES, st.randoms(use_true_random=False))
@settings(max_examples=50)
def test_a_snapshot_may_come_in_any_order(history: list[Any], chance: random.Random) -> None:
    """Hosts come before their zones, a zone below before the one above it."""
    before, loaded = after(history), State()
    tables = ("zones", "accounts", "hosts", "tokens", "addresses", "published", "placements")
    items = [(table, id, entry) for table in tables for id, entry in getattr(before, table).items()]
    chance.shuffle(items)
    for table, id, entry in items:
        getattr(loaded, table).put(id, entry)
    check(loaded, mentioned(history))


@given(st.lists(st.tuples(st.booleans(), NAMES), max_size=60), st.sets(NAMES))
@settings(max_examples=200)
def test_a_tree_of_names_is_a_set_of_names(steps: list[tuple[bool, str]], cuts: set[str]) -> None:
    tree, names = NameTree(), set()
    for is_added, name in steps:
        if is_added:
            tree.add(name)
            names.add(name)
        else:
            tree.discard(name)
            names.discard(name)
        for top in ("a", "b.a", "a.b.a"):
            below = {each for each in names if each == top or is_below(each, top)}
            cut = {each for each in below for cut in cuts - {top} if each == cut or is_below(each, cut)}
            inner = {each for each in below if not any(is_cut(each, top, cut) for cut in cuts)}
            assert set(tree.within(top, ())) == below
            assert set(tree.within(top, cuts)) == inner >= below - cut


def is_cut(name: str, top: str, cut: str) -> bool:
    """Say whether the cut, which lies below the top, has the name."""
    return is_below(cut, top) and (name == cut or is_below(name, cut))


def test_what_is_empty_keeps_nothing() -> None:
    """Names that have come and gone leave nothing behind: their number is not bounded."""
    tree = NameTree()
    names = [f"{a}.{b}.example.{c}" for a in "abc" for b in "abc" for c in "de"]
    for name in names:
        tree.add(name)
    for name in reversed(names):
        tree.discard(name)
    assert not any(vars(tree).values())


def test_many_names_are_listed_in_their_order() -> None:
    """Many that came since the last listing are sorted together, a few are put into their places."""
    table: NamedTable[str] = NamedTable()
    names = [f"host{number:04}" for number in range(1000)]
    chance = random.Random(7)
    chance.shuffle(names)
    for count, name in enumerate(names):
        table.put(name, Entry(name, 1, 1, ""))
        if count in (5, 500, 510, 511):
            assert table.after("", 2000) == sorted(table)
    for name in names[:300]:
        table.drop(name)
    assert table.after("host0500", 3) == sorted(name for name in names[300:] if name > "host0500")[:3]
    for name in names[300:320]:
        table.drop(name)
    for name in names[300:310]:
        table.put(name, Entry(name, 1, 1, ""))
    assert table.after("", 2000) == sorted(table)
