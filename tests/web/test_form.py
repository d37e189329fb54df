"""Parameters of the other APIs: whatever is sent is read."""

from urllib.parse import quote, urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tornado.httputil import HTTPHeaders

from ddnsd.web.forms import decoded, listed, media_type, read_parameters

FORM = "application/x-www-form-urlencoded"


def sent(query: str = "", body: bytes = b"", content_type: str | None = None) -> dict[str, str]:
    headers = HTTPHeaders({} if content_type is None else {"Content-Type": content_type})
    return dict(read_parameters(query, headers, body))


def test_a_query_and_a_form_say_the_same() -> None:
    assert (
        sent("a=1&b=2")
        == sent(body=b"a=1&b=2", content_type=f"{FORM}; charset=UTF-8")
        == {"a": "1", "b": "2"}
    )
    assert sent(body=b"a=1") == {"a": "1"}  # no content type: a form


def test_the_body_wins_where_it_says_something() -> None:
    assert sent("a=1&b=2&c=3", b"a=4&b=&d=5") == {"a": "4", "b": "2", "c": "3", "d": "5"}


@pytest.mark.parametrize(
    "content_type", ["application/json", "multipart/form-data; boundary=x", "text/plain"]
)
def test_a_body_of_another_type_is_not_read(content_type: str) -> None:
    assert sent("a=1", b"a=2&b=3", content_type) == {"a": "1"}


def test_an_empty_parameter_is_there_and_says_nothing() -> None:
    assert sent("a=&b&c=%20&d=+") == {"a": "", "b": "", "c": "", "d": ""}


def test_the_first_value_that_says_something_counts() -> None:
    assert sent("a=1&a=2")["a"] == "1"
    assert sent("a=&a=2&a=3")["a"] == "2"


def test_blanks_around_a_value_are_not_part_of_it() -> None:
    assert sent("a=+x%0A&%61b=%20y%20") == {"a": "x", "ab": "y"}


@pytest.mark.parametrize("octets", ["%ff", "%C3", "%ED%A0%80", "\xff", "x%00\xff"])
def test_octets_that_are_not_utf8_become_no_name_and_no_token(octets: str) -> None:
    assert "\ufffd" in sent(f"a={octets}")["a"]


def test_what_comes_after_so_many_fields_is_not_read() -> None:
    assert sent("&".join(["x=1"] * 63 + ["a=2"])) == {"x": "1", "a": "2"}
    assert sent("&".join(["x=1"] * 64 + ["a=2"])) == {"x": "1"}


def test_a_list_has_no_empty_items() -> None:
    assert listed(" a, b,,c ,") == ("a", "b", "c")
    assert listed("") == listed(" , ") == ()


def test_a_media_type_is_told_without_its_parameters() -> None:
    assert media_type(HTTPHeaders({"Content-Type": " Application/JSON ; charset=x"})) == "application/json"
    assert media_type(HTTPHeaders()) == ""


VALUES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(
    lambda text: text == text.strip()
)


@given(VALUES, VALUES)
def test_every_text_can_be_sent(one: str, two: str) -> None:
    fields = {"a": one, "b": two}
    assert sent(urlencode(fields)) == sent(body=urlencode(fields).encode()) == fields
    assert decoded(quote(one, safe="")) == one


@given(
    st.text(st.characters(max_codepoint=0xFF)),
    st.binary(),
    st.sampled_from([None, FORM, "text/plain", "\xff"]),
)
def test_whatever_is_sent_is_read(query: str, body: bytes, content_type: str | None) -> None:
    assert all(value == value.strip() for value in sent(query, body, content_type).values())
