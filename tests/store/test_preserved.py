"""What this version cannot read of a stored value survives its being written anew."""

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ddnsd.model.records import Stored
from ddnsd.store.interface import ConditionalWrite
from ddnsd.store.tables import SHELVES, NewerVersionError, Preserved, UnreadableError, encode
from tests.store.test_codec import VALUES

KEY = "some/key"
FLOATS = st.floats(allow_nan=False, allow_infinity=False)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | FLOATS | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2),
    max_leaves=5,
)
FUTURE = st.dictionaries(st.text(max_size=5).map(lambda name: f"x{name}"), JSON, min_size=1, max_size=3)
TWO_OF_A_SHELF = st.sampled_from(sorted(VALUES)).flatmap(
    lambda shelf: st.tuples(st.just(shelf), VALUES[shelf], VALUES[shelf])
)


@given(TWO_OF_A_SHELF, FUTURE)
def test_unknown_fields_are_written_back(
    stored: tuple[str, Stored, Stored],
    future: dict[str, list[Any] | dict[str, Any] | int | float | str | None],
) -> None:
    name, old, new = stored
    shelf, preserved = SHELVES[name], Preserved()
    assert preserved.read(KEY, shelf, msgspec.json.encode(fields_of(old) | future)) == old
    written = preserved.restore(ConditionalWrite({}, {KEY: encode(new), "another": encode(new)})).puts
    assert written["another"] == encode(new)
    assert msgspec.json.decode(written[KEY]) == fields_of(new) | future
    assert preserved.read(KEY, shelf, written[KEY]) == new  # and again, by whoever writes next
    assert preserved.restore(ConditionalWrite({}, {KEY: encode(old)})).puts[KEY] != encode(old)


@given(TWO_OF_A_SHELF)
def test_what_is_known_whole_is_written_as_it_is(stored: tuple[str, Stored, Stored]) -> None:
    name, old, new = stored
    preserved = Preserved()
    preserved.read(KEY, SHELVES[name], encode(old))
    update = ConditionalWrite({}, {KEY: encode(new)})
    assert preserved.restore(update) is update


def test_fields_of_an_object_that_is_gone_go_with_it() -> None:
    error = '{"revision":1,"message":"m","at":"2026-01-01T00:00:00Z","nameserver":"n","code":5}'
    refused = f'{{"v":1,"revision":1,"ip":"","ttl":1,"nameserver":"n","error":{error}}}'.encode()
    preserved, shelf = Preserved(), SHELVES["published"]
    value = preserved.read(KEY, shelf, refused)
    again = preserved.restore(ConditionalWrite({}, {KEY: encode(value)})).puts[KEY]
    assert again == refused
    served = encode(msgspec.structs.replace(value, error=None))
    assert preserved.restore(ConditionalWrite({}, {KEY: served})).puts[KEY] == served


def test_deleted_value_leaves_nothing_to_its_successor() -> None:
    preserved = Preserved()
    value = preserved.read(KEY, SHELVES["registry"], b'{"v":1,"commit":"a","x":1}')
    preserved.forget(KEY)
    assert preserved.restore(ConditionalWrite({}, {KEY: encode(value)})).puts[KEY] == encode(value)


@pytest.mark.logs_errors
@pytest.mark.parametrize("shelf", VALUES)
def test_later_version_is_an_obstacle_until_it_is_gone(shelf: str) -> None:
    preserved = Preserved()
    for key in ("one", "two"):
        with pytest.raises(NewerVersionError):
            preserved.read(key, SHELVES[shelf], b'{"v":2}')
    assert "one cannot be read" in preserved.obstacle
    preserved.forget("one")
    assert "two cannot be read" in preserved.obstacle
    preserved.forget("two")
    assert preserved.obstacle == ""


def test_damaged_value_is_no_later_version() -> None:
    preserved = Preserved()
    with pytest.raises(UnreadableError) as caught:
        preserved.read(KEY, SHELVES["registry"], b'{"v":1}')
    assert not isinstance(caught.value, NewerVersionError)
    assert preserved.obstacle == ""


def fields_of(value: Any) -> Any:
    return msgspec.json.decode(encode(value))
