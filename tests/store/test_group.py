from itertools import combinations
from operator import itemgetter

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ddnsd.store.embedded.store import plan
from ddnsd.store.group_commit import MAX_GROUP_BYTES, Queued, check_group, next_group, operations, size
from ddnsd.store.interface import CLOCK, ConditionalWrite, Done, KeyValue, Limits

KEYS = [f"k{number}" for number in range(12)]
LIMITS = Limits(group=4, in_flight=1)
BUDGET = Limits(group=4, in_flight=1, operations=5)

keys = st.sets(st.sampled_from(KEYS), max_size=2)


@st.composite
def updates(draw: st.DrawFn) -> ConditionalWrite:
    compared, put, deleted = draw(keys), draw(keys), draw(keys)
    values = st.sampled_from([b"", bytes(MAX_GROUP_BYTES // 3)])
    return ConditionalWrite(
        {key: draw(st.integers(0, 1)) for key in compared},
        {key: draw(values) for key in put},
        frozenset(deleted - put),
    )


queues = st.lists(updates(), max_size=12).map(
    lambda drawn: [(update, place) for place, update in enumerate(drawn)]
)


def conflict(one: ConditionalWrite, other: ConditionalWrite) -> bool:
    """The rule as it is written down, key by key."""
    return any(
        (one.writes(key) and (other.writes(key) or key in other.expects))
        or (other.writes(key) and key in one.expects)
        for key in KEYS
    )


@given(queues)
def test_group_holds_no_conflict_and_keeps_the_limits(queue: list[Queued[int]]) -> None:
    group, _ = next_group(queue, LIMITS)
    members = [update for update, _ in group]
    assert not any(conflict(one, other) for one, other in combinations(members, 2))
    assert len(group) <= LIMITS.group
    assert len(group) <= 1 or sum(map(size, members)) <= MAX_GROUP_BYTES


@given(queues)
def test_group_keeps_the_budget_of_operations(queue: list[Queued[int]]) -> None:
    assume(queue)
    group, rest = next_group(queue, BUDGET)
    members = [update for update, _ in group]
    assert len(members) + max(map(operations, members)) <= 5
    check_group(members, BUDGET)
    for update, place in rest if len(group) < BUDGET.group and len(rest) < BUDGET.group else []:
        before = [member for member, earlier in group if earlier < place]
        if all(not conflict(update, one) for one in before):
            together = [*before, update]
            too_many = len(together) + max(map(operations, together)) > 5
            assert too_many or sum(map(size, together)) > MAX_GROUP_BYTES


@given(queues)
def test_group_and_rest_are_the_queue_in_its_order(queue: list[Queued[int]]) -> None:
    group, rest = next_group(queue, LIMITS)
    assert sorted([*group, *rest], key=itemgetter(1)) == queue
    for part in (group, rest):
        places = [place for _, place in part]
        assert places == sorted(places)
    assert group[:1] == queue[:1]


@given(queues)
def test_nobody_is_passed_over_without_reason(queue: list[Queued[int]]) -> None:
    group, rest = next_group(queue, LIMITS)
    for update, place in rest if len(group) < LIMITS.group and len(rest) < LIMITS.group else []:
        before = [member for member, earlier in group if earlier < place]
        too_large = sum(map(size, [*before, update])) > MAX_GROUP_BYTES
        assert too_large or any(conflict(update, member) for member in before)


@given(queues)
def test_members_applied_one_by_one_do_what_they_do_together(queue: list[Queued[int]]) -> None:
    items = {key: KeyValue(b"old", 1, 1) for key in [*KEYS[::2], CLOCK]}
    group = [update for update, _ in next_group(queue, LIMITS)[0]]
    together = applied(items, group)
    for order in (group, group[::-1]):
        state, done = items, {}
        for update in order:
            state, (holds,) = applied(state, [update])
            done[id(update)] = holds
        assert values(state) == values(together[0])
        assert [done[id(update)] for update in group] == together[1]


def applied(
    items: dict[str, KeyValue], group: list[ConditionalWrite]
) -> tuple[dict[str, KeyValue], list[bool]]:
    outcomes, change = plan(items, group)
    after = dict(items)
    for key, item in change.changes.items() if change else ():
        if item is None:
            del after[key]
        else:
            after[key] = item
    return after, [isinstance(outcome, Done) for outcome in outcomes]


def values(items: dict[str, KeyValue]) -> dict[str, bytes]:
    return {key: item.value for key, item in items.items()}


@given(st.lists(updates(), max_size=4))
def test_check_refuses_exactly_the_conflicts(group: list[ConditionalWrite]) -> None:
    if any(conflict(one, other) for one, other in combinations(group, 2)):
        with pytest.raises(ValueError, match="conflicts"):
            check_group(group, LIMITS)
    else:
        check_group(group, LIMITS)


def test_check_refuses_too_many() -> None:
    check_group([ConditionalWrite({})] * 4, LIMITS)
    with pytest.raises(ValueError, match="5 updates in one commit; 4 at most"):
        check_group([ConditionalWrite({})] * 5, LIMITS)


def test_check_refuses_too_many_operations() -> None:
    large = ConditionalWrite({"k1": 0, "k2": 0, "k3": 0}, {"k4": b"", "k5": b""})
    check_group([large, ConditionalWrite({})], BUDGET)
    with pytest.raises(ValueError, match="an update of 3 operations is too large"):
        check_group([ConditionalWrite({}), ConditionalWrite({}), large], BUDGET)


def test_thousands_that_wait_for_one_key_are_not_all_looked_at() -> None:
    hot = [(ConditionalWrite({}, {"hot": b""}), number) for number in range(1000)]
    queue = [*hot, (ConditionalWrite({}, {"cold": b""}), 1000)]
    group, rest = next_group(queue, LIMITS)
    assert group == queue[:1]
    assert rest == queue[1:]
