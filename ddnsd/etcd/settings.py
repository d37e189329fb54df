"""Where the cluster is and how to be let in. Times in seconds."""

import ipaddress
from dataclasses import dataclass, field
from typing import NamedTuple
from urllib.parse import urlsplit

DEFAULT_PORT = 2379


class Tls(NamedTuple):
    """PEM texts: who signed the members' certificates (None: the system's authorities), and our own."""

    authority: bytes | None = None
    certificate: bytes | None = None
    key: bytes | None = None

    def __repr__(self) -> str:
        return "Tls(…)"  # holds a private key


@dataclass(frozen=True, slots=True)
class EtcdUser:
    """A user of etcd's own authentication."""

    user: str
    password: str = field(repr=False)


class MemberAddress(NamedTuple):
    """One member: `target` as gRPC names it, `tls` or plaintext; `text` is what the operator wrote."""

    text: str
    target: str
    tls: bool


@dataclass(frozen=True, slots=True)
class EtcdClientSettings:
    """A cluster. `endpoints` are URLs or host:port, in order of preference; https wherever `tls` is given.

    `timeout` bounds a call for callers who say nothing, with all its tries, of which each gets
    `try_timeout`. `connect_timeout` is for TCP, TLS and HTTP/2 together: raise it for a distant member.
    A watch that hears nothing for `idle_timeout` asks for a sign of life, and leaves the member when it
    is silent for `dead_timeout`. `fragment` asks etcd to split a watch's responses above 2 MiB, for a
    proxy that bears no larger ones; it is slow at it (api/v3rpc/watch.go measures all events so far for
    every event): 20,000 events/s of a catch-up where it did 228,000.

    Raises:
        ValueError: no endpoint, or one that is none.
    """

    endpoints: tuple[str, ...]
    tls: Tls | None = None
    credentials: EtcdUser | None = None
    timeout: float = 5.0
    try_timeout: float = 1.0
    connect_timeout: float = 0.5
    idle_timeout: float = 2.0
    dead_timeout: float = 5.0
    fragment: bool = False

    def __post_init__(self) -> None:
        if not self.endpoints:
            raise ValueError("no etcd endpoint")
        self.addresses()

    def addresses(self) -> tuple[MemberAddress, ...]:
        """Return the endpoints as gRPC wants them."""
        return tuple(parse_address(endpoint, tls=self.tls is not None) for endpoint in self.endpoints)


def parse_address(text: str, *, tls: bool = False) -> MemberAddress:
    """Return the address of `http(s)://host:port` or `host:port`; IPv6 addresses in brackets.

    Naming (targets): https://github.com/grpc/grpc/blob/master/doc/naming.md

    Raises:
        ValueError: none of these.
    """
    url = urlsplit(text if "://" in text else f"{'https' if tls else 'http'}://{text}")
    if "@" in text:  # also where the rest is wrong: the text is not to be shown
        raise ValueError("an etcd endpoint holds no user or password: they have settings of their own")
    if url.scheme not in ("http", "https") or not url.hostname or url.path.strip("/") or url.query:
        raise ValueError(f"etcd endpoint {text!r}: write http://host:2379 or https://host:2379")
    port = url.port or DEFAULT_PORT
    return MemberAddress(text, _target(url.hostname, port), url.scheme == "https")


def _target(host: str, port: int) -> str:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return f"dns:///{host}:{port}"
    return f"ipv6:[{host}]:{port}" if address.version == 6 else f"ipv4:{host}:{port}"
