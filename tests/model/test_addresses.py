"""IP addresses as clients write them, and their one canonical text."""

from ipaddress import IPv4Address, IPv6Address
from typing import Any, TypeGuard

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ddnsd.model.addresses import Address, Family, InvalidAddressError, is_usable, parse_address

ADDRESSLIKE = st.one_of(
    st.text(st.sampled_from("0123456789abcdefABCDEFx.:%/[] \x00１２٣²"), max_size=60),
    st.text(max_size=60),
)


IPV4 = st.ip_addresses(v=4).filter(is_usable)


def _is_plain_ipv6(address: IPv4Address | IPv6Address) -> TypeGuard[IPv6Address]:
    return isinstance(address, IPv6Address) and is_usable(address) and address.ipv4_mapped is None


IPV6 = st.ip_addresses(v=6).filter(_is_plain_ipv6)


@pytest.mark.parametrize(
    ("text", "family", "canonical"),
    [
        ("192.0.2.1", Family.A, "192.0.2.1"),
        ("10.0.0.1", Family.A, "10.0.0.1"),
        ("::ffff:192.0.2.1", Family.A, "192.0.2.1"),
        ("::FFFF:c000:201", Family.A, "192.0.2.1"),
        ("0:0:0:0:0:ffff:192.0.2.1", Family.A, "192.0.2.1"),
        ("2001:DB8::1", Family.AAAA, "2001:db8::1"),
        ("2001:0db8:0000:0000:0000:0000:0000:0001", Family.AAAA, "2001:db8::1"),
        ("2001:db8:0:1:1:1:1:1", Family.AAAA, "2001:db8:0:1:1:1:1:1"),  # RFC 5952 §4.2.2: one group stays
        ("2001:0:0:1:0:0:0:1", Family.AAAA, "2001:0:0:1::1"),  # §4.2.3: the longest run
        ("2001:db8:0:0:1:0:0:1", Family.AAAA, "2001:db8::1:0:0:1"),  # ... the first of equal ones
        ("64:ff9b::192.0.2.1", Family.AAAA, "64:ff9b::c000:201"),
        ("fe80::1", Family.AAAA, "fe80::1"),
        ("::1", Family.AAAA, "::1"),
    ],
)
def test_each_spelling_has_one_canonical_text(text: str, family: Family, canonical: str) -> None:
    assert parse_address(text) == Address(family, canonical)


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "example.com", "1", "1.2.3", "1.2.3.4.5", "1.2.3.256", "1.2.3.-4", "1..2.3", "0x1.2.3.4"),
        *("192.000.002.001", "192.0.2.01", "00.0.2.1", "::ffff:192.0.2.01"),
        *(
            "1.2.3.4 ",
            "1.2.3.4\n",
            "1.2.3.4\x00",
            "1.2.3.4/32",
            "1.2.3.4:80",
            "[2001:db8::1]",
            "2001:db8::/64",
        ),
        *("１.2.3.4", "1.2.3.４", "1。2。3。4", "١.2.3.4", "²001:db8::1", "2001:db8::１"),
        *(":", ":::", "2001:db8::1::1", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "2001:db8::12345", "g::1"),
        *("fe80::1%eth0", "fe80::1%", "::ffff:192.0.2.1%1", "192.0.2.1%eth0"),
        *("0.0.0.0", "0.0.0.1", "::", "::ffff:0.0.0.0", "255.255.255.255", "::ffff:255.255.255.255"),
        *("224.0.0.1", "239.255.255.255", "ff02::1", "::ffff:224.0.0.1"),
        *("\ud800", "1.2.3.\udcff4"),
        pytest.param("1" * 1_000_000, id="very long: digits"),
        pytest.param("1." * 500_000, id="very long: octets"),
        pytest.param(":" * 1_000_000, id="very long: colons"),
    ],
)
def test_what_no_host_can_have_is_refused(text: str) -> None:
    with pytest.raises(InvalidAddressError) as caught:
        parse_address(text)
    assert len(str(caught.value)) < 500


@given(ADDRESSLIKE)
@example("1.2.3.4")
def test_whatever_is_parsed_is_canonical_or_refused(text: str) -> None:
    try:
        address = parse_address(text)
    except InvalidAddressError:
        return
    assert parse_address(address.ip) == address
    assert (address.family is Family.AAAA) == (":" in address.ip)


@given(IPV4)
def test_an_ipv4_address_is_itself_however_it_is_mapped(address: IPv4Address | IPv6Address) -> None:
    expected = Address(Family.A, str(address))
    high, low = divmod(int(address), 1 << 16)
    assert parse_address(str(address)) == expected
    assert parse_address(f"::ffff:{address}") == expected
    assert parse_address(f"::FFFF:{high:x}:{low:04X}") == expected


@given(IPV6)
def test_an_ipv6_address_has_the_text_of_rfc_5952(address: Any) -> None:
    expected = Address(Family.AAAA, str(address))
    assert parse_address(str(address)) == expected
    assert parse_address(address.exploded.upper()) == expected
