"""The special-purpose registries: which addresses a client may send, and which the Internet can reach."""

import ipaddress
from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ddnsd.model.addresses import (
    DOCUMENTATION,
    REGISTRY,
    InvalidAddressError,
    inner,
    is_reachable,
    is_usable,
    parse_address,
    read_address,
)

USELESS = [
    *("0.0.0.0", "0.1.2.3", "0.255.255.255", "240.0.0.0", "240.1.2.3", "255.1.2.3", "255.255.255.255"),
    *("224.0.0.1", "239.255.255.255", "::", "ff02::1", "ff0e::1"),
    *("::ffff:0.1.2.3", "::ffff:240.1.2.3", "2002:1:203::1", "2002:f001:203::1", "64:ff9b::240.1.2.3"),
]
UNREACHABLE = [
    *("10.0.0.1", "100.64.0.1", "100.127.255.255", "127.0.0.1", "169.254.1.1", "172.16.0.1", "192.168.1.1"),
    *("192.0.0.1", "192.0.0.2", "192.0.0.170", "192.88.99.2", "198.18.0.1", "198.19.255.255"),
    *("::1", "64:ff9b:1::1", "100::1", "100:0:0:1::1", "2001:2::1", "2001:10::1", "2001:1ff::1", "5f00::1"),
    *("fc00::1", "fd00::1", "fe80::1"),
    *("::ffff:10.0.0.1", "2002:a00:1::1", "2002:c0a8:101::1", "64:ff9b::10.0.0.1", "64:ff9b::7f00:1"),
]
REACHABLE = [
    *(
        "1.1.1.1",
        "9.255.255.255",
        "11.0.0.0",
        "100.63.255.255",
        "100.128.0.1",
        "172.32.0.1",
        "191.255.255.255",
    ),
    *("192.0.0.9", "192.0.0.10", "192.0.1.1", "192.31.196.1", "192.52.193.1", "192.88.99.1", "192.175.48.1"),
    *("198.17.255.255", "198.20.0.0", "223.255.255.255", "192.0.2.1", "198.51.100.1", "203.0.113.1"),
    *("2001:1::1", "2001:1::3", "2001:3::1", "2001:4:112::1", "2001:20::1", "2001:30::1", "2001:0:1::1"),
    *("2001:200::1", "2001:db8::1", "3fff:fff::1", "2620:4f:8000::1", "2a00::1", "2606:4700::1111"),
    *("2002:808:808::1", "64:ff9b::8.8.8.8", "::ffff:8.8.8.8", "2002:c000:201::1"),
]


@pytest.mark.parametrize("text", USELESS)
def test_what_no_host_has_is_never_taken_from_a_client(text: str) -> None:
    for private in (True, False):
        with pytest.raises(InvalidAddressError, match="no host has this address"):
            parse_address(text, private=private)
    assert read_address(text), "stored by an earlier version, it is read all the same"


@pytest.mark.parametrize("text", UNREACHABLE)
def test_what_the_internet_cannot_reach_is_taken_unless_it_is_refused(text: str) -> None:
    assert parse_address(text, private=True)
    with pytest.raises(InvalidAddressError, match="the Internet cannot reach this address"):
        parse_address(text, private=False)


@pytest.mark.parametrize("text", REACHABLE)
def test_all_other_addresses_are_taken(text: str) -> None:
    assert parse_address(text, private=False) == parse_address(text)


def test_each_block_of_the_registries_counts_but_for_documentation_and_smaller_blocks() -> None:
    networks = [(ipaddress.ip_network(block.network), block.reachable) for block in REGISTRY]
    for network, reachable in networks:
        smaller = [each for each, _ in networks if each.version == network.version and each != network]
        for address in (network[0], network[-1]):
            if any(address in each and each[0] in network and each[-1] in network for each in smaller):
                continue
            if inner(address) != address:
                continue  # judged by the address inside
            expected = reachable is not False or str(network) in DOCUMENTATION
            assert is_reachable(address) is expected, address


@given(st.ip_addresses(v=4))
def test_an_ipv4_address_is_judged_alike_in_each_of_its_ipv6_forms(
    address: IPv4Address | IPv6Address,
) -> None:
    number = int(address)
    forms = [
        ipaddress.IPv6Address(0xFFFF << 32 | number),
        ipaddress.IPv6Address(0x2002 << 112 | number << 80 | 1),
        ipaddress.IPv6Address(0x64FF9B << 96 | number),
    ]
    for form in forms:
        assert (is_usable(form), is_reachable(form)) == (is_usable(address), is_reachable(address))
