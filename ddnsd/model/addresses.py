"""IP addresses as clients write them, and their one canonical text.

The values of ACME challenges.
"""

import ipaddress
import re
from enum import StrEnum
from functools import lru_cache
from typing import NamedTuple

from ddnsd.model.special_addresses import IPAddress, is_reachable, is_usable


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


class UnreachableAddressError(InvalidAddressError):
    """An address, but one that the Internet cannot reach, where those are refused."""


class Address(NamedTuple):
    """A usable host address: its family, and its text after RFC 5952."""

    family: Family
    ip: str


MAX_TEXT = 64
"""Characters: more than any address or prefix has, however it is written."""


def read_address(text: str) -> Address:
    """Return the address that the text names, whether a client may send it or not.

    ``::ffff:192.0.2.1`` is the IPv4 address (RFC 4291 §2.5.5.2).

    Raises:
        InvalidAddressError: not an address, leading zeros, a zone id.
    """
    address = _read(text)
    return Address(Family.A if address.version == 4 else Family.AAAA, str(address))


@lru_cache(maxsize=8192)
def parse_address(text: str, *, private: bool = True) -> Address:
    """Return the address that the text names, as a client sends it.

    With ``private=False`` an address that the Internet cannot reach is invalid too.

    Raises:
        InvalidAddressError: as of `read_address`, or an address that no host has or that is refused.
    """
    address = _read(text)
    if not is_usable(address):
        raise InvalidAddressError(f"no host has this address: {text[:64]!r}")
    if not private and not is_reachable(address):
        raise UnreachableAddressError(f"the Internet cannot reach this address: {text[:64]!r}")
    return Address(Family.A if address.version == 4 else Family.AAAA, str(address))


def _read(text: str) -> IPAddress:
    if len(text) > MAX_TEXT or "%" in text:
        raise InvalidAddressError(f"too long, or an address with a zone id: {text[:64]!r}")
    try:
        address = ipaddress.ip_address(text)
    except ValueError as error:
        raise InvalidAddressError(f"not an IP address: {text[:64]!r}") from error
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


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
    return _above(address, 64)


@lru_cache(maxsize=8192)
def networks_of(source: str) -> tuple[str, str, str]:
    """Return all that may be meant by a client's address: of IPv6 its /64, its /56 and its /48.

    A provider gives one customer as much as a /48. Of IPv4, and of what is no address, there is nothing but
    the first, and "" twice.
    """
    first = network_of(source)
    if "/" not in first:
        return first, "", ""
    address = ipaddress.IPv6Address(source)
    return first, _above(address, 56), _above(address, 48)


def _above(address: ipaddress.IPv6Address, length: int) -> str:
    return str(ipaddress.IPv6Network((int(address), length), strict=False))


_VALUE = re.compile(r"[A-Za-z0-9_-]{43}")


def is_challenge(text: str) -> bool:
    """Say whether a certificate authority can ask for this TXT: a SHA-256 in base64url (RFC 8555 §8.4)."""
    return _VALUE.fullmatch(text) is not None
