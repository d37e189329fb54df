"""The token in an Authorization header."""

from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tornado.httputil import HTTPHeaders

from ddnsd.web.forms import token_of


def token(value: str) -> str:
    return token_of(HTTPHeaders({"Authorization": value}))


def basic(text: str) -> str:
    return b64encode(text.encode()).decode()


@pytest.mark.parametrize("user", ["alice", "", "blog.example.com", "a@b", "密"])
@pytest.mark.parametrize("secret", ["secret", "with:colons:", "密码", "p@ss+/%20word"])
def test_the_password_of_basic_is_the_token_whoever_the_user_is(user: str, secret: str) -> None:
    assert token(f"Basic {basic(f'{user}:{secret}')}") == secret


@pytest.mark.parametrize("value", ["Bearer secret", "bearer  secret ", "BEARER secret"])
def test_a_bearer_is_the_token(value: str) -> None:
    assert token(value) == "secret"


def test_the_scheme_is_in_any_case_and_padding_may_be_missing() -> None:
    assert token(f"bAsIc  {basic('u:secret').rstrip('=')} ") == "secret"


@pytest.mark.parametrize(
    "value",
    [
        "",
        "Basic",
        "Basic ",
        "Bearer",
        "Digest username=x",
        basic("u:secret"),
        f"Basic {basic('secret')}",
        "Basic ?",
    ],
)
def test_anything_else_is_no_token(value: str) -> None:
    assert token(value) == ""
    assert token_of(HTTPHeaders()) == ""


@given(st.text(st.characters(max_codepoint=0xFF)), st.sampled_from(["Basic ", "Bearer ", ""]))
def test_whatever_stands_there_is_read(text: str, scheme: str) -> None:
    headers = HTTPHeaders()
    headers["Authorization"] = scheme + text  # past the checks that Tornado makes of what it receives
    token = token_of(headers)
    assert token == token.strip()
    assert token in text or scheme == "Basic "
