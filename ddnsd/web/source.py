"""The client's own address, through proxies that are trusted and no others."""

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

from tornado.httputil import HTTPHeaders

Network = IPv4Network | IPv6Network
_FOR = re.compile(r'(?:^|;)\s*for\s*=\s*("(?:[^"\\]|\\.)*"|[^;,\s]+)', re.IGNORECASE)


class SourceFinder:
    """Says which address a request came from.

    Behind trusted proxies that is the right-most hop of `X-Forwarded-For` or `Forwarded` (RFC 7239)
    that is no trusted proxy itself: what stands further left, the client may have written.
    """

    def __init__(self, trusted: Sequence[Network]) -> None:
        self._trusted = tuple(trusted)
        self._is_trusted = lru_cache(maxsize=4096)(self._look_up)

    def source(self, peer: str, headers: HTTPHeaders) -> str:
        """Return the client's address as text, or "" where only a proxy's own is known.

        `peer` is the socket's; a header from anybody but a trusted proxy is ignored.
        """
        if not self._trusted or not self._is_trusted(peer):
            return peer
        found = {self._nearest_stranger(hops) for hops in _chains(headers)}
        return found.pop() if len(found) == 1 else ""

    def _nearest_stranger(self, hops: Sequence[str]) -> str:
        return next((hop for hop in reversed(hops) if not self._is_trusted(hop)), "")

    def _look_up(self, text: str) -> bool:
        address = _address(text)
        return address is not None and any(
            address.version == network.version and address in network for network in self._trusted
        )


def _chains(headers: HTTPHeaders) -> Iterable[Sequence[str]]:
    """Yield, for each of the two headers that is there, its hops from the client to the nearest proxy.

    A proxy writes one of them and may pass on the other as the client wrote it; where both are there
    and disagree, the source is not known.
    """
    if listed := headers.get_list("X-Forwarded-For"):
        yield [_bare(hop) for line in listed for hop in line.split(",")]
    if elements := headers.get_list("Forwarded"):
        parts = (part for line in elements for part in line.split(","))
        yield [_bare(found[1]) if (found := _FOR.search(part)) else "" for part in parts]


def _bare(node: str) -> str:
    """Return a hop's address without quotes, brackets and port (RFC 7239 §6)."""
    text = node.strip().strip('"')
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text.partition(":")[0] if text.count(":") == 1 else text


def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address
