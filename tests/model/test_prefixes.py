"""Prefixes as routers send them, and the addresses below them."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ddnsd.model.addresses import InvalidAddressError
from ddnsd.model.prefixes import address_below, parse_prefix
from ddnsd.model.resources import HostSpec


def below(prefix: str, suffix: str | None = "::7", subnet: str | None = None) -> str | None:
    return address_below(parse_prefix(prefix), HostSpec("alice", ipv6_suffix=suffix, ipv6_subnet=subnet))


@pytest.mark.parametrize(
    ("prefix", "suffix", "subnet", "address"),
    [
        ("2001:db8:1:2::/64", "::7", None, "2001:db8:1:2::7"),
        ("2001:db8:1:2::/64", "::1234:5678:9abc:def0", None, "2001:db8:1:2:1234:5678:9abc:def0"),
        ("2001:db8:1:2::/56", "::7", None, "2001:db8:1:2::7"),
        ("2001:db8:1:2::/56", "::7", "2", "2001:db8:1:2::7"),
        ("2001:db8:1:2::/56", "::7", "ff", "2001:db8:1:ff::7"),
        ("2001:db8:1:2::/56", "::7", "0", "2001:db8:1::7"),
        ("2001:db8:1:2::/56", "::7", "100", None),
        ("2001:db8:1:200::/64", "::7", "0", "2001:db8:1:200::7"),
        ("2001:db8:1:200::/64", "::7", "1", None),
        ("2001:db8:1:2:ffff::1/64", "::7", None, "2001:db8:1:2::7"),
        ("2001:db8:1:2::/64", None, None, None),
    ],
)
def test_the_prefix_the_subnet_and_the_identifier_make_the_address(
    prefix: str, suffix: str | None, subnet: str | None, address: str | None
) -> None:
    assert below(prefix, suffix, subnet) == address


@pytest.mark.parametrize(
    "text",
    [
        *("", "2001:db8::", "2001:db8::/", "/64", "2001:db8::/65", "2001:db8::/15", "2001:db8::/0x40"),
        *("192.0.2.0/24", "::/64", "ff02::/64", "2001:db8::%eth0/64", "2001:db8::/64/64", "x" * 70_000),
    ],
)
def test_what_is_no_prefix_of_hosts_is_refused(text: str) -> None:
    with pytest.raises(InvalidAddressError):
        parse_prefix(text)


def test_private_prefixes_can_be_refused() -> None:
    assert str(parse_prefix("fd00:1:2:3::/64")) == "fd00:1:2:3::/64"
    with pytest.raises(InvalidAddressError):
        parse_prefix("fd00:1:2:3::/64", private=False)


@given(st.integers(0x2000, 0x3FFF), st.integers(0, 2**48 - 1), st.integers(1, 2**64 - 1), st.integers(16, 64))
def test_every_address_is_canonical_and_below_the_prefix(
    first: int, rest: int, identifier: int, length: int
) -> None:
    bits = first << 48 | rest
    prefix = parse_prefix(f"{ipaddress.IPv6Address(bits << 64)}/{length}")
    assert parse_prefix(str(prefix)) == prefix
    address = below(str(prefix), str(ipaddress.IPv6Address(identifier)))
    assert address == str(ipaddress.IPv6Address(bits << 64 | identifier))
