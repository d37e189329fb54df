"""acme-dns: what its clients say, and what is none of it."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tornado.httputil import HTTPHeaders

from ddnsd.model.request import Api, Refusal, Request, UpdateRequest
from ddnsd.model.request import read as read_attempt
from ddnsd.web.acmedns import error_of, is_acme_dns, read_request

SOURCE = "198.51.100.7"
VALUE = "LHDhK3oGRvkiefQnx7OOczTY5Tic_xZ6HcMOc_gmtoM"
USER = {"X-Api-User": "blog-acme", "X-Api-Key": "secret"}
BODY = {"subdomain": "blog.example.com", "txt": VALUE}


def read(body: object = None, headers: dict[str, str] | None = None) -> Request | tuple[int, str]:
    octets = body if isinstance(body, bytes) else json.dumps(BODY if body is None else body).encode()
    return read_request(HTTPHeaders(USER if headers is None else headers), octets, SOURCE)


def test_a_request() -> None:
    expected = Request(
        "blog.example.com", "", "secret", SOURCE, text=VALUE, user="blog-acme", api=Api.ACME_DNS
    )
    assert read() == expected
    upper = "Blog.Example.COM."
    assert read(BODY | {"subdomain": upper, "more": [1]}) == expected._replace(domain=upper)
    assert read(headers={name.lower(): f" {value} " for name, value in USER.items()}) == expected


@pytest.mark.parametrize(
    "headers", [{}, {"X-Api-User": "blog-acme"}, {"X-Api-Key": "secret"}, USER | {"X-Api-Key": ""}]
)
def test_without_credentials_it_is_forbidden(headers: dict[str, Any]) -> None:
    assert read(headers=headers) == (401, "forbidden")


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"null", b'{"txt":7}', b'{"subdomain":null}', b'"\xff"', b'{"a":' + b"[" * 60_000],
)
def test_no_json_object_is_malformed(body: bytes) -> None:
    assert read(body) == (400, "malformed_json_payload")


@pytest.mark.parametrize(
    "subdomain", ["", "..", "a b.example.com", "_acme-challenge.blog.example.com", "x" * 300]
)
def test_what_is_no_name_is_a_bad_subdomain(subdomain: str) -> None:
    request = read(BODY | {"subdomain": subdomain})
    assert isinstance(request, Request)
    attempt = read_attempt((request,), "", private=True)
    refusal = Refusal.NOT_FOUND if isinstance(attempt, UpdateRequest) else attempt
    name = attempt.name if isinstance(attempt, UpdateRequest) else ""
    assert error_of(refusal, name) == (400, "bad_subdomain")


@pytest.mark.parametrize(
    "value", ["", VALUE[1:], VALUE + "A", VALUE[1:] + "=", VALUE[1:] + "+", VALUE[1:] + "\n", "密" * 43]
)
def test_what_is_no_digest_is_a_bad_txt(value: str) -> None:
    request = read(BODY | {"txt": value})
    if isinstance(request, Request):
        attempt = read_attempt((request,), "", private=True)
        assert isinstance(attempt, UpdateRequest)
        assert attempt.targets[0].wishes is None
        assert error_of(Refusal.INVALID_IP, attempt.name) == (400, "bad_txt")
    else:
        assert request == (400, "bad_txt")


def test_a_post_is_told_from_duckdns_form() -> None:
    assert is_acme_dns(HTTPHeaders(USER))
    assert is_acme_dns(HTTPHeaders({"Content-Type": "application/json"}))
    assert not is_acme_dns(HTTPHeaders({"Content-Type": "application/x-www-form-urlencoded"}))
    assert not is_acme_dns(HTTPHeaders())


def test_what_a_client_may_not_know_is_forbidden() -> None:
    told = {refusal: error_of(refusal, "blog.example.com") for refusal in Refusal}
    hidden = {refusal for refusal, (status, _) in told.items() if status == 401}
    assert {Refusal.UNKNOWN_TOKEN, Refusal.NOT_FOUND, Refusal.BANNED, Refusal.SUSPENDED} <= hidden
    assert {status for refusal, (status, _) in told.items() if refusal.status == 500} == {500}


@given(st.binary() | st.text().map(lambda text: json.dumps({"subdomain": text, "txt": VALUE}).encode()))
def test_whatever_is_sent_is_read_or_refused(body: bytes) -> None:
    request = read(body)
    assert isinstance(request, Request) or request[0] in (400, 401)
