"""Stored bytes and typed values."""

from datetime import UTC, timedelta, timezone
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ddnsd.model.addresses import Family
from ddnsd.model.records import (
    Beat,
    Candidacy,
    Committed,
    HeldDeletions,
    History,
    HistoryEntry,
    Installation,
    LastSeen,
    Mark,
    Member,
    PlacementState,
    PrefixHead,
    PrefixUpdate,
    Published,
    PublishError,
    RegistryHead,
    Resource,
    Source,
    Stored,
    Work,
    WorkRequest,
)
from ddnsd.model.resources import AccountSpec, HostSpec, Origin, TokenSpec, ZoneSpec
from ddnsd.model.state import State, Table
from ddnsd.store.tables import SHELVES, UnreadableError, decode, encode

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
REVISIONS = st.integers(0, 2**63 - 1)
TTLS = st.integers(1, 2**31 - 1)
ZONES = st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=30)), timezone(-timedelta(hours=8))])
INSTANTS = st.datetimes(timezones=ZONES)
MARKS = st.sampled_from(Mark)
FAMILIES = st.lists(st.sampled_from(Family), min_size=1).map(tuple)
DIGESTS = st.text("0123456789abcdef", min_size=64, max_size=64)

SPECS = {
    "zones": st.builds(ZoneSpec, TEXT.filter(bool), TTLS, st.booleans()),
    "accounts": st.builds(
        AccountSpec, st.sampled_from(["active", "suspended", "banned"]), st.none() | INSTANTS
    ),
    "hosts": st.builds(HostSpec, TEXT, FAMILIES, st.none() | TTLS, st.booleans()),
    "tokens": st.builds(
        TokenSpec,
        TEXT,
        DIGESTS,
        st.none() | st.lists(TEXT).map(tuple),
        st.none() | INSTANTS,
        st.booleans(),
        st.integers(0, 2_592_000),
    ),
}
ORIGINS = st.builds(Origin, TEXT, TEXT)
HELD = st.builds(HeldDeletions, TEXT, REVISIONS, st.lists(TEXT).map(tuple), INSTANTS, TEXT)
ERRORS = st.builds(PublishError, REVISIONS, TEXT, INSTANTS, TEXT)
ENTRIES = st.builds(HistoryEntry, INSTANTS, TEXT, TEXT, TEXT, TEXT, TEXT, TEXT).map(
    lambda entry: msgspec.Raw(msgspec.json.encode(entry))
)
VALUES: dict[str, st.SearchStrategy[Stored]] = {
    **{
        shelf: st.builds(Resource, specs, MARKS, st.none() | ORIGINS, st.booleans())
        for shelf, specs in SPECS.items()
    },
    "addresses": st.builds(Committed, TEXT, TEXT, TEXT, INSTANTS, TEXT, st.booleans()),
    "published": st.builds(
        *(Published, REVISIONS, TEXT, TTLS, TEXT, st.none() | INSTANTS, st.none() | ERRORS, st.booleans())
    ),
    "seen": st.builds(
        LastSeen, INSTANTS, st.dictionaries(st.sampled_from(Family), INSTANTS), st.none() | INSTANTS
    ),
    "history": st.builds(History, st.lists(ENTRIES).map(tuple)),
    "prefixes": st.builds(
        *(PrefixUpdate, TEXT, TEXT, st.none() | st.lists(TEXT).map(tuple)),
        *(TEXT, INSTANTS, TEXT, TEXT, TEXT),
    ),
    "prefixheads": st.builds(PrefixHead, TEXT),
    "fences": st.builds(PlacementState, TEXT, TEXT, TEXT, st.booleans()),
    "requests": st.builds(
        WorkRequest,
        st.sampled_from(Work),
        TEXT,
        INSTANTS,
        st.none() | INSTANTS,
        TEXT,
        st.lists(TEXT).map(tuple),
    ),
    "registry": st.builds(RegistryHead, TEXT),
    "installation": st.builds(Installation, TEXT),
    "election": st.builds(Candidacy, TEXT),
    "controllers": st.builds(Candidacy, TEXT),
    "sources": st.builds(
        Source,
        TEXT,
        INSTANTS,
        TEXT,
        st.none() | INSTANTS,
        st.none() | st.lists(TEXT).map(tuple),
        st.none() | HELD,
        TEXT,
    ),
    "members": st.builds(
        Member,
        TEXT,
        TEXT,
        TEXT,
        INSTANTS,
        st.frozensets(TEXT),
        st.booleans(),
        st.integers(-1000, 1000),
        st.dictionaries(TEXT, TEXT),
        st.builds(Beat, INSTANTS, REVISIONS, st.floats(0, 60)),
    ),
}
STORED = st.sampled_from(sorted(VALUES)).flatmap(lambda shelf: st.tuples(st.just(shelf), VALUES[shelf]))


def test_every_shelf_is_tested_and_fills_a_table_of_its_own() -> None:
    assert SHELVES.keys() == VALUES.keys()
    state = State()
    tables = [shelf.table(state) for shelf in SHELVES.values()]
    assert {id(table) for table in tables} == {id(it) for it in vars(state).values() if isinstance(it, Table)}


@given(STORED)
def test_every_value_is_read_back(stored: tuple[str, Stored]) -> None:
    shelf, value = stored
    assert decode(SHELVES[shelf], encode(value)) == value


@given(st.one_of(*VALUES.values()))
def test_every_value_carries_the_version_of_its_shape(value: Any) -> None:
    assert encode(value).startswith(b'{"v":1')


WRITTEN = (
    (
        "zones",
        Resource(ZoneSpec()),
        '{"v":1,"spec":{"nameserver":"default","ttl":60,"enabled":true,"adopt":false,"nested":false,"reserved":null,'
        '"fence":"hidden"}}',
    ),
    (
        "hosts",
        Resource(HostSpec("alice"), Mark.DELETING),
        '{"v":1,"spec":{"account":"alice","families":["A","AAAA"],"ttl":null,"enabled":true,'
        '"wildcard":false,"ipv6Suffix":null,"ipv6Subnet":null,"expiresAfter":null},"mark":"deleting"}',
    ),
    ("fences", PlacementState(), '{"v":1}'),
    ("registry", RegistryHead("c0ffee"), '{"v":1,"commit":"c0ffee"}'),
)


@pytest.mark.parametrize(("shelf", "value", "text"), WRITTEN)
def test_what_was_written_once_stays_readable(shelf: str, value: Stored, text: str) -> None:
    assert encode(value) == text.encode()
    assert decode(SHELVES[shelf], text.encode()) == value


def test_unknown_fields_are_tolerated() -> None:
    text = b'{"v":1,"spec":{"nameserver":"second","color":"red"},"since":{"x":[1,null]}}'
    assert decode(SHELVES["zones"], text) == Resource(ZoneSpec("second"))


@pytest.mark.parametrize(
    ("shelf", "value"),
    [
        *(("zones", text) for text in (b"", b" ", b"{", b"null", b"[]", b"7", b"\xff", b'{"v":1}')),
        ("zones", b'{"v":2,"spec":{}}'),
        ("zones", b'{"v":"1","spec":{}}'),
        ("zones", b'{"v":1,"spec":{"ttl":0}}'),
        ("zones", b'{"v":1,"spec":{"ttl":"60"}}'),
        ("zones", b'{"v":1,"spec":{"nameserver":"\xff"}}'),
        ("zones", b'{"v":1,"spec":{},"mark":"other"}'),
        ("zones", b'{"v":1,"spec":{}} {}'),
        ("hosts", b'{"v":1,"spec":{"account":"alice","families":["MX"]}}'),
        ("accounts", b'{"v":1,"spec":{"status":"gone"}}'),
        ("accounts", b'{"v":1,"spec":{"suspendedUntil":"2026-12-01T00:00:00"}}'),
        ("tokens", b'{"v":1,"spec":{"account":"alice","sha256":"secret"}}'),
        ("addresses", b'{"v":1,"ip":"192.0.2.1","previous":"","commit":"x","changed":"yesterday"}'),
        ("published", b'{"v":1,"revision":1.5,"ip":"","ttl":60,"nameserver":"default"}'),
        pytest.param("zones", b'{"v":1,"spec":{},"x":' + b"[" * 100_000, id="nested too deep"),
    ],
)
def test_what_is_not_of_the_shape_is_unreadable(shelf: str, value: bytes) -> None:
    with pytest.raises(UnreadableError):
        decode(SHELVES[shelf], value)


@given(st.sampled_from(sorted(VALUES)), st.binary())
def test_whatever_is_stored_is_read_or_unreadable(shelf: str, value: bytes) -> None:
    try:
        decoded: Any = decode(SHELVES[shelf], value)
    except UnreadableError:
        return
    assert decode(SHELVES[shelf], encode(decoded)) == decoded
