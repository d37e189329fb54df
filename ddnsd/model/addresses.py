"""IP addresses as clients write them, and their one canonical text."""

import ipaddress
from enum import StrEnum
from functools import lru_cache
from typing import NamedTuple


class Family(StrEnum):
    """An address family, named after its record type."""

    A = "A"
    AAAA = "AAAA"


class Challenge(StrEnum):
    """The record type of ACME challenges (RFC 8555 §8.4)."""

    TXT = "TXT"


RRType = Family | Challenge
"""The types of the RRsets that a host can have."""
RRTYPES: tuple[RRType, ...] = (*Family, Challenge.TXT)


class InvalidAddressError(ValueError):
    """The text is no address that a host can have."""


class Address(NamedTuple):
    """A usable host address: its family, and its text after RFC 5952."""

    family: Family
    ip: str


# What no resolver outside can reach. Wider than RFC 1918 on purpose (ULA, CGNAT, loopback, link-local),
# narrower than ipaddress.is_private, which also counts the documentation networks.
_PRIVATE = tuple(
    ipaddress.ip_network(text)
    for text in (
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "fc00::/7",
        "fe80::/10",
        "::1/128",
    )
)
_BROADCAST = ipaddress.IPv4Address("255.255.255.255")
_SLASH_64 = ((1 << 64) - 1) << 64


@lru_cache(maxsize=8192)
def parse_address(text: str, *, private: bool = True) -> Address:
    """Return the address that the text names.

    ``::ffff:192.0.2.1`` is the IPv4 address (RFC 4291 §2.5.5.2). With ``private=False`` an address
    that the Internet cannot reach is invalid too.

    Raises:
        InvalidAddressError: not an address, leading zeros, a zone id, unspecified, multicast, broadcast.
    """
    if "%" in text:
        raise InvalidAddressError(f"an address with a zone id: {text[:64]!r}")
    try:
        address = ipaddress.ip_address(text)
    except ValueError as error:
        raise InvalidAddressError(f"not an IP address: {text[:64]!r}") from error
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    if address.is_unspecified or address.is_multicast or address == _BROADCAST:
        raise InvalidAddressError(f"no host has this address: {text[:64]!r}")
    if not private and is_private(address):
        raise InvalidAddressError(f"a private address: {text[:64]!r}")
    return Address(Family.A if address.version == 4 else Family.AAAA, str(address))


def is_private(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """Say whether the address is one that the Internet cannot reach."""
    return any(address in network for network in _PRIVATE)


def network_of(source: str) -> str:
    """Return who is meant by a client's address: of IPv6 its /64, which one customer has as a whole.

    What is no address, "" among it, is returned as it is.
    """
    return _network_of(source) if ":" in source else source


@lru_cache(maxsize=8192)
def _network_of(source: str) -> str:
    try:
        address = ipaddress.IPv6Address(source)
    except ValueError:
        return source
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.IPv6Network((int(address) & _SLASH_64, 64)))
