"""The settings of the embedded nameserver."""

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Authority:
    """What the SOA and NS records at the apex of every zone say (RFC 1035 §3.3.13). Times in seconds."""

    server_name: str = ""
    """Host name in NS and in the SOA's MNAME; empty: ``ns.<zone>``."""
    hostmaster: str = ""
    """Mail address, or its form as a name, in the SOA's RNAME; empty: ``hostmaster.<zone>``."""
    refresh: int = 3600
    """How often a secondary looks for a new serial."""
    retry: int = 600
    """How soon it tries again."""
    expire: int = 604800
    """When it stops answering from a copy that it could not refresh."""
    minimum: int = 60
    """How long a resolver may remember that a name does not exist (RFC 2308 §4); short, names come and go."""
    ttl: int = 3600
    """TTL of the SOA and NS records themselves."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddedSettings:
    """Where an embedded nameserver listens, and what it keeps."""

    name: str
    """Its name under ``nameservers`` in config.yaml; logs and errors have it."""
    listen: tuple[tuple[str, int], ...]
    """Numeric addresses and ports, each for UDP and TCP; port 0 is any port that both have free."""
    folder: Path
    """Folder of the serials' file; made if missing. No other server may use it at the same time."""
    authority: Authority = field(default_factory=Authority)
    tcp_connections: int = 200
    """Most TCP connections at once; one more closes the one that was silent longest."""
    tcp_connections_per_source: int = 20
    """Most of these from one source (an IPv4 address, an IPv6 /64)."""
    responses_per_second: float = 20
    """How often one network (/24, /56) gets one answer on UDP; 0: without a limit."""
    addresses: tuple[str, ...] | None = None
    """Its own addresses, for ``ns.<zone>`` where no host has this name; None: the one that is asked."""
    tcp_idle: float = 10.0
    """Seconds a TCP connection has for its next query, whole, and to take the answer (RFC 7766 §6.2.3)."""
