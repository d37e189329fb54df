"""The lower part of a host's IPv6 address as documents write it, and its one canonical text."""

import ipaddress
import re

from ddnsd.config.reader import shown

_SUBNET = re.compile(r"[0-9a-f]{1,12}")  # 48 bits: of a /16, shorter prefixes are delegated to nobody
_INTERFACE_BITS = 64  # RFC 4291 §2.5.1


def read_suffix(text: str) -> str:
    """Return the canonical text of an interface identifier, written as an address whose prefix is zero.

    Raises:
        ValueError: it is none; the message has the remedy.
    """
    try:
        address = ipaddress.IPv6Address(text)
    except ValueError as error:
        raise ValueError(f'{shown(text)} is no IPv6 address: write one such as "::1:2:3:4"') from error
    interface = int(address) % 2**_INTERFACE_BITS
    if not interface:
        raise ValueError(f'{shown(text)} is no interface: write its bits, such as "::1:2:3:4"')
    if interface != int(address) or address.scope_id is not None:
        alone = ipaddress.IPv6Address(interface)
        raise ValueError(f'{shown(text)} is more than the last {_INTERFACE_BITS} bits: write "{alone}"')
    return str(address)


def read_subnet(text: str) -> str:
    """Return the canonical text of a subnet's number: hexadecimal in lower case, without leading zeros.

    Raises:
        ValueError: it is none; the message has the remedy.
    """
    number = text.lower()
    if not _SUBNET.fullmatch(number):
        raise ValueError(f'{shown(text)} is no subnet: write 1 to 12 hexadecimal digits, such as "1f"')
    return f"{int(number, 16):x}"
