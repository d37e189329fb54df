"""The settings of one nameserver, by its kind."""

from dataclasses import dataclass, replace
from typing import Annotated, Literal, Self

from ddnsd.config.annotation import RESTART, Bounds, Example, FromFile, FromText, Section, Unit
from ddnsd.config.mistakes import Mistake, SectionError
from ddnsd.config.parse import (
    Endpoint,
    parse_endpoint,
    parse_host,
    parse_key_name,
    parse_mailbox,
    parse_own_address,
    parse_server,
)
from ddnsd.config.secrets import ALGORITHMS, MAKE_KEY, KeyFile, parse_algorithm, read_key_file

ASKED, NONE = "asked", "none"
"""What stands for a nameserver's addresses: the one that a query was sent to; no address at all."""

OwnAddress = Annotated[str, FromText(parse_own_address)]
Listen = Annotated[Endpoint, FromText(parse_endpoint)]


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddedNameserver(Section):
    """ddnsd's own authoritative nameserver, for a single node."""

    kind: Annotated[Literal["embedded"], RESTART]
    """`embedded`: the one inside ddnsd; `rfc2136`: any that takes dynamic updates (BIND, Knot, PowerDNS)."""

    listen: Annotated[tuple[Listen, ...], Bounds(1, 16), RESTART] = (Endpoint("127.0.0.1", 5300),)
    """Where it answers DNS, UDP and TCP."""

    server_name: Annotated[str, FromText(parse_host), RESTART] = ""
    """Its own host name, for the SOA and NS records of its zones; absent: `ns.<zone>`."""

    hostmaster: Annotated[str, FromText(parse_mailbox), RESTART] = ""
    """Mail address of whoever runs it, for the SOA records; absent: `hostmaster@<zone>`."""

    addresses: Annotated[tuple[OwnAddress, ...], Bounds(1, 16), RESTART] = (ASKED,)
    """Its IPs for `server_name`, where no host has it; `asked`: the one asked; `none`: behind NAT."""

    responses_per_second: Annotated[float, Bounds(0, 100_000), RESTART] = 20.0
    """How often one network (/24, IPv6 /56) without a DNS cookie gets one answer on UDP; 0: no limit."""

    tcp_connections: Annotated[int, Bounds(1, 10_000), RESTART] = 200
    """Most TCP connections at once; one more ends the one that was silent longest, of who has most."""

    tcp_connections_per_source: Annotated[int, Bounds(1, 10_000), RESTART] = 20
    """Most of these from one address (IPv6: one /64)."""

    def complete(self) -> Self:
        """Refuse addresses beside a word that stands for all of them."""
        if len(self.addresses) > 1 and not {ASKED, NONE}.isdisjoint(self.addresses):
            remedy = f"write addresses, or {ASKED} or {NONE} alone"
            raise SectionError(Mistake(("addresses",), ", ".join(self.addresses), remedy))
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class TsigKey(Section):
    """The key that signs what is sent to a nameserver (RFC 8945)."""

    secret_file: Annotated[KeyFile, FromFile(read_key_file)]
    """File with the secret: base64 alone, or the whole key statement that `tsig-keygen` prints."""

    name: Annotated[str, FromText(parse_key_name)] = ""
    """The key's name; absent: as the file has it."""

    algorithm: Annotated[str, FromText(parse_algorithm)] = ""
    """The key's algorithm; absent: as the file has it, or else hmac-sha256."""

    def complete(self) -> Self:
        """Take name and algorithm from the file where they are absent; refuse what contradicts it."""
        file = self.secret_file
        name = self.name or file.name
        algorithm = self.algorithm or file.algorithm or ALGORITHMS[0]
        mistakes = []
        if not name:
            mistakes.append(Mistake(("name",), "", f"missing, as {file.path} has the secret alone: write it"))
        if file.name not in ("", name):
            mistakes.append(Mistake(("name",), repr(name), f"{file.path} says {file.name!r}: leave it out"))
        if file.algorithm not in ("", algorithm) or algorithm not in ALGORITHMS:
            remedy = f"{file.path} says {file.algorithm!r}; make a key with one of {', '.join(ALGORITHMS)}"
            mistakes.append(Mistake(("algorithm",), repr(algorithm), remedy))
        if mistakes:
            raise SectionError(*mistakes)
        return replace(self, name=name, algorithm=algorithm)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rfc2136Nameserver(Section):
    """A nameserver that takes dynamic updates over TCP (RFC 2136): BIND, Knot, PowerDNS, …"""

    kind: Literal["rfc2136"]
    """`embedded`: the one inside ddnsd; `rfc2136`: any that takes dynamic updates (BIND, Knot, PowerDNS)."""

    address: Annotated[str, FromText(parse_server)]
    """Its IP address or host name."""

    key: Annotated[
        TsigKey, Example(f"`key: {{secret_file: ddnsd.key}}`; `{MAKE_KEY} > ddnsd.key` makes the file")
    ]
    """The TSIG key that may update and transfer the zones."""

    port: Annotated[int, Bounds(1, 65535)] = 53
    """Its TCP port."""

    connect_timeout: Annotated[float, Bounds(0.05, 0.5), Unit.SECONDS] = 0.5
    """How long a connection may take; bounded, as a SYN lost in a partition is sent again late."""

    timeout: Annotated[float, Bounds(0.1, 60), Unit.SECONDS] = 5.0
    """How long an answer may take."""

    max_connections: Annotated[int, Bounds(3, 1000)] = 32
    """How many connections the leader may have to it: one for queries, `max_transfers`, more for updates."""

    max_transfers: Annotated[int, Bounds(1, 100)] = 4
    """How many zone transfers the leader asks it for at once."""

    def complete(self) -> Self:
        """Refuse limits that leave no connection for updates."""
        if self.max_transfers > self.max_connections - 2:
            remedy = f"write at most {self.max_connections - 2}, or a greater max_connections"
            raise SectionError(Mistake(("max_transfers",), str(self.max_transfers), remedy))
        return self


Nameserver = EmbeddedNameserver | Rfc2136Nameserver
