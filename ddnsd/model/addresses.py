"""IP addresses as clients write them, their one canonical text, and which of them a host can have.

The last is said by IANA's special-purpose address registries, as data (RFC 6890, RFC 8190). Source:
https://www.iana.org/assignments/iana-ipv4-special-registry and …/iana-ipv6-special-registry, their column
"Globally Reachable", as of 2025; the newest entry is 100:0:0:1::/64 (RFC 9780, April 2025). Of a block inside
another one the smaller counts.

The values of ACME challenges.
"""

import ipaddress
import re
from collections.abc import Iterable
from enum import StrEnum
from functools import lru_cache
from typing import NamedTuple

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address


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


class Block(NamedTuple):
    """An entry of a registry. `reachable` is None where the registry says "N/A"."""

    network: str
    name: str
    source: str
    reachable: bool | None


DOCUMENTATION = ("192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24", "2001:db8::/32", "3fff::/20")
"""What examples and tests are written with; everybody may try a service with these."""

REGISTRY = (
    Block("0.0.0.0/8", "This network", "RFC 791 §3.2", False),
    Block("10.0.0.0/8", "Private-Use", "RFC 1918", False),
    Block("100.64.0.0/10", "Shared Address Space", "RFC 6598", False),
    Block("127.0.0.0/8", "Loopback", "RFC 1122 §3.2.1.3", False),
    Block("169.254.0.0/16", "Link Local", "RFC 3927", False),
    Block("172.16.0.0/12", "Private-Use", "RFC 1918", False),
    Block("192.0.0.0/24", "IETF Protocol Assignments", "RFC 6890 §2.1", False),
    Block("192.0.0.9/32", "Port Control Protocol Anycast", "RFC 7723", True),
    Block("192.0.0.10/32", "Traversal Using Relays around NAT Anycast", "RFC 8155", True),
    Block("192.0.2.0/24", "Documentation (TEST-NET-1)", "RFC 5737", False),
    Block("192.31.196.0/24", "AS112-v4", "RFC 7535", True),
    Block("192.52.193.0/24", "AMT", "RFC 7450", True),
    Block("192.88.99.0/24", "Deprecated (6to4 Relay Anycast)", "RFC 7526", None),
    Block("192.88.99.2/32", "6a44-relay anycast address", "RFC 6751", False),
    Block("192.168.0.0/16", "Private-Use", "RFC 1918", False),
    Block("192.175.48.0/24", "Direct Delegation AS112 Service", "RFC 7534", True),
    Block("198.18.0.0/15", "Benchmarking", "RFC 2544", False),
    Block("198.51.100.0/24", "Documentation (TEST-NET-2)", "RFC 5737", False),
    Block("203.0.113.0/24", "Documentation (TEST-NET-3)", "RFC 5737", False),
    Block("240.0.0.0/4", "Reserved", "RFC 1112 §4", False),
    Block("::/128", "Unspecified Address", "RFC 4291", False),
    Block("::1/128", "Loopback Address", "RFC 4291", False),
    Block("64:ff9b::/96", "IPv4-IPv6 Translation", "RFC 6052", True),
    Block("64:ff9b:1::/48", "IPv4-IPv6 Translation, local use", "RFC 8215", False),
    Block("100::/64", "Discard-Only Address Block", "RFC 6666", False),
    Block("100:0:0:1::/64", "Dummy IPv6 Prefix", "RFC 9780", False),
    Block("2001::/23", "IETF Protocol Assignments", "RFC 2928", False),
    Block("2001::/32", "TEREDO", "RFC 4380", None),
    Block("2001:1::1/128", "Port Control Protocol Anycast", "RFC 7723", True),
    Block("2001:1::2/128", "Traversal Using Relays around NAT Anycast", "RFC 8155", True),
    Block("2001:1::3/128", "DNS-SD Service Registration Protocol Anycast", "RFC 9665", True),
    Block("2001:2::/48", "Benchmarking", "RFC 5180", False),
    Block("2001:3::/32", "AMT", "RFC 7450", True),
    Block("2001:4:112::/48", "AS112-v6", "RFC 7535", True),
    Block("2001:20::/28", "ORCHIDv2", "RFC 7343", True),
    Block("2001:30::/28", "Drone Remote ID Protocol Entity Tags", "RFC 9374", True),
    Block("2001:db8::/32", "Documentation", "RFC 3849", False),
    Block("2002::/16", "6to4", "RFC 3056", None),
    Block("2620:4f:8000::/48", "Direct Delegation AS112 Service", "RFC 7534", True),
    Block("3fff::/20", "Documentation", "RFC 9637", False),
    Block("5f00::/16", "Segment Routing (SRv6) SIDs", "RFC 9602", False),
    Block("fc00::/7", "Unique-Local", "RFC 4193", False),
    Block("fe80::/10", "Link-Local Unicast", "RFC 4291", False),
)

# What no host has on any network: "this network", reserved and multicast ones (RFC 1122 §3.2.1.3, RFC 4291).
_UNUSABLE = ("0.0.0.0/8", "224.0.0.0/4", "240.0.0.0/4", "::/128", "ff00::/8")


class _Networks:
    """Networks of both families to look an address up in, the smallest first."""

    def __init__(self, texts: Iterable[str]) -> None:
        networks = sorted(map(ipaddress.ip_network, texts), key=lambda each: -each.prefixlen)
        self._entries = {
            version: [
                (int(each.netmask), int(each.network_address), str(each))
                for each in networks
                if each.version == version
            ]
            for version in (4, 6)
        }

    def of(self, address: IPAddress) -> str | None:
        """Return the smallest network that the address lies in."""
        number = int(address)
        for mask, bits, network in self._entries[address.version]:
            if number & mask == bits:
                return network
        return None


_unusable = _Networks(_UNUSABLE)
_special = _Networks(block.network for block in REGISTRY)
_reachable = {block.network: block.reachable for block in REGISTRY} | dict.fromkeys(DOCUMENTATION, True)
_embedding = _Networks(("2002::/16", "64:ff9b::/96"))


def is_usable(address: IPAddress) -> bool:
    """Say whether a host on any network can have the address."""
    return _unusable.of(inner(address)) is None


def is_reachable(address: IPAddress) -> bool:
    """Say whether the registries do not call the address unreachable, or whether it is for documentation."""
    network = _special.of(inner(address))
    return network is None or _reachable[network] is not False


def inner(address: IPAddress) -> IPAddress:
    """Return the IPv4 address that an IPv6 address leads to: mapped, 6to4 (RFC 3056) and NAT64 (RFC 6052)."""
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    match _embedding.of(address):
        case "2002::/16":
            return ipaddress.IPv4Address(int(address) >> 80 & 0xFFFFFFFF)
        case "64:ff9b::/96":
            return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        case _:
            return address
