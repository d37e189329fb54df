"""Whose request it is, through proxies that are trusted and no others."""

from collections.abc import Sequence
from ipaddress import ip_address, ip_network

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tornado.httputil import HTTPHeaders

from ddnsd.web.client_address import SourceFinder

TRUSTED = [ip_network(text) for text in ("10.0.0.0/8", "127.0.0.1/32", "fd00::/8", "fe80::/10")]
PROXY, CLIENT = "10.0.0.1", "198.51.100.7"
XFF, FORWARDED = "X-Forwarded-For", "Forwarded"


def source(*lines: tuple[str, str], peer: str = PROXY, names: Sequence[str] = (XFF, FORWARDED)) -> str:
    headers = HTTPHeaders()
    for name, value in lines:
        headers.add(name, value.strip())  # as Tornado reads it
    return SourceFinder(TRUSTED, names).source(peer, headers)


@pytest.mark.parametrize("name", ["X-Real-IP", "CF-Connecting-IP", "True-Client-IP"])
def test_a_header_of_one_address(name: str) -> None:
    assert source((name, CLIENT), names=[name]) == CLIENT
    assert source((name, "[2001:DB8::7]:443"), names=[name]) == "2001:db8::7"
    for nobody in (f"192.0.2.66, {CLIENT}", PROXY, "", "x", "1" * 20_000):
        assert source((name, nobody), names=[name]) == ""
    assert source((name, "192.0.2.66"), (name, CLIENT), names=[name]) == ""
    assert source((name, CLIENT), (XFF, "192.0.2.66"), names=[name, XFF]) == "", "they disagree"


def test_a_header_that_no_proxy_writes_is_nothing() -> None:
    assert source((XFF, CLIENT), (FORWARDED, "for=192.0.2.66"), names=[XFF]) == CLIENT
    assert source((XFF, "192.0.2.66"), ("CF-Connecting-IP", CLIENT), names=["CF-Connecting-IP"]) == CLIENT
    assert source((XFF, CLIENT), names=[]) == ""


def test_a_chain_without_end_is_not_followed_to_its_end() -> None:
    assert source((XFF, ",".join([CLIENT, *[PROXY] * 31]))) == CLIENT
    assert source((XFF, ",".join([CLIENT, *[PROXY] * 32]))) == ""
    assert source((FORWARDED, f"for={CLIENT}" + f",for={PROXY}" * 400)) == ""


@pytest.mark.parametrize("peer", [CLIENT, "2001:db8::7", "fe80::1%eth0", "::ffff:198.51.100.7", "127.0.0.1"])
def test_without_proxies_the_peer_is_the_client_whatever_it_says(peer: str) -> None:
    headers = HTTPHeaders({XFF: "192.0.2.66", FORWARDED: "for=192.0.2.66"})
    assert SourceFinder([]).source(peer, headers) == peer


@pytest.mark.parametrize("peer", [CLIENT, "2001:db8::7", "::ffff:198.51.100.7", "11.0.0.1", "127.0.0.2"])
def test_a_header_from_a_stranger_is_ignored(peer: str) -> None:
    assert source((XFF, "192.0.2.66"), (FORWARDED, "for=192.0.2.66"), peer=peer) == peer


@pytest.mark.parametrize(
    "peer", [PROXY, "::ffff:10.0.0.1", "fd00::1", "fe80::1", "fe80::1%eth0", "127.0.0.1"]
)
def test_a_trusted_proxy_is_believed_and_never_the_client_itself(peer: str) -> None:
    assert source((XFF, CLIENT), peer=peer) == CLIENT
    assert source((FORWARDED, f"for={CLIENT}"), peer=peer) == CLIENT
    assert source(peer=peer) == ""


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (CLIENT, CLIENT),
        ("192.0.2.66, 198.51.100.7", CLIENT),  # what the client wrote stands left of what the proxy saw
        ("192.0.2.66,198.51.100.7, 10.0.0.2 ,10.0.0.3", CLIENT),
        ("10.0.0.9, 198.51.100.7", CLIENT),
        ("198.51.100.7:51234", CLIENT),
        ("2001:DB8:0::7", "2001:db8::7"),
        ("[2001:db8::7]", "2001:db8::7"),
        ("[2001:db8::7]:51234", "2001:db8::7"),
        ("::ffff:198.51.100.7", CLIENT),
        ("198.51.100.7, ::ffff:10.0.0.2", CLIENT),
        ('"198.51.100.7"', CLIENT),
        ("10.0.0.2, 10.0.0.3", ""),  # proxies alone
        ("", ""),
        ("198.51.100.7, ", ""),  # the proxy did not know
        ("198.51.100.7, unknown", ""),
        ("198.51.100.7, 192.0.2.256", ""),
        ("198.51.100.7, 192.0.2.01", ""),
        ("198.51.100.7, １92.0.2.1".encode().decode("latin-1"), ""),
        ("fe80::7%eth0", ""),
        ("198.51.100.7, fe80::2%eth0", ""),
        ("for=198.51.100.7", ""),
    ],
)
def test_x_forwarded_for_names_the_nearest_stranger(value: str, expected: str) -> None:
    assert source((XFF, value)) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (f"for={CLIENT}", CLIENT),
        (f"For={CLIENT};proto=https;by=10.0.0.1", CLIENT),
        (f"by=10.0.0.1; for={CLIENT} ;proto=http", CLIENT),
        (f'for="{CLIENT}:51234"', CLIENT),
        (f"for={CLIENT}:51234", CLIENT),  # not quoted: against the RFC, and common
        ('for="[2001:DB8::7]"', "2001:db8::7"),
        ('for="[2001:db8::7]:51234"', "2001:db8::7"),
        ("for=[2001:db8::7]", "2001:db8::7"),
        ('for="[::ffff:198.51.100.7]"', CLIENT),
        (f"for=192.0.2.66, for={CLIENT}", CLIENT),
        (f"for=192.0.2.66,for={CLIENT}, for=10.0.0.2;by=10.0.0.1", CLIENT),
        ("for=10.0.0.2", ""),
        ("for=unknown", ""),
        (f"for={CLIENT}, for=_hidden", ""),
        (f"for={CLIENT}, proto=https", ""),  # a hop that does not say for whom
        (f"for={CLIENT},", ""),
        ("", ""),
        (f"xfor={CLIENT}", ""),
        # The client's Host, quoted by the proxy, is no hop and no `for`.
        (f'for={CLIENT};host="a, for=192.0.2.66"', CLIENT),
        (f'host="a;for=192.0.2.66";for={CLIENT}', CLIENT),
        (f'for={CLIENT};host="a\\";for=192.0.2.66;b=\\""', CLIENT),
        # A quotation that does not end, or ends inside a word: then whose words are whose is not known.
        (f'for=192.0.2.66;host=", for={CLIENT}', ""),
        (f'for=192.0.2.66;host=", for="{CLIENT}"', ""),
        (f'for="{CLIENT}" x', ""),
        (f"for = {CLIENT}", ""),
        (f"{CLIENT}", ""),
    ],
)
def test_forwarded_names_the_nearest_stranger(value: str, expected: str) -> None:
    assert source((FORWARDED, value)) == expected


def test_a_header_of_several_lines_is_one_list() -> None:
    assert source((XFF, "192.0.2.66"), (XFF, CLIENT), (XFF, "10.0.0.2")) == CLIENT
    assert source((FORWARDED, "for=192.0.2.66"), (FORWARDED, f"for={CLIENT}")) == CLIENT


def test_two_headers_count_only_where_they_agree() -> None:
    assert source((XFF, CLIENT), (FORWARDED, f'for="{CLIENT}:80"')) == CLIENT
    assert source((XFF, "2001:db8:0::7"), (FORWARDED, 'for="[2001:DB8::7]"')) == "2001:db8::7"
    assert source((XFF, CLIENT), (FORWARDED, "for=192.0.2.66")) == ""
    assert source((XFF, CLIENT), (FORWARDED, "for=unknown")) == ""
    assert source((XFF, CLIENT), (FORWARDED, "for=10.0.0.2")) == ""


HOPS = st.sampled_from([*(f"10.0.0.{n}" for n in range(9)), "fd00::1"])
FREE = st.text(st.characters(min_codepoint=0x20, max_codepoint=0xFF, exclude_characters="\x7f"), max_size=80)
LISTS = st.text(st.sampled_from('for=;,:" \\[]192.0.2.66'), max_size=80)


@given(FREE | LISTS, st.lists(HOPS, max_size=4))
def test_what_the_client_writes_never_changes_what_the_proxies_saw(written: str, proxies: list[str]) -> None:
    assert source((XFF, ", ".join([written, CLIENT, *proxies]))) == CLIENT
    seen = [f"for={CLIENT}", *(f'for="[{hop}]"' if ":" in hop else f"for={hop}" for hop in proxies)]
    assert source((FORWARDED, ", ".join([written, *seen]))) in (CLIENT, "")


@given(FREE | LISTS)
@example("a, for=192.0.2.66")
@example('a";for="192.0.2.66')
def test_what_a_proxy_quotes_of_the_client_is_no_hop(host: str) -> None:
    quoted = host.replace("\\", "\\\\").replace('"', '\\"')
    assert source((FORWARDED, f'host="{quoted}";for={CLIENT}')) == CLIENT
    assert source((FORWARDED, f'for={CLIENT};host="{quoted}", for=10.0.0.2')) == CLIENT


@given(FREE | LISTS)
@example('"' * 16_000)
@example("for=" + "[" * 16_000)
@example("," * 16_000)
@example('for="' + "\\" * 16_000)
@example("fe80::1%" + "x" * 16_000)
def test_whatever_a_header_holds_the_source_is_an_address_or_unknown(value: str) -> None:
    for header in (XFF, FORWARDED):
        found = source((header, value))
        assert found == "" or not any(ip_address(found) in network for network in TRUSTED)
