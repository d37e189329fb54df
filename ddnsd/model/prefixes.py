"""IPv6 prefixes as routers send them, and the addresses that hosts have below them.

A host is declared by its interface identifier (RFC 4291 §2.5.1), the lower 64 bits of its address; the
upper ones come with each prefix update.
"""

import ipaddress
import socket
from functools import lru_cache
from typing import NamedTuple

from ddnsd.model.addresses import MAX_TEXT, InvalidAddressError, parse_address
from ddnsd.model.resources import HostSpec

_SHORTEST, _LONGEST = 16, 64  # of a prefix; a longer one leaves no room for an interface identifier
_IDENTIFIER_BITS = 64


class Prefix(NamedTuple):
    """A prefix of `length` bits. `bits` are the upper 64 of the address that it was written with."""

    bits: int
    length: int

    def __str__(self) -> str:
        return f"{ipaddress.IPv6Address(self.bits << _IDENTIFIER_BITS)}/{self.length}"


@lru_cache(maxsize=1024)
def parse_prefix(text: str, *, private: bool = True) -> Prefix:
    """Return the prefix that the text names, as a client sends it.

    Raises:
        InvalidAddressError: as of `read_prefix`, or none that hosts have; with `private=False` also one
            that the Internet cannot reach.
    """
    prefix = read_prefix(text)
    parse_address(_text(prefix.bits << _IDENTIFIER_BITS), private=private)  # what no host has, no prefix has
    return prefix


def read_prefix(text: str) -> Prefix:
    """Return the prefix that the text names, such as ``2001:db8:1:2::/64`` or ``…/56``.

    Bits between the length and /64 are kept: they are the subnet of hosts that name none themselves.

    Raises:
        InvalidAddressError: not an IPv6 prefix of 16 to 64 bits.
    """
    try:
        interface = ipaddress.IPv6Interface(text if "/" in text and len(text) <= MAX_TEXT else "")
    except ValueError as error:
        raise InvalidAddressError(f"not an IPv6 prefix: {text[:64]!r}") from error
    length = interface.network.prefixlen
    if "%" in text or not _SHORTEST <= length <= _LONGEST:
        raise InvalidAddressError(f"not an IPv6 prefix of /{_SHORTEST} to /{_LONGEST}: {text[:64]!r}")
    return Prefix(int(interface.ip) >> _IDENTIFIER_BITS, length)


def address_below(prefix: Prefix, host: HostSpec) -> str | None:
    """Return the address that a host has below the prefix, after RFC 5952.

    None if it follows no prefixes, or if the number of its subnet is too large for this one.
    """
    if host.ipv6_suffix is None:
        return None
    bits = prefix.bits
    if host.ipv6_subnet is not None:
        room = _LONGEST - prefix.length
        subnet = int(host.ipv6_subnet, 16)
        if subnet >> room:
            return None
        bits = bits >> room << room | subnet
    identifier = int.from_bytes(socket.inet_pton(socket.AF_INET6, host.ipv6_suffix), "big")
    return _text(bits << _IDENTIFIER_BITS | identifier)


def _text(address: int) -> str:
    """Return an address' canonical text; 20 times as fast as `ipaddress`, for the hosts of a large site."""
    return socket.inet_ntop(socket.AF_INET6, address.to_bytes(16, "big"))
