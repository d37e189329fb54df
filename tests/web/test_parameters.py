"""The parameters of an update, however they are sent."""

import json
from urllib.parse import quote, urlencode

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tornado.httputil import HTTPHeaders

from ddnsd.model.addresses import Family
from ddnsd.model.request import Request, UpdateRequest
from ddnsd.model.request import read as read_attempt
from ddnsd.web.forms import UnreadableRequestError, read_request

SOURCE = "198.51.100.7"
FORM = "application/x-www-form-urlencoded"
ALL = Request("blog.example.com", "192.0.2.7", "secret", SOURCE)
QUERY = "domain=blog.example.com&ip=192.0.2.7&token=secret"
JSON = b'{"domain":"blog.example.com","ip":"192.0.2.7","token":"secret"}'


def sent(query: str = "", body: bytes = b"", content_type: str | None = None, **headers: str) -> Request:
    fields = HTTPHeaders(headers)
    if content_type is not None:
        fields["Content-Type"] = content_type
    return read_request(query, fields, body, SOURCE)


def test_a_query_a_form_and_json_say_the_same() -> None:
    assert sent(QUERY) == ALL
    assert sent(body=QUERY.encode(), content_type=FORM) == ALL
    assert sent(body=QUERY.encode()) == ALL  # no content type: a form
    assert sent(body=JSON, content_type="application/json") == ALL


def test_what_is_absent_is_empty() -> None:
    assert sent() == Request("", "", "", SOURCE)
    assert sent(body=b"{}", content_type="application/json") == Request("", "", "", SOURCE)


@pytest.mark.parametrize("empty", ["ip=", "ip=%20", "ip=+", "ip", "ip=&ip=", ""])
def test_an_empty_parameter_counts_as_absent(empty: str) -> None:
    assert sent(f"domain=a.b.c&{empty}&token=secret") == Request("a.b.c", "", "secret", SOURCE)


def test_blanks_around_a_value_are_not_part_of_it() -> None:
    assert sent("domain=+a.b.c%0A&token=%20secret%20").token == "secret"
    assert sent(body=b'{"domain":" a.b.c\\n"}', content_type="application/json").domain == "a.b.c"


def test_the_first_value_counts() -> None:
    assert sent("ip=192.0.2.7&ip=192.0.2.8").ip == "192.0.2.7"
    assert sent("ip=&ip=192.0.2.8").ip == "192.0.2.8"


def test_the_body_wins_over_the_query_where_it_says_something() -> None:
    query = "domain=query.example.com&ip=192.0.2.1&token=query"
    assert sent(query, b"domain=body.example.com", FORM) == Request(
        "body.example.com", "192.0.2.1", "query", SOURCE
    )
    assert sent(query, b'{"ip":"192.0.2.2","token":null,"domain":""}', "application/json") == Request(
        "query.example.com", "192.0.2.2", "query", SOURCE
    )
    blank = Request("query.example.com", "192.0.2.1", "query", SOURCE)
    assert sent(query, b"domain=+&ip=%20&token=", FORM) == blank
    assert sent(query, b'{"domain":" ","ip":"\\t"}', "application/json") == blank


@pytest.mark.parametrize("value", ["Bearer secret", "bearer secret", "BEARER   secret "])
def test_the_token_may_be_a_bearers(value: str) -> None:
    assert sent(Authorization=value).token == "secret"


@pytest.mark.parametrize("value", ["", "secret", "Bearer", "Bearer ", "Basic c2VjcmV0", "Bearersecret"])
def test_no_other_authorization_is_a_token(value: str) -> None:
    assert sent(Authorization=value).token == ""


def test_a_token_parameter_wins_over_the_header() -> None:
    assert sent("token=query", Authorization="Bearer header").token == "query"
    assert sent(body=b"token=body", Authorization="Bearer header").token == "body"
    assert sent("token=", Authorization="Bearer header").token == "header"


@pytest.mark.parametrize(
    "content_type",
    [
        "application/json",
        "Application/JSON",
        "application/json; charset=utf-8",
        'application/json;charset="UTF-8"',
    ],
)
def test_json_is_told_by_its_media_type_alone(content_type: str) -> None:
    assert sent(body=JSON, content_type=content_type) == ALL


@pytest.mark.parametrize("content_type", [f"{FORM}; charset=UTF-8", FORM.upper(), f" {FORM} "])
def test_a_form_is_told_by_its_media_type_alone(content_type: str) -> None:
    assert sent(body=QUERY.encode(), content_type=content_type) == ALL


@pytest.mark.parametrize("content_type", ["", "text/plain", "multipart/form-data; boundary=x", "json", ";"])
def test_any_other_body_is_unreadable(content_type: str) -> None:
    with pytest.raises(UnreadableRequestError):
        sent(QUERY, body=b"token=secret", content_type=content_type)


def test_a_body_that_is_not_there_has_no_type() -> None:
    assert sent(QUERY, content_type="text/plain") == ALL


@pytest.mark.parametrize("name", ["bücher.example.com", "例子.example.com", "ÿ\x85\xa0ÿ.example.com"])
def test_international_text_is_utf8_percent_encoded_or_not(name: str) -> None:
    raw = name.encode()
    assert sent(f"domain={quote(name)}").domain == name
    assert sent(f"domain={raw.decode('latin-1')}").domain == name  # as Tornado hands raw octets over
    assert sent(f"domain={raw.decode('latin-1')}%2E").domain == f"{name}."
    assert sent(body=b"domain=" + raw).domain == name
    assert sent(body=json.dumps({"domain": name}).encode(), content_type="application/json").domain == name
    unescaped = json.dumps({"domain": name}, ensure_ascii=False).encode()
    assert sent(body=unescaped, content_type="application/json").domain == name


@pytest.mark.parametrize(
    ("query", "domain"),
    [("domain=100%", "100%"), ("domain=%zz", "%zz"), ("domain=%2", "%2"), ("domain=a%00b", "a\x00b")],
)
def test_a_percent_that_begins_no_octet_stands_for_itself(query: str, domain: str) -> None:
    assert sent(query).domain == domain


@pytest.mark.parametrize(
    "octets", [b"%ff", b"%C3", b"%ED%A0%80", b"%C0%AF", b"\xff", b"\xc3", b"b\xfccher", b"%F5%80%80%80"]
)
def test_octets_that_are_not_utf8_are_unreadable(octets: bytes) -> None:
    with pytest.raises(UnreadableRequestError):
        sent("domain=" + octets.decode("latin-1"))
    with pytest.raises(UnreadableRequestError):
        sent(body=b"token=" + octets)


def test_a_parameters_name_may_be_encoded_too() -> None:
    assert sent("d%6Fmain=a.b.c&%69p=192.0.2.7") == Request("a.b.c", "192.0.2.7", "", SOURCE)


def test_octets_of_parameters_that_nobody_reads_do_not_matter() -> None:
    assert sent(f"{QUERY}&comment=%ff") == ALL


@pytest.mark.parametrize(
    "body",
    [
        *(b" ", b"{", b"null", b"[]", b'"text"', b"7", b"domain=a.b.c", b'{"domain":"a"}{"domain":"b"}'),
        *(b'{"domain":7}', b'{"ip":["192.0.2.7"]}', b'{"token":true}', b'{"token":{"secret":1}}'),
        *(
            b'{"domain":"\xff"}',
            b'{"domain":"\\ud800"}',
            b'{"domain":"a\x00b"}',
            b'\xef\xbb\xbf{"domain":"a.b.c"}',
        ),
        *('{"domain":"a.b.c"}'.encode("utf-16"), b'{"x":' + b"[" * 60_000, b'{"x":' + b'{"x":' * 10_000),
    ],
    ids=lambda body: body[:30].decode("latin-1"),
)
def test_json_that_is_no_object_of_texts_is_unreadable(body: bytes) -> None:
    with pytest.raises(UnreadableRequestError):
        sent(body=body, content_type="application/json")


def test_unknown_fields_are_tolerated() -> None:
    assert sent(f"{QUERY}&hostname=x&_=1") == ALL
    assert sent(body=JSON[:-1] + b',"ttl":60,"x":{"y":[1,null]}}', content_type="application/json") == ALL


def test_only_so_many_fields_are_parsed() -> None:
    assert sent("&".join(["x=1"] * 61 + [QUERY])) == ALL
    with pytest.raises(UnreadableRequestError):
        sent("&".join(["x=1"] * 62 + [QUERY]))


VALUES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(
    lambda text: text == text.strip()
)


@given(VALUES, VALUES, VALUES)
@example("a&b=c", "+ %20", "密码=&")
def test_every_text_can_be_sent_in_every_way(domain: str, ip: str, token: str) -> None:
    fields = {"domain": domain, "ip": ip, "token": token}
    expected = Request(domain, ip, token, SOURCE)
    assert sent(urlencode(fields)) == expected
    assert sent(body=urlencode(fields).encode()) == expected
    assert sent(body=json.dumps(fields).encode(), content_type="application/json") == expected


@given(
    st.text(st.characters(max_codepoint=0xFF)),
    st.binary() | st.text().map(lambda text: b'{"domain":"' + text.encode("utf-8", "replace")),
    st.sampled_from([None, FORM, "application/json", "text/plain"]),
)
def test_whatever_is_sent_is_read_or_refused(query: str, body: bytes, content_type: str | None) -> None:
    try:
        request = sent(query, body, content_type)
    except UnreadableRequestError:
        return
    assert all(value == value.strip() for value in request if isinstance(value, str))


def test_both_families_and_a_prefix_are_read_wherever_they_stand() -> None:
    more = {"ipv6": "2001:db8::7", "ip6lanprefix": "2001:db8::/56"}
    asked = ALL._replace(ipv6="2001:db8::7", prefix="2001:db8::/56")
    assert sent(f"{QUERY}&{urlencode(more)}") == asked
    assert sent(body=f"{QUERY}&{urlencode(more)}".encode()) == asked
    assert sent(body=json.dumps(json.loads(JSON) | more).encode(), content_type="application/json") == asked


@pytest.mark.parametrize(
    ("sends", "withdrawn"),
    [
        ("", ()),
        ("clear=", ()),
        ("clear=false", ()),
        ("clear=maybe&record_type=MX", ()),  # ignored, as ever
        ("record_type=A", ()),
        ("clear=true", (Family.A, Family.AAAA)),
        ("clear=1&record_type=aaaa", (Family.AAAA,)),
        ("clear=Yes&record_type=A", (Family.A,)),
    ],
)
def test_only_who_says_so_withdraws_addresses(sends: str, withdrawn: tuple[Family, ...]) -> None:
    assert sent(f"{QUERY}&{sends}").clear == withdrawn


def test_a_truth_of_json_is_one_too() -> None:
    body = json.dumps(json.loads(JSON) | {"clear": True, "record_type": "A"}).encode()
    assert sent(body=body, content_type="application/json").clear == (Family.A,)


def test_a_method_can_say_it() -> None:
    assert read_request(QUERY, HTTPHeaders(), b"", SOURCE, withdraws=True).clear == (Family.A, Family.AAAA)
    with pytest.raises(UnreadableRequestError):
        read_request(f"{QUERY}&record_type=MX", HTTPHeaders(), b"", SOURCE, withdraws=True)


@pytest.mark.parametrize(
    ("query", "body", "content_type", "taken"),
    [
        ("domain=a.example.com&myip=192.0.2.7", b"", None, None),
        ("domain=a.example.com&token=t&addr=2001:db8::%2F64", b"", None, None),
        ("domain=a.example.com&ip=&myip=192.0.2.7", b"", None, None),
        ("domain=a.example.com&Ip=192.0.2.7", b"", None, None),
        ("domain=a.example.com&ip=192.0.2.8&myip=192.0.2.7", b"", None, "192.0.2.8"),
        ("domain=a.example.com&version=1.2.3&x=7", b"", None, SOURCE),
        ("domain=a.example.com", b"token=t&myip=192.0.2.7", FORM, None),
        ("", b'{"domain":"a.example.com","myip":"192.0.2.7"}', "application/json", None),
        ("", b'{"domain":"a.example.com","myip":7,"x":{"ip":"::7"}}', "application/json", SOURCE),
    ],
)
def test_an_address_under_another_name_is_not_taken_for_none(
    query: str, body: bytes, content_type: str | None, taken: str | None
) -> None:
    asked = sent(query, body, content_type)._replace(token="t")
    attempt = read_attempt((asked,), "", private=True)
    assert isinstance(attempt, UpdateRequest)
    wishes = attempt.targets[0].wishes
    assert (wishes and wishes[0].value) == taken


@pytest.mark.parametrize("junk", [b'"\xff":1', b'"\xc3', b'"x":' + b"[" * 9999])
def test_json_that_is_broken_under_another_name_is_unreadable(junk: bytes) -> None:
    with pytest.raises(UnreadableRequestError):
        sent("", b'{"domain":"a.example.com",' + junk + b"}", "application/json")


def test_who_withdraws_means_no_address() -> None:
    query = "domain=a.example.com&myip=192.0.2.7&clear=true"
    assert sent(query).clear == tuple(Family)
