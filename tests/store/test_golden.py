"""Values as they were once stored stay readable for ever: a file of `golden/` is never changed, only added.

A file is named after the shelf, what is special about it, and the version of ddnsd that wrote it.
"""

from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from ddnsd.model.addresses import Family
from ddnsd.model.records import (
    Beat,
    Candidacy,
    Committed,
    Configured,
    HeldDeletions,
    History,
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
    SelfEnded,
    Source,
    Stored,
    Taking,
    Work,
    WorkRequest,
)
from ddnsd.model.resources import AccountSpec, HostSpec, Origin, Scope, TokenSpec, ZoneSpec
from ddnsd.store.tables import SHELVES, decode

FOLDER = Path(__file__).parent / "golden"
AT = datetime(2026, 7, 1, 12, 30, 15, 123456, UTC)
LATER = datetime(2027, 1, 1, tzinfo=UTC)
DIGEST = "0123456789abcdef" * 4

MEANING: dict[str, Stored] = {
    "zones.0.1": Resource(ZoneSpec()),
    "zones.managed.0.1": Resource(ZoneSpec(), origin=Origin("prod")),
    "zones.set.0.1": Resource(ZoneSpec("second", 300, enabled=False), Mark.DELETING),
    "zones.adopts.0.2": Resource(ZoneSpec(adopt=True, nested=True, reserved=("www",))),
    "accounts.0.1": Resource(AccountSpec()),
    "accounts.set.0.1": Resource(AccountSpec("suspended", LATER), Mark.DELETING),
    "hosts.0.1": Resource(HostSpec("alice")),
    "hosts.managed.0.1": Resource(HostSpec("prod:home:alice"), origin=Origin("prod", "home"), held=True),
    "hosts.set.0.1": Resource(HostSpec("alice", (Family.AAAA,), 2147483647, enabled=False)),
    "tokens.0.1": Resource(TokenSpec("alice", DIGEST)),
    "tokens.set.0.1": Resource(TokenSpec("alice", DIGEST, ("blog.example.com",), LATER, disabled=True)),
    "tokens.overlap.0.1": Resource(TokenSpec("alice", DIGEST, rotation_overlap=3600)),
    "addresses.0.1": Committed("192.0.2.7", "192.0.2.4", "c0ffee", AT),
    "addresses.tombstone.0.1": Committed("", "", "c0ffee", AT, "example.com"),
    "published.0.1": Published(42, "2001:db8::7", 60, "default", AT),
    "published.refused.0.1": Published(
        0, "", 60, "default", None, PublishError(42, "REFUSED", AT, "default")
    ),
    "hosts.follows.0.1": Resource(
        HostSpec("alice", wildcard=True, ipv6_suffix="::1:2:3:4", ipv6_subnet="1f", expires_after=86400)
    ),
    "tokens.scopes.0.1": Resource(TokenSpec("alice", DIGEST, scopes=(Scope.TXT,))),
    "addresses.cleared.0.1": Committed("", "192.0.2.4", "c0ffee", AT, "example.com", cleared=True),
    "addresses.challenges.0.1": Committed("older newer", "older", "c0ffee", AT),
    "published.wildcard.0.1": Published(42, "2001:db8::7", 60, "default", AT, wildcard=True),
    "published.taking.0.2": Published(
        *(0, "", 60, "default"),
        wildcard=True,
        taking=Taking(("*.blog.example.com", "blog.example.com"), ("192.0.2.7",), 42),
        adopted=("*.blog.example.com",),
        not_at={"second": ("blog.example.com",)},
    ),
    "seen.0.1": LastSeen(AT),
    "seen.families.0.2": LastSeen(LATER, {Family.A: AT, Family.AAAA: LATER}, LATER),
    "history.0.1": History(
        (
            msgspec.Raw(
                b'["2026-07-01T12:30:15.123456Z","A","","192.0.2.7","dyndns2","router","198.51.100.7"]'
            ),
        )
    ),
    "prefixes.0.1": PrefixUpdate(
        *("2001:db8:1:2::/56", "alice", None, "c0ffee", AT, "router", "198.51.100.7", "dyndns2")
    ),
    "prefixes.some.0.1": PrefixUpdate(
        *("2001:db8:1:2::/64", "alice", ("a.example.com",), "c0ffee", AT, "router", "", "update")
    ),
    "prefixheads.0.2": PrefixHead("c0ffee"),
    "fences.0.1": PlacementState(verified_in="c0ffee"),
    "fences.set.0.1": PlacementState(holder="somebody else", error="no answer", untouched=True),
    "fences.since.0.2": PlacementState(error="REFUSED", since=AT),
    "requests.forget.0.2": WorkRequest(Work.FORGET, "example.com", AT),
    "requests.0.1": WorkRequest(Work.TAKEOVER, "example.com", AT),
    "requests.set.0.1": WorkRequest(Work.CHECK, "xn--fiq228c.example", AT, LATER, "failed", ("一", "two")),
    "registry.0.1": RegistryHead("c0ffee"),
    "installation.0.1": Installation("0123456789abcdef"),
    "election.0.1": Candidacy("c0ffee"),
    "controllers.0.1": Candidacy("c0ffee"),
    "sources.0.1": Source("c0ffee", AT),
    "sources.set.0.1": Source(
        "c0ffee",
        AT,
        "facade",
        LATER,
        ("home", "office"),
        HeldDeletions("0123456789abcdef", 12, ("Host a.example.com",), AT, "12 of 20 are gone at once"),
        "fedcba9876543210",
    ),
    "sources.all.0.1": Source("c0ffee", AT, watched=()),
    "members.0.1": Member(
        name="one",
        region="北京",
        version="0.1.0",
        started=AT,
        nameservers=frozenset({"default"}),
        eligible=True,
        priority=-1,
        addresses={"public": "192.0.2.1:8080"},
        beat=Beat(LATER, 42, 0.25),
    ),
    "members.ended.0.2": Member(
        *("one", "", "0.2.0", AT, frozenset({"default"}), True, 0, {}, Beat(LATER, 42, 0.25)),
        ended=SelfEnded(LATER, "it hung"),
    ),
    "members.configured.0.1": Member(
        name="one",
        region="",
        version="0.1.0",
        started=AT,
        nameservers=frozenset({"default"}),
        eligible=True,
        priority=0,
        addresses={},
        beat=Beat(LATER, 42, 0.25),
        configuration=Configured(
            LATER, {"publish": "c0ffee"}, "log.level: 'loud'", ("data", "listen.public")
        ),
    ),
}


def test_every_shelf_has_one_and_every_file_its_meaning() -> None:
    assert {path.stem for path in FOLDER.glob("*.json")} == MEANING.keys()
    assert {name.partition(".")[0] for name in MEANING} == SHELVES.keys()


@pytest.mark.parametrize("name", MEANING)
def test_what_was_stored_once_means_the_same(name: str) -> None:
    value = (FOLDER / f"{name}.json").read_bytes().rstrip(b"\n")
    assert decode(SHELVES[name.partition(".")[0]], value) == MEANING[name]
