"""Single values as an operator writes them: endpoints, networks, names.

Each function returns the canonical value of a text, or raises ValueError with the remedy as message.
"""

import ipaddress
import re
from typing import Annotated, NamedTuple

from msgspec import Meta

from ddnsd.model.names import InvalidNameError, parse_name
from ddnsd.model.note import Note

IPNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network

_ENDPOINT = re.compile(r"(?:\[(?P<v6>[0-9a-fA-F:.]+)\]|(?P<host>[^\[\]:/@\s]*)):(?P<port>[0-9]{1,9})")
_MAX_NAME = 253
_MAX_PORT = 65535
_LOCAL_PART = re.compile(r"[A-Za-z0-9_+-]+(?:\.[A-Za-z0-9_+-]+)*")
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?", re.IGNORECASE)


Word = Annotated[
    str,
    Meta(pattern=r"^[A-Za-z0-9._-]{1,63}\Z"),
    Note(remedy="write 1 to 63 letters, digits, dots, hyphens or underscores"),
]
"""A name for a node, a region or a token."""
KubernetesName = Annotated[
    str,
    Meta(pattern=r"^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\Z"),
    Note(remedy="write 1 to 63 lower-case letters, digits and hyphens, no hyphen at an end"),
]
"""The name of a source or a namespace (RFC 1123 label)."""
ClusterRoleName = Annotated[
    str,
    Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9.:_-]{0,252}\Z"),
    Note(remedy="write the name of a ClusterRole: letters, digits and . : _ -, 253 at most"),
]
"""The name of a ClusterRole, which goes into a command that users copy."""
KeyPrefix = Annotated[
    str,
    Meta(pattern=r"^[A-Za-z0-9._/-]{0,199}/\Z"),
    Note(remedy='write a prefix that ends with "/", such as ddnsd/'),
]
"""A prefix of keys; it has an end, as `ddnsd` also begins `ddnsd-test`."""


class ListenAddress(NamedTuple):
    """Where to listen. `host` "" is every address, IPv4 and IPv6; `port` 0 is any free one."""

    host: str
    port: int

    def overlaps(self, other: "ListenAddress") -> bool:
        """Say whether the two cannot both be listened on."""
        same_host = self.host == other.host or not self.host or not other.host
        return same_host and self.port == other.port != 0

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_endpoint(text: str) -> ListenAddress:
    """Return the endpoint that `host:port`, `[v6]:port` or `:port` names."""
    match = _ENDPOINT.fullmatch(text)
    if match is None:
        raise ValueError('write "host:port", "[IPv6 address]:port" or ":port" for every address')
    if int(match["port"]) > _MAX_PORT:
        raise ValueError(f"the port is 0 to {_MAX_PORT}")
    if match["v6"]:
        return ListenAddress(str(_address(match["v6"], version=6)), int(match["port"]))
    return ListenAddress(parse_server(match["host"]) if match["host"] else "", int(match["port"]))


def parse_member(text: str) -> str:
    """Return the address of an etcd member, canonical: `http(s)://host:port` or `host:port`."""
    scheme, marker, place = text.rpartition("://")
    if scheme not in ("", "http", "https") or "@" in place:
        raise ValueError('write "http://host:2379", "https://host:2379" or "host:2379"; no user, no password')
    endpoint = parse_endpoint(place.removesuffix("/"))
    if not endpoint.host or not endpoint.port:
        raise ValueError("write the host and its port, such as etcd1.example.com:2379")
    return f"{scheme}{marker}{endpoint}"


def parse_api_server(text: str) -> str:
    """Return the URL of a Kubernetes API server, canonical: `https://host` with or without a port."""
    scheme, _, place = text.removesuffix("/").partition("://")
    if scheme != "https" or not place or "@" in place:
        raise ValueError('write a URL such as "https://10.96.0.1:443": a token goes there; no path, no user')
    if re.search(r":[0-9]+$", place):
        endpoint = parse_endpoint(place)
        if endpoint.host and endpoint.port:
            return f"{scheme}://{endpoint}"
    return f"{scheme}://{parse_host(place)}"


def parse_server(text: str) -> str:
    """Return a server's address or host name, canonical."""
    if ":" in text or re.fullmatch(r"[0-9.]+", text):
        return str(_address(text))
    return parse_host(text)


def parse_own_address(text: str) -> str:
    """Return an IP address, canonical, or one of the words for it, `asked` and `none`."""
    if text in ("asked", "none"):
        return text
    try:
        return str(_address(text))
    except ValueError as error:
        raise ValueError("write IP addresses, or asked or none") from error


def parse_host(text: str) -> str:
    """Return a canonical host name."""
    try:
        return parse_name(text)
    except InvalidNameError as error:
        raise ValueError("write a host name: letters, digits, hyphens and dots") from error


def parse_mailbox(text: str) -> str:
    """Return a mail address whose local part a domain name can carry (RFC 1035 §8)."""
    local, at, domain = text.rpartition("@")
    if not at or not _LOCAL_PART.fullmatch(local):
        raise ValueError('write a mail address such as "hostmaster@example.com"')
    return f"{local}@{parse_host(domain)}"


def parse_label(text: str) -> str:
    """Return one DNS label, lower case; an underscore is allowed (RFC 8552)."""
    if not _LABEL.fullmatch(text):
        raise ValueError("write one DNS label of 1 to 63 letters, digits, hyphens and underscores")
    return text.lower()


def parse_key_name(text: str) -> str:
    """Return a TSIG key's name (RFC 8945 §4.1): lower case, no trailing dot; underscores are allowed."""
    labels = text.removesuffix(".").split(".")
    if len(text) > _MAX_NAME or not all(map(_LABEL.fullmatch, labels)):
        raise ValueError("write the key's name: letters, digits, hyphens, underscores and dots")
    return ".".join(labels).lower()


def parse_network(text: str) -> IPNetwork:
    """Return a network in CIDR notation; an address alone is a network of one."""
    try:
        return ipaddress.ip_network(text)
    except ValueError as error:
        raise ValueError(f'write a network such as "10.0.0.0/8" or "2001:db8::/32" ({error})') from error


SOURCE_HEADERS = ("X-Forwarded-For", "Forwarded", "X-Real-IP", "CF-Connecting-IP", "True-Client-IP")
"""Headers in which proxies tell the client's address."""


def parse_source_header(text: str) -> str:
    """Return the name of a header in which proxies tell the client's address, as it is usually written."""
    for header in SOURCE_HEADERS:
        if header.lower() == text.lower():
            return header
    raise ValueError(f"write one of {', '.join(SOURCE_HEADERS)}")


def _address(text: str, version: int | None = None) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    try:
        address = ipaddress.ip_address(text)
    except ValueError as error:
        raise ValueError("write an IP address or a host name") from error
    if version not in (None, address.version):
        raise ValueError("brackets are for an IPv6 address")
    return address
