"""The client's own address, through proxies that are trusted and no others.

Requests that a browser sends for another site's page, with the credentials that it remembers for this one.

Any page may have a browser send such a request, as for an image, and the browser adds Basic credentials by
itself. A token in the request's own parameters, or in a Bearer header, the page would have to know.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address
from urllib.parse import urlsplit

from tornado.httputil import HTTPHeaders

from ddnsd.config.parse import SOURCE_HEADERS, IPNetwork
from ddnsd.web.forms import is_basic

# One `name=value` of a Forwarded header (RFC 7239 §4), or none, and what ends it: ";" before the same
# hop's next one, "," before the next hop. Quoted text is taken whole: a proxy may quote the client's Host.
_PAIR = re.compile(r'[ \t]*(?:([\w!#$%&\'*+.^`|~-]+)=("(?:[^"\\]|\\.)*"|[^\s",;]*)[ \t]*)?(;|,|\Z)', re.ASCII)


class SourceFinder:
    """Says which address a request came from.

    Behind trusted proxies that is the right-most hop of `X-Forwarded-For` or `Forwarded` (RFC 7239)
    that is no trusted proxy itself: what stands further left, the client may have written. Of the other
    headers it is the one address that they name.
    """

    def __init__(self, trusted: Sequence[IPNetwork], headers: Sequence[str] = SOURCE_HEADERS[:2]) -> None:
        """`headers` are those of `SOURCE_HEADERS` that the proxies write, or remove: no others are read."""
        self.reconfigure(trusted, headers)

    def reconfigure(self, trusted: Sequence[IPNetwork], headers: Sequence[str]) -> None:
        """Trust these networks and headers, and no others, from now on."""
        self._trusted = tuple(trusted)
        self._headers = tuple(headers)
        self._is_trusted = lru_cache(maxsize=4096)(self._look_up)

    def source(self, peer: str, headers: HTTPHeaders) -> str:
        """Return the client's address as text, or "" where only a proxy's own is known.

        `peer` is the socket's; a header from anybody but a trusted proxy is ignored.
        """
        if not self._trusted or not self._is_trusted(peer):  # one call less than `trusts`: this is hot
            return peer
        found = {self._nearest_stranger(hops) for hops in _chains(headers, self._headers)}
        return found.pop() if len(found) == 1 else ""

    def trusts(self, peer: str) -> bool:
        """Say whether this is a trusted proxy's address."""
        return bool(self._trusted) and self._is_trusted(peer)

    def _nearest_stranger(self, hops: Iterable[str]) -> str:
        return next((hop for hop in hops if not self._is_trusted(hop)), "")

    def _look_up(self, text: str) -> bool:
        address = _address(text)
        return address is not None and any(address in network for network in self._trusted)


_MOST = 4096  # octets of such a header; each proxy adds some twenty
_HOPS = 32  # proxies in a row


def _chains(headers: HTTPHeaders, names: Sequence[str]) -> Iterator[Iterable[str]]:
    """Yield, for each header of these names that is there, its hops from the nearest proxy to the client.

    A proxy writes one of them and may pass on another as the client wrote it; where they disagree, the
    source is not known.
    """
    for name in names:
        value = headers.get(name)
        if value is not None:
            yield map(_hop, _NODES.get(name, _single_node)(value))


def _listed_nodes(text: str) -> Iterable[str]:
    return reversed(text.rsplit(",", _HOPS)[-_HOPS:])


def _single_node(text: str) -> Iterable[str]:
    return (text,)


def _forwarded_nodes(text: str) -> Sequence[str]:
    """Return each hop's `for`, "" where it has none; of a malformed header a single "".

    Malformed, or too long, it says nothing at all: where a quotation ends, and so whose words are whose, is
    not known.
    """
    if len(text) > _MOST:
        return ("",)
    nodes, node, position = [], "", 0
    while pair := _PAIR.match(text, position):
        name, value, end = pair.groups()
        if name and name.lower() == "for":
            node = value
        if end != ";":
            nodes.append(node)
            node = ""
        if not end:
            return nodes
        position = pair.end()
    return ("",)


_NODES: Mapping[str, Callable[[str], Iterable[str]]] = {
    "X-Forwarded-For": _listed_nodes,
    "Forwarded": lambda text: reversed(_forwarded_nodes(text)[-_HOPS:]),
}


def _hop(node: str) -> str:
    """Return a hop's address without quotes, brackets and port (RFC 7239 §6), "" if it names none.

    A zone id means nothing beyond its own link (RFC 4007 §6), so such an address names no hop either.
    """
    text = node.strip().strip('"')
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    address = _address(text)
    return "" if address is None or "%" in text else str(address)


def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


_OWN = ("same-origin", "none")  # "none": a person has typed the address, or chosen a bookmark


def is_forged(headers: HTTPHeaders) -> bool:
    """Say whether another site's page has made a browser send the request, with its Basic credentials.

    By `Sec-Fetch-Site` (https://www.w3.org/TR/fetch-metadata/), which no page can set; of older browsers by
    `Origin` (RFC 6454 §7). Clients that are no browsers send neither.
    """
    if not is_basic(headers):
        return False
    site = headers.get("Sec-Fetch-Site")
    if site is not None:
        return site.strip().lower() not in _OWN
    origin = headers.get("Origin")
    return origin is not None and not _is_same(origin, headers.get("Host", ""))


def _is_same(origin: str, host: str) -> bool:
    """Say whether an origin, such as `https://example.com:8443`, is of this host; a proxy may end TLS."""
    try:
        return bool(host) and urlsplit(origin.strip()).netloc.lower() == host.strip().lower()
    except ValueError:  # no URL, such as one with half an IPv6 address
        return False
