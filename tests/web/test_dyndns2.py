"""dyndns2: what its clients say, and what they are told."""

from base64 import b64encode
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tornado.httputil import HTTPHeaders

from ddnsd.model.addresses import Family
from ddnsd.model.request import Api, Limited, Moved, Refusal, Request, Unchanged, Updated, UpdateResult
from ddnsd.web.dyndns2 import WORDS, Dyndns2Call, read_call, reply_to
from ddnsd.web.forms import read_parameters

SOURCE = "198.51.100.7"
BLOG = "blog.example.com"
FOUR, SIX = "192.0.2.7", "2001:db8::7"
EIGHT = tuple(f"192.0.2.{number}" for number in range(1, 9))
PEER = "10.0.0.1"
PREFIX = "2001:db8:1:2::/56"


def called(query: str, **headers: str) -> Dyndns2Call:
    fields = HTTPHeaders(headers)
    return read_call(read_parameters(query, fields, b""), fields)


def asked(query: str) -> tuple[Request, ...]:
    return called(f"hostname=blog.example.com&{query}").requests(SOURCE, PEER)


def request(ip: str = "", *more: str, domain: str = "blog.example.com", **rest: Any) -> Request:
    return Request(domain, ip, "", SOURCE, more=more, peer=PEER, api=Api.DYNDNS2, **rest)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", request()),
        ("myip=", request()),
        ("myip=&myipv6=&ip6lanprefix=&offline=", request()),
        (f"myip={FOUR}", request(FOUR)),
        (f"myip={SIX}", request(SIX)),
        (f"myip=&myipv6={SIX}", request(SIX)),
        (f"myip={FOUR}&myipv6={SIX}", request(FOUR, SIX)),
        (f"myip={FOUR},{SIX}", request(FOUR, SIX)),
        (f"myip={SIX}%2C{FOUR}", request(SIX, FOUR)),
        (f"myip=+{FOUR}%20,+{quote(SIX)}", request(FOUR, SIX)),
        (f"myip={FOUR},{SIX}&myipv6={SIX}", request(FOUR, SIX)),
        (f"myip={FOUR},", request(FOUR)),
        ("myip=::ffff:192.0.2.7", request("::ffff:192.0.2.7")),
        ("myip=junk", request("junk")),
        (f"myipv4={FOUR}", request(FOUR)),
        (f"ip={FOUR}&ipv6={SIX}", request(FOUR, SIX)),
        (f"ipv4={FOUR}&myipv6={SIX}", request(FOUR, SIX)),
        (f"ipv6prefix={quote(PREFIX)}", request(prefix=PREFIX)),
        (
            f"wanip={FOUR}",
            request(strays=(FOUR,)),
        ),  # what it means, under its own name
        (f"wanip={quote(PREFIX)}", request(strays=(PREFIX,))),
        (f"wanip={FOUR}&myip={FOUR}", request(FOUR)),
        ("wanip=on&x=1&y=::", request(strays=("::",))),
        ("wanip=on&x=1&y=1.2.3", request(strays=("1.2.3",))),  # which is none
        (f"wanip={FOUR}&offline=yes", request(clear=(Family.A, Family.AAAA))),
        (f"myip={FOUR},192.0.2.8", request(FOUR, "192.0.2.8")),
        (f"myip={FOUR},{FOUR}&myipv6={FOUR}", request(FOUR)),
        ("myip=" + ",".join(EIGHT), request(*EIGHT)),
        ("myip=" + ",".join((*EIGHT, SIX)), request("\ufffd")),  # which is the address of nothing
        ("myip=" + ",".join(EIGHT) + f"&myipv6={SIX}", request("\ufffd")),
        ("myip=" + "1" * 4097, request("\ufffd")),
        (f"ip6lanprefix={quote(PREFIX)}", request(prefix=PREFIX)),
        (f"myip={FOUR}&myipv6={SIX}&ip6lanprefix={PREFIX}", request(FOUR, SIX, prefix=PREFIX)),
        ("offline=YES", request(clear=(Family.A, Family.AAAA))),
        (f"offline=yes&myip={FOUR}&ip6lanprefix={PREFIX}", request(clear=(Family.A, Family.AAAA))),
        ("offline=NO&myip=192.0.2.7", request(FOUR)),
        (f"system=dyndns&wildcard=ON&mx=m.example.com&backmx=YES&url=x&x=y&myip={FOUR}", request(FOUR)),
    ],
)
def test_the_parameters(query: str, expected: Request) -> None:
    assert asked(query) == (expected,)


def test_each_host_has_a_request() -> None:
    requests = called(
        f"hostname=a.example.com,+b.example.com%2Cc.example.com,&myip={FOUR}&ip6lanprefix={PREFIX}"
    )
    assert requests.requests(SOURCE, PEER) == (
        request(FOUR, domain="a.example.com", prefix=PREFIX),
        request(FOUR, domain="b.example.com", prefix=PREFIX),
        request(FOUR, domain="c.example.com", prefix=PREFIX),
    )


def basic(user: str, password: str) -> str:
    return "Basic " + b64encode(f"{user}:{password}".encode()).decode()


def test_the_token_is_the_password() -> None:
    assert called("", Authorization=basic("alice", "secret")).token == "secret"
    assert called("", Authorization="Bearer secret").token == "secret"
    assert called("username=alice&password=secret").token == "secret"  # Synology
    assert called("password=query", Authorization=basic("alice", "header")).token == "query"
    assert called("password=", Authorization=basic("alice", "header")).token == "header"
    assert called("username=secret").token == ""


# The table of ../shared/reference/dyndns2-clients.md.
TABLE = {
    Refusal.MISSING_TOKEN: (401, "badauth"),
    Refusal.UNKNOWN_TOKEN: (401, "badauth"),
    Refusal.BANNED: (200, "abuse"),
    Refusal.SUSPENDED: (503, "911"),
    Refusal.NOT_FOUND: (200, "nohost"),
    Refusal.RECORD_DISABLED: (200, "nohost"),
    Refusal.ZONE_DISABLED: (200, "nohost"),
    Refusal.FIRST_LEVEL: (200, "notfqdn"),
    Refusal.MISSING_DOMAIN: (200, "numhost"),
    Refusal.INVALID_IP: (200, "badip"),
    Refusal.FAMILY_MISMATCH: (200, "badip"),
    Refusal.NAMESERVER_FAILED: (503, "dnserr"),
    Refusal.STORE_FAILED: (503, "911"),
}


@pytest.mark.parametrize("refusal", Refusal)
def test_each_refusal_has_its_word_and_status(refusal: Refusal) -> None:
    reply = reply_to([refusal])
    assert (reply.status, reply.body.decode()) == TABLE[refusal]


UPDATED = Updated("blog.example.com", FOUR, Family.A, "")
UNCHANGED = Unchanged("blog.example.com", FOUR, Family.A)


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        ((UPDATED,), f"good {FOUR}"),
        ((UNCHANGED,), f"nochg {FOUR}"),
        ((UNCHANGED, Updated("blog.example.com", SIX, Family.AAAA, "")), f"good {FOUR},{SIX}"),
        ((UNCHANGED, Unchanged("blog.example.com", SIX, Family.AAAA)), f"nochg {FOUR},{SIX}"),
        (
            (Updated("blog.example.com", "", Family.A, FOUR), Unchanged("blog.example.com", "", Family.AAAA)),
            "good",
        ),
        (
            (Unchanged("blog.example.com", "", Family.A), Unchanged("blog.example.com", "", Family.AAAA)),
            "nochg",
        ),
        ((UNCHANGED, Moved(BLOG, PREFIX, 3, 2)), f"good {FOUR}"),
        ((UNCHANGED, Moved(BLOG, PREFIX, 3, 0)), f"nochg {FOUR}"),
        ((Moved(BLOG, PREFIX, 3, 2),), f"good {PREFIX}"),
        ((Moved(BLOG, PREFIX, 3, 0),), f"nochg {PREFIX}"),
        (Limited(3.2), "911"),
    ],
)
def test_a_line(answer: Limited | tuple[Moved | Unchanged | Updated, ...], text: str) -> None:
    assert reply_to([answer]).body.decode() == text


def test_there_is_a_line_for_each_host_in_their_order() -> None:
    reply = reply_to([(UPDATED,), Refusal.NOT_FOUND, (UNCHANGED,)])
    assert (reply.status, reply.body.decode()) == (200, f"good {FOUR}\nnohost\nnochg {FOUR}")
    assert reply.headers == {}


def test_what_a_prefix_has_moved_counts_for_every_host() -> None:
    hosts: list[UpdateResult] = [(UNCHANGED, Moved(BLOG, PREFIX, 3, 2)), (), (UNCHANGED,), Refusal.NOT_FOUND]
    assert reply_to(hosts).body.decode() == f"good {FOUR}\ngood {PREFIX}\ngood {FOUR}\nnohost"
    still: list[UpdateResult] = [(Moved(BLOG, PREFIX, 3, 0),), (UNCHANGED,)]
    assert reply_to(still).body.decode() == f"nochg {PREFIX}\nnochg {FOUR}"


def test_one_temporary_failure_makes_the_whole_answer_temporary() -> None:
    reply = reply_to([(UPDATED,), Refusal.NAMESERVER_FAILED, Refusal.NOT_FOUND])
    assert (reply.status, reply.body.decode()) == (503, f"good {FOUR}\ndnserr\nnohost")


def test_too_often_is_temporary_and_says_when() -> None:
    reply = reply_to([(UPDATED,), Limited(3.2), Limited(0.1)])
    assert (reply.status, reply.body.decode(), reply.headers) == (
        503,
        f"good {FOUR}\n911\n911",
        {"Retry-After": "4"},
    )
    assert reply_to([Refusal.STORE_FAILED]).headers == {}


def test_wrong_credentials_are_said_once_with_the_challenge() -> None:
    reply = reply_to([Refusal.UNKNOWN_TOKEN] * 3)
    assert (reply.status, reply.body) == (401, b"badauth")
    assert reply.headers == {"WWW-Authenticate": 'Basic realm="ddnsd"'}


RESULTS = st.one_of(
    st.builds(Updated, st.just("a.b.c"), st.sampled_from([FOUR, ""]), st.sampled_from(Family), st.just("")),
    st.builds(Unchanged, st.just("a.b.c"), st.sampled_from([SIX, ""]), st.sampled_from(Family)),
    st.builds(Moved, st.just(BLOG), st.just(PREFIX), st.integers(0, 9), st.integers(0, 9)),
)
ANSWERS = st.one_of(
    st.sampled_from(Refusal), st.builds(Limited, st.floats(0, 1e6)), st.lists(RESULTS, min_size=1).map(tuple)
)


@given(st.lists(ANSWERS, min_size=1, max_size=20))
def test_no_answer_is_empty_or_a_success_that_is_none(
    answers: list[Any | Limited | tuple[Updated | Unchanged | Moved, ...]],
) -> None:
    reply = reply_to(answers)
    lines = reply.body.decode().split("\n")
    assert all(text.split(" ")[0] in {"good", "nochg", *WORDS.values()} for text in lines)
    failed = any(isinstance(answer, Refusal | Limited) for answer in answers)
    assert failed or reply.status == 200
    if reply.status == 200:
        assert len(lines) == len(answers)
        assert failed == any(text.split(" ")[0] not in ("good", "nochg") for text in lines)


@given(st.text(st.characters(max_codepoint=0xFF)), st.lists(st.text(max_size=5), max_size=3))
def test_whatever_is_sent_is_read(junk: str, words: list[str]) -> None:
    names = ("hostname", "myip", "myipv6", "ip6lanprefix", "offline", "password")
    query = "&".join([junk, *(f"{name}={quote(word)}" for name, word in zip(names, words, strict=False))])
    for each in called(query).requests(SOURCE, PEER):
        assert each.domain
        assert each.domain == each.domain.strip()
