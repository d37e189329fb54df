"""The keys of the store: what is written there is read back, each on its own shelf."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ddnsd.model.addresses import Family
from ddnsd.model.records import Placement, RecordKey
from ddnsd.model.resources import Kind
from ddnsd.store import keys
from ddnsd.store.tables import SHELVES

NAMES = st.from_regex(r"[a-z0-9-]{1,10}(\.[a-z0-9-]{1,10}){0,3}", fullmatch=True)
RECORDS = st.builds(RecordKey, NAMES, st.sampled_from(Family))


def read(key: str) -> tuple[str, object]:
    shelf, _, id = key.partition("/")
    return shelf, SHELVES[shelf].read_id(id)


def test_the_keys_are_the_designs() -> None:
    assert keys.resource(Kind.HOST, "blog.example.com") == "hosts/blog.example.com"
    assert keys.address(RecordKey("blog.example.com", Family.AAAA)) == "addresses/blog.example.com/AAAA"
    assert keys.published(RecordKey("blog.example.com", Family.A)) == "published/blog.example.com/A"
    assert keys.placement(Placement("example.com", "default")) == "fences/example.com/default"
    assert keys.request("7") == "requests/7"


@given(RECORDS, NAMES, NAMES, st.sampled_from(Kind))
def test_every_key_says_what_it_is_the_key_of(
    record: RecordKey, zone: str, nameserver: str, kind: Kind
) -> None:
    placement = Placement(zone, nameserver)
    assert read(keys.address(record)) == ("addresses", record)
    assert read(keys.published(record)) == ("published", record)
    assert read(keys.placement(placement)) == ("fences", placement)
    assert read(keys.resource(kind, zone)) == (kind.plural, zone)
    assert read(keys.request(zone)) == ("requests", zone)
    assert read(keys.REGISTRY) == ("registry", "")


@pytest.mark.parametrize("id", ["", "blog.example.com", "blog.example.com/", "blog.example.com/MX"])
def test_a_record_without_a_family_is_no_record(id: str) -> None:
    with pytest.raises(ValueError, match="is not a valid Family"):
        keys.read_record(id)
