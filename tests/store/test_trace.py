"""What a trace takes for an update's own doing, and when it knows nothing."""

import asyncio

import pytest

from ddnsd.store.interface import Changes, ConditionalWrite, KeyValue
from ddnsd.store.watch_cache import Trace
from tests.waiting import turn_loop

BOTH = ConditionalWrite({"a": 3, "b": 4}, deletes=frozenset({"a", "b"}))


def written(key: str, value: bytes, revision: int) -> Changes:
    return {key: KeyValue(value, revision, revision)}


def gone(key: str) -> Changes:
    return {key: None}


def trace(*keys: str, revision: int = 0) -> Trace:
    return Trace(keys, revision, lambda _: None)


@pytest.mark.parametrize(
    ("update", "parts", "done"),
    [
        (ConditionalWrite({}, {"a": b"1"}), [written("a", b"1", 9), written("clock", b"", 9)], True),
        (ConditionalWrite({}, {"a": b"1"}), [written("a", b"2", 9)], False),
        (ConditionalWrite({}, {"a": b"1"}), [gone("a")], False),
        (ConditionalWrite({}, {"a": b"1", "b": b"2"}), [written("a", b"1", 9)], False),
        (ConditionalWrite({}, {"a": b"1", "b": b"2"}), [written("a", b"1", 9), written("b", b"2", 9)], True),
        (ConditionalWrite({"b": 4}, {"a": b"1"}, frozenset({"b"})), [written("a", b"1", 9), gone("b")], True),
        (ConditionalWrite({"b": 4}, {"a": b"1"}, frozenset({"b"})), [written("a", b"1", 9)], False),
        (ConditionalWrite({"b": 0}, {"a": b"1"}, frozenset({"b"})), [written("a", b"1", 9)], True),
        (BOTH, [gone("a"), gone("b")], True),
        (BOTH, [gone("a")], False),
        (ConditionalWrite({"a": 3, "b": 0}, deletes=frozenset({"a", "b"})), [gone("a")], True),
        (ConditionalWrite({}, deletes=frozenset({"a", "b"})), [gone("b")], True),
        (ConditionalWrite({}, deletes=frozenset({"a"})), [written("a", b"", 9)], False),
    ],
)
def test_an_update_is_known_by_all_that_it_writes(
    update: ConditionalWrite, parts: list[Changes], done: bool
) -> None:
    seen = trace("a", "b")
    seen.note(9, {key: item for part in parts for key, item in part.items()})
    assert seen.revision_of(update, 0) == (9 if done else None)


def test_what_was_known_before_it_was_sent_is_another_s() -> None:
    seen, update = trace("a"), ConditionalWrite({"a": 9}, {"a": b"1"})
    seen.note(9, written("a", b"1", 9))
    assert seen.revision_of(update, 9) is None
    seen.note(12, written("a", b"1", 12))
    assert seen.revision_of(update, 9) == 12


def test_revisions_of_other_keys_are_not_kept() -> None:
    seen = trace("a")
    for revision in range(1, 100):
        seen.note(revision, written("b", b"", revision))
    assert seen._hits == []


async def test_a_revision_is_waited_for() -> None:
    seen = trace("a", revision=5)
    assert await seen.passed(5)
    waiting = asyncio.create_task(seen.passed(7))
    await turn_loop()
    seen.note(6, {})
    await turn_loop()
    assert not waiting.done()
    seen.note(8, {})
    assert await waiting


async def test_a_trace_that_is_broken_knows_nothing() -> None:
    seen = trace("a")
    waiting = asyncio.create_task(seen.passed(7))
    await turn_loop()
    seen.end()
    assert not await waiting
    seen.note(9, {})
    assert not await seen.passed(7)
