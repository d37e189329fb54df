"""What goes when objects are gone, and what is held back."""

import pytest

from ddnsd.kube.objects import Ref
from ddnsd.kube.views import SeenObjects, StoredObject, gone
from ddnsd.model.resources import Kind


def hosts(count: int, *, doomed: bool = False) -> list[StoredObject]:
    return [
        StoredObject(Ref(Kind.HOST, "home", f"h{number}.example"), f"h{number}.example", doomed)
        for number in range(count)
    ]


def refs(stored: list[StoredObject]) -> set[Ref]:
    return {one.ref for one in stored}


def sorted_out(
    stored: list[StoredObject], missing: list[StoredObject], *, suspicious: bool = False, **seen: set[Ref]
) -> tuple[int, int]:
    sight = SeenObjects(len(stored) - len(missing), **seen)
    now, held = gone({Kind.HOST: missing}, {Kind.HOST: sight}, len(stored), suspicious=suspicious)
    return len(now), len(held)


@pytest.mark.parametrize(
    ("stored", "absent", "now"),
    [(20, 10, 10), (20, 11, 0), (100, 20, 20), (100, 21, 0), (12, 1, 1), (12, 0, 0)],
)
def test_a_few_go_and_many_are_held(stored: int, absent: int, now: int) -> None:
    all = hosts(stored)
    assert sorted_out(all, all[:absent]) == (now, absent - now)


def test_what_was_seen_to_be_deleted_goes_however_much_it_is() -> None:
    all = hosts(100)
    assert sorted_out(all, all[:99], deleted=refs(all[:99])) == (99, 0)
    assert sorted_out(all, all, deleted=refs(all)) == (100, 0)


def test_nothing_goes_if_all_is_absent() -> None:
    assert sorted_out(hosts(1), hosts(1)) == (0, 1)


def test_nothing_absent_goes_when_something_else_has_changed() -> None:
    all = hosts(10)
    assert sorted_out(all, all[:2], deleted=refs(all[:1]), suspicious=True) == (1, 1)


def test_what_went_with_its_definition_is_held() -> None:
    all = hosts(10)
    assert sorted_out(all, all[:2], swept=refs(all[:1])) == (1, 1)


def test_what_only_waited_for_its_hosts_goes() -> None:
    assert sorted_out(hosts(3), hosts(3, doomed=True)) == (3, 0)


def test_a_kind_that_is_not_listed_is_left_alone() -> None:
    assert gone({Kind.HOST: hosts(3)}, {}, 3, suspicious=False) == ([], [])
