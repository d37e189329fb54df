"""DuckDNS: what its clients say, and what they are told."""

from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tornado.httputil import HTTPHeaders

from ddnsd.model.addresses import Challenge, Family
from ddnsd.model.request import Api, HostResult, Limited, Moved, Refusal, Request, Skipped, Unchanged, Updated
from ddnsd.web.duckdns import read_call, read_path, text_of
from ddnsd.web.forms import read_parameters

SOURCE, PEER = "198.51.100.7", "10.0.0.1"
BLOG = "blog.example.com"
FOUR, SIX, VALUE = "192.0.2.7", "2001:db8::7", "x" * 43


def asked(query: str, domains: str = BLOG) -> tuple[Request, ...]:
    call = read_call(read_parameters(f"token=secret&domains={domains}&{query}", HTTPHeaders(), b""))
    return call.requests(SOURCE, PEER)


def request(ip: str = "", ipv6: str = "", domain: str = BLOG, **rest: Any) -> Request:
    return Request(domain, ip, "secret", SOURCE, ipv6, short=True, peer=PEER, api=Api.DUCKDNS, **rest)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("ip=", request()),
        ("txt=", request()),
        (f"ip={FOUR}", request(FOUR)),
        (
            f"myip={FOUR}",
            request(strays=(FOUR,)),
        ),  # what it means, under its own name
        (f"myip={FOUR}&ipv6={SIX}", request(ipv6=SIX)),
        (f"myip={FOUR}&clear=true", request(clear=(Family.A, Family.AAAA))),
        (f"ip={quote(SIX)}", request(SIX)),
        (f"ip={FOUR}&ipv6={SIX}", request(FOUR, SIX)),
        (f"ipv6={SIX}&verbose=true", request(ipv6=SIX)),
        (f"clear=true&ip={FOUR}&ipv6={SIX}", request(clear=(Family.A, Family.AAAA))),
        (f"clear=false&ip={FOUR}", request(FOUR)),
        (f"clear=&ip={FOUR}", request(FOUR)),
        (f"txt={VALUE}", request(text=VALUE)),
        (f"txt={VALUE}&ip={FOUR}&ipv6={SIX}", request(text=VALUE)),
        (f"clear=false&txt={VALUE}", request(text=VALUE)),  # lego
        ("clear=true&txt=", request(clear=(Challenge.TXT,))),  # lego, acme.sh: not the addresses
        (f"clear=TRUE&txt={VALUE}", request(clear=(Challenge.TXT,))),
    ],
)
def test_the_parameters(query: str, expected: Request) -> None:
    assert asked(query) == (expected,)


def test_each_name_has_a_request() -> None:
    assert asked(f"ip={FOUR}", "a.b.c,d.e.f") == (
        request(FOUR, domain="a.b.c"),
        request(FOUR, domain="d.e.f")._replace(moves=False),
    )


def test_domains_are_a_list() -> None:
    call = read_call({"domains": " blog, a.b.c,,", "token": "secret", "verbose": "True"})
    assert (call.domains, call.token, call.verbose) == (("blog", "a.b.c"), "secret", True)
    assert read_call({}).domains == ()


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/update/a,b.c.d/secret", {"domains": "a,b.c.d", "token": "secret"}),
        (f"/update/a/secret/{FOUR}", {"domains": "a", "token": "secret", "ip": FOUR}),
        (f"/update/a/s%2Fe/{SIX}/", {"domains": "a", "token": "s/e", "ip": SIX}),
        ("/update/", {}),
        ("/update/a", {"domains": "a"}),
        ("/update//secret", {"domains": "", "token": "secret"}),
        (f"/update/a/secret/{FOUR}/x", None),
    ],
)
def test_the_path(path: str, expected: dict[str, Any] | None) -> None:
    assert read_path(path) == expected


A = Updated(BLOG, FOUR, Family.A, "")
AAAA = Unchanged(BLOG, SIX, Family.AAAA)
OTHER = Updated("other.example.com", "192.0.2.8", Family.A, "")


@pytest.mark.parametrize(
    ("answer", "verbose"),
    [
        ((A,), f"OK\n{FOUR}\n\nUPDATED"),
        ((AAAA,), f"OK\n\n{SIX}\nNOCHANGE"),
        ((A, AAAA), f"OK\n{FOUR}\n{SIX}\nUPDATED"),
        ((Unchanged(BLOG, FOUR, Family.A), AAAA, OTHER), f"OK\n{FOUR}\n{SIX}\nUPDATED"),
        ((Updated(BLOG, "", Family.A, FOUR), Unchanged(BLOG, "", Family.AAAA)), "OK\n\n\nUPDATED"),
        ((AAAA, Skipped(BLOG, FOUR, Family.A, Refusal.FAMILY_MISMATCH)), f"OK\n\n{SIX}\nNOCHANGE"),
        ((Updated(BLOG, VALUE, Challenge.TXT, ""),), f"OK\n{VALUE}\nUPDATED"),
        ((Unchanged(BLOG, VALUE, Challenge.TXT),), f"OK\n{VALUE}\nNOCHANGE"),
    ],
)
def test_a_success(answer: tuple[Skipped | Unchanged | Updated, ...], verbose: str) -> None:
    assert text_of(answer, verbose=False) == "OK"
    assert text_of(answer, verbose=True) == verbose


@pytest.mark.parametrize("answer", [*Refusal, Limited(3)])
def test_every_failure_is_ko(answer: Limited | Refusal) -> None:
    assert text_of(answer, verbose=False) == text_of(answer, verbose=True) == "KO"


@given(st.text(st.characters(max_codepoint=0xFF)), st.booleans())
def test_whatever_is_sent_is_read(junk: str, in_path: bool) -> None:
    parameters = read_path(f"/update/{junk}") if in_path else read_parameters(junk, HTTPHeaders(), b"")
    call = read_call(parameters or {})
    assert all(domain and domain == domain.strip() for domain in call.domains)
    assert [each.domain for each in call.requests(SOURCE, PEER)] == list(call.domains or ("",))


@given(
    st.lists(st.sampled_from([A, AAAA, OTHER, Moved(BLOG, "2001:db8::/56", 1, 1)]), min_size=1), st.booleans()
)
def test_no_answer_is_empty(results: list[HostResult], verbose: bool) -> None:
    assert text_of(tuple(results), verbose=verbose).startswith("OK")
