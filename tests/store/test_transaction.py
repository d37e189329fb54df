from datetime import UTC, datetime

import pytest

from ddnsd.model.addresses import Family
from ddnsd.model.records import Entry, HistoryEntry, PrefixHead, extended, revision_of
from ddnsd.model.request import Api
from ddnsd.model.state import State
from ddnsd.store import keys, tables
from ddnsd.store.interface import CLOCK, MAX_KEYS_PER_UPDATE, ConditionalWrite
from ddnsd.store.tables import Transaction

NOW = datetime(2026, 12, 1, tzinfo=UTC)
HEAD = PrefixHead("c0ffee")


def test_what_was_read_is_what_a_commit_depends_on() -> None:
    entry = Entry("prefixheads/alice", 7, 2, HEAD)
    update = (
        Transaction({"a": 3})
        .expect("absent", None)
        .replace(entry.key, entry, HEAD)
        .put("blind", HEAD)
        .delete("b", "c")
        .update()
    )
    assert update.expects == {"a": 3, "absent": 0, entry.key: 7}
    assert update.puts == {entry.key: tables.encode(HEAD), "blind": tables.encode(HEAD)}
    assert update.deletes == {"b", "c"}
    assert (revision_of(entry), revision_of(None)) == (7, 0)


def test_of_several_writes_of_a_key_the_last_one_counts() -> None:
    update = Transaction().put("a", HEAD).delete("a").delete("b").put("b", HEAD).update()
    assert update.puts == {"b": tables.encode(HEAD)}
    assert update.deletes == {"a"}


def test_a_history_is_extended_on_the_condition_that_it_has_not_moved() -> None:
    entry = HistoryEntry(NOW, Family.A, "", "192.0.2.1", Api.UPDATE)
    update = Transaction().append_history(State(), "h.example.com", entry).update()
    key = keys.history("h.example.com")
    assert update.expects == {key: 0}
    assert update.puts == {key: tables.encode(extended(None, entry))}


def test_a_commit_of_too_many_keys_is_refused() -> None:
    transaction = Transaction(dict.fromkeys(map(str, range(MAX_KEYS_PER_UPDATE + 1)), 0))
    with pytest.raises(ValueError, match="more than"):
        transaction.update()


@pytest.mark.parametrize(
    ("expects", "puts", "deletes", "reason"),
    [
        ({}, {CLOCK: b""}, frozenset[str](), "is the store's own"),
        ({}, {}, frozenset({CLOCK}), "is the store's own"),
        ({CLOCK: 1}, {"a": b""}, frozenset[str](), "is the store's own"),
        ({}, {"a": b""}, frozenset({"a"}), "puts and deletes the same key"),
    ],
)
def test_what_no_store_could_do_is_no_update(
    expects: dict[str, int], puts: dict[str, bytes], deletes: frozenset[str], reason: str
) -> None:
    with pytest.raises(ValueError, match=reason):
        ConditionalWrite(expects, puts, deletes)
