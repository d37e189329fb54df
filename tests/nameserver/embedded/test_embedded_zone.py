"""What an UPDATE does to a zone, and what the zone then holds."""

import struct
from collections.abc import Callable
from itertools import count

import dns.message
import dns.rrset
import pytest
from dns.rdatatype import RdataType
from hypothesis import given
from hypothesis import strategies as st

from ddnsd.nameserver.embedded import Authority
from ddnsd.nameserver.embedded.zone import MAX_TXT, Zone
from ddnsd.nameserver.interface import Absent, Exists, Rcode, RecordType, Replace, RRset, Update
from tests.narrow import present

A, AAAA, TXT, CNAME, SOA = (RecordType[name] for name in ("A", "AAAA", "TXT", "CNAME", "SOA"))
ROOT = b"\0"  # an owner's name, packed
BLOG = RRset("blog.example.com", A, 60, ("192.0.2.1", "192.0.2.2"))
FENCE = RRset("_ddnsd.example.com", TXT, 0, ("installation cluster 7 claim",))


@pytest.fixture
def zone() -> Zone:
    return Zone("example.com", Authority(), serial=1).load([BLOG, FENCE])


@pytest.fixture
def serials() -> Callable[[], int]:
    return count(2).__next__


def update(*changes: Replace, given: tuple[Exists | Absent, ...] = ()) -> Update:
    return Update("example.com", given, changes)


def test_an_update_replaces_the_whole_rrset_and_no_other(zone: Zone, serials: Callable[[], int]) -> None:
    change = Replace("blog.example.com", A, 30, ("198.51.100.1",))
    assert zone.apply(update(change), serials) == Rcode.NOERROR
    assert zone.rrset("blog.example.com", A) == RRset(*change)
    assert zone.rrset("_ddnsd.example.com", TXT) == FENCE
    assert zone.serial == 2


def test_no_values_remove_the_rrset(zone: Zone, serials: Callable[[], int]) -> None:
    zone.apply(update(Replace("blog.example.com", A, 0, ())), serials)
    assert zone.rrset("blog.example.com", A) is None
    assert zone.source("blog.example.com") is None
    assert zone.serial == 2


@pytest.mark.parametrize(
    "change",
    [
        Replace(BLOG.name, A, 60, ("192.0.2.2", "192.0.2.1")),
        Replace("new.example.com", A, 60, ()),
        Replace(BLOG.name, AAAA, 60, ()),
    ],
)
def test_an_update_that_changes_nothing_takes_no_serial(
    zone: Zone, serials: Callable[[], int], change: Replace
) -> None:
    assert zone.apply(update(change), serials) == Rcode.NOERROR
    assert zone.serial == 1


def test_one_update_takes_one_serial_and_later_changes_win(zone: Zone, serials: Callable[[], int]) -> None:
    changes = (Replace("a.example.com", A, 60, (f"192.0.2.{number}",)) for number in range(1, 4))
    zone.apply(update(*changes), serials)
    assert present(zone.rrset("a.example.com", A)).values == ("192.0.2.3",)
    assert zone.serial == 2


@pytest.mark.parametrize(
    ("prerequisite", "rcode"),
    [
        (Exists(FENCE.name, TXT, FENCE.values), Rcode.NOERROR),
        (Exists(FENCE.name, TXT, ("installation cluster 6 claim",)), Rcode.NXRRSET),
        (Exists(FENCE.name, TXT, ("INSTALLATION cluster 7 claim",)), Rcode.NXRRSET),
        (Exists(BLOG.name, A, ("192.0.2.2", "192.0.2.1")), Rcode.NOERROR),
        (Exists(BLOG.name, A, ("192.0.2.1",)), Rcode.NXRRSET),
        (Exists("none.example.com", TXT, ("x",)), Rcode.NXRRSET),
        (Exists("example.net", TXT, ("x",)), Rcode.NOTZONE),
        (Absent("none.example.com", TXT), Rcode.NOERROR),
        (Absent(BLOG.name, TXT), Rcode.NOERROR),
        (Absent(FENCE.name, TXT), Rcode.YXRRSET),
        (Absent("example.com", SOA), Rcode.YXRRSET),
        (Absent("badexample.com", TXT), Rcode.NOTZONE),
    ],
)
def test_prerequisites(
    zone: Zone, serials: Callable[[], int], prerequisite: Absent | Exists, rcode: Rcode
) -> None:
    change = Replace("new.example.com", A, 60, ("192.0.2.9",))
    assert zone.apply(update(change, given=(prerequisite,)), serials) == rcode
    assert (zone.rrset("new.example.com", A) is not None) == (rcode == Rcode.NOERROR)


@pytest.mark.parametrize(
    ("bad", "rcode"),
    [
        (Replace("example.net", A, 60, ("192.0.2.1",)), Rcode.NOTZONE),
        (Replace("x.example.com", CNAME, 60, ("example.net",)), Rcode.REFUSED),
        (Replace("example.com", SOA, 60, ()), Rcode.REFUSED),
        (Replace("x.example.com", A, 60, ("2001:db8::1",)), Rcode.FORMERR),
        (Replace("x.example.com", AAAA, 60, ("192.0.2.1",)), Rcode.FORMERR),
        (Replace("x.example.com", A, -1, ("192.0.2.1",)), Rcode.FORMERR),
        (Replace("x.example.com", TXT, 60, ("x" * (MAX_TXT + 1),)), Rcode.FORMERR),
    ],
)
def test_one_bad_change_and_nothing_is_changed(
    zone: Zone, serials: Callable[[], int], bad: Replace, rcode: Rcode
) -> None:
    good = Replace(BLOG.name, A, 60, ("198.51.100.1",))
    assert zone.apply(update(good, bad), serials) == rcode
    assert zone.rrset(BLOG.name, A) == BLOG
    assert zone.serial == 1


def test_what_is_loaded_belongs_to_the_zone() -> None:
    with pytest.raises(ValueError, match=r"host\.example\.net does not belong"):
        Zone("example.com", Authority(), 1).load([RRset("host.example.net", A, 60, ("192.0.2.1",))])


def test_a_long_text_is_one_value_in_several_strings(zone: Zone, serials: Callable[[], int]) -> None:
    change = Replace("long.example.com", TXT, 60, ("ab" * 300,))
    zone.apply(update(change), serials)
    assert zone.rrset("long.example.com", TXT) == RRset(*change)
    [record] = zone.records(ROOT, "long.example.com", RdataType.TXT)
    [rdata] = _read(record)
    assert [len(string) for string in rdata.strings] == [255, 255, 90]


def test_the_apex_says_who_is_responsible() -> None:
    authority = Authority(server_name="dns.example.org", hostmaster="first.last@example.org", minimum=5)
    zone = Zone("example.com", authority, serial=7)
    [soa] = present(zone.rrset("example.com", SOA)).values
    assert soa == r"dns.example.org. first\.last.example.org. 7 3600 600 604800 5"
    [servers] = zone.records(ROOT, "example.com", RdataType.NS)
    assert str(_read(servers)[0]) == "dns.example.org."
    assert _read(ROOT + zone.denial(12)[2:]).ttl == 5


def _read(record: bytes) -> dns.rrset.RRset:
    """Return what dnspython reads of a record that is alone in a message."""
    [rrset] = dns.message.from_wire(struct.pack("!6H", 0, 0x8000, 0, 1, 0, 0) + record).answer
    return rrset


def test_a_transfer_leaves_out_nothing_that_stays(zone: Zone, serials: Callable[[], int]) -> None:
    stable = {RRset(f"s{number}.example.com", A, 60, ("192.0.2.1",)) for number in range(50)}
    zone.load(sorted(stable))
    seen: list[RRset] = []
    for number, part in enumerate(zone.rrsets(10)):
        assert 0 < len(part) <= 10
        seen += part
        coming, going = (
            Replace(f"x{number}.example.com", A, 60, ("192.0.2.2",)),
            Replace(BLOG.name, A, 0, ()),
        )
        zone.apply(update(coming, going), serials)
    assert seen[0].type == SOA
    assert stable <= set(seen)
    assert len(seen) == len(set(seen))


NAMES = st.sampled_from(["a", "b", "x.a", "y.a", "x.y.a", "x.b", "_ddnsd"]).map("{}.example.com".format)
VALUES = st.lists(st.sampled_from(["192.0.2.1", "192.0.2.2"]), unique=True).map(sorted).map(tuple)
CHANGES = st.builds(Replace, NAMES, st.sampled_from([A, TXT]), st.sampled_from([30, 60]), VALUES)


@given(st.lists(st.lists(CHANGES, max_size=4), max_size=12))
def test_a_zone_is_what_its_updates_made_it(updates: list[list[Replace]]) -> None:
    zone, serials = Zone("example.com", Authority(), 0), count(1)
    model: dict[tuple[str, RecordType], RRset] = {}
    for changes in updates:
        before = dict(model)
        for change in changes:
            model[change.name, change.type] = RRset(*change)
            if not change.values:
                del model[change.name, change.type]
        serial = zone.serial
        assert zone.apply(update(*changes), serials.__next__) == Rcode.NOERROR
        if before != model:
            assert zone.serial == serial + 1
    [[_, *held]] = zone.rrsets(1000)
    assert sorted(held) == sorted(model.values())
    for name in ["a", "b", "x.a", "y.a", "x.y.a", "x.b", "z.x.a"]:
        full = f"{name}.example.com"
        below = any(owner == full or owner.endswith("." + full) for owner, _ in model)
        assert zone.source(full) == (full if below else None)
