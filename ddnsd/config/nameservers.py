"""The settings of one nameserver, by its kind."""

from typing import Annotated, Literal, Self

import msgspec
from msgspec import Meta

from ddnsd.config.parse import (
    ListenAddress,
    parse_endpoint,
    parse_host,
    parse_key_name,
    parse_mailbox,
    parse_own_address,
    parse_server,
)
from ddnsd.config.reader import Section, SectionError, setting_problem
from ddnsd.config.secrets import ALGORITHMS, MAKE_KEY, KeyFile, parse_algorithm, read_key_file
from ddnsd.model.note import Note

RESTART = Note(restart=True)
SECONDS, BYTES, RECORDS = (Note(unit=unit) for unit in ("seconds", "bytes", "records"))

ASKED, NONE = "asked", "none"
"""What stands for a nameserver's addresses: the one that a query was sent to; no address at all."""

OwnAddress = Annotated[str, Note(parse=parse_own_address)]
Listen = Annotated[ListenAddress, Note(parse=parse_endpoint)]


class EmbeddedNameserverSettings(Section, frozen=True, kw_only=True):
    """ddnsd's own authoritative nameserver, for a single node."""

    kind: Annotated[Literal["embedded"], RESTART]
    """`embedded`: the one inside ddnsd; `rfc2136`: any that takes dynamic updates (BIND, Knot, PowerDNS)."""

    listen: Annotated[tuple[Listen, ...], Meta(min_length=1, max_length=16), RESTART] = (
        ListenAddress("127.0.0.1", 5300),
    )
    """Where it answers DNS, UDP and TCP."""

    server_name: Annotated[str, Note(parse=parse_host), RESTART] = ""
    """Its own host name, for the SOA and NS records of its zones; absent: `ns.<zone>`."""

    hostmaster: Annotated[str, Note(parse=parse_mailbox), RESTART] = ""
    """Mail address of its operator, for the SOA records; absent: `hostmaster@<zone>`."""

    addresses: Annotated[tuple[OwnAddress, ...], Meta(min_length=1, max_length=16), RESTART] = (ASKED,)
    """Its IPs for `server_name`, where no host has it; `asked`: the one asked; `none`: behind NAT."""

    responses_per_second: Annotated[float, Meta(ge=0, le=100_000), RESTART] = 20.0
    """How often one network (/24, IPv6 /56) without a DNS cookie gets one answer on UDP; 0: no limit."""

    tcp_connections: Annotated[int, Meta(ge=1, le=10_000), RESTART] = 200
    """Most TCP connections at once; one more ends the one that was silent longest, of who has most."""

    tcp_connections_per_source: Annotated[int, Meta(ge=1, le=10_000), RESTART] = 20
    """Most of these from one address (IPv6: one /64)."""

    def complete(self) -> Self:
        """Refuse addresses beside a word that stands for all of them."""
        if len(self.addresses) > 1 and not {ASKED, NONE}.isdisjoint(self.addresses):
            remedy = f"write addresses, or {ASKED} or {NONE} alone"
            raise SectionError(setting_problem("addresses", ", ".join(self.addresses), remedy))
        return self


class TsigKey(Section, frozen=True, kw_only=True):
    """The key that signs what is sent to a nameserver (RFC 8945)."""

    secret_file: Annotated[KeyFile, Note(read=read_key_file)]
    """File with the secret: base64 alone, or the whole key statement that `tsig-keygen` prints."""

    name: Annotated[str, Note(parse=parse_key_name)] = ""
    """The key's name; absent: as the file has it."""

    algorithm: Annotated[str, Note(parse=parse_algorithm)] = ""
    """The key's algorithm; absent: as the file has it, or else hmac-sha256."""

    def complete(self) -> Self:
        """Take name and algorithm from the file where they are absent; refuse what contradicts it."""
        file = self.secret_file
        name = self.name or file.name
        algorithm = self.algorithm or file.algorithm or ALGORITHMS[0]
        problems = []
        if not name:
            problems.append(
                setting_problem("name", "", f"missing, as {file.path} has the secret alone: write it")
            )
        if file.name not in ("", name):
            problems.append(
                setting_problem("name", repr(name), f"{file.path} says {file.name!r}: leave it out")
            )
        if file.algorithm not in ("", algorithm) or algorithm not in ALGORITHMS:
            remedy = f"{file.path} says {file.algorithm!r}; make a key with one of {', '.join(ALGORITHMS)}"
            problems.append(setting_problem("algorithm", repr(algorithm), remedy))
        if problems:
            raise SectionError(*problems)
        return msgspec.structs.replace(self, name=name, algorithm=algorithm)


class Rfc2136NameserverSettings(Section, frozen=True, kw_only=True):
    """A nameserver that takes dynamic updates over TCP (RFC 2136): BIND, Knot, PowerDNS, …"""

    kind: Literal["rfc2136"]
    """`embedded`: the one inside ddnsd; `rfc2136`: any that takes dynamic updates (BIND, Knot, PowerDNS)."""

    address: Annotated[str, Note(parse=parse_server)]
    """Its IP address or host name."""

    key: Annotated[
        TsigKey,
        Note(absent=f"write `key: {{secret_file: ddnsd.key}}`; `{MAKE_KEY} > ddnsd.key` makes the file"),
    ]
    """The TSIG key that may update and transfer the zones."""

    port: Annotated[int, Meta(ge=1, le=65535)] = 53
    """Its TCP port."""

    connect_timeout: Annotated[float, Meta(ge=0.05, le=0.5), SECONDS] = 0.5
    """How long a connection may take; bounded, as a SYN lost in a partition is sent again late."""

    timeout: Annotated[float, Meta(ge=0.1, le=60), SECONDS] = 5.0
    """How long an answer may take."""

    max_connections: Annotated[int, Meta(ge=3, le=1000)] = 32
    """How many connections the leader may have to it: one for queries, `max_transfers`, more for updates."""

    max_transfers: Annotated[int, Meta(ge=1, le=100)] = 4
    """How many zone transfers the leader asks it for at once."""

    def complete(self) -> Self:
        """Refuse limits that leave no connection for updates."""
        if self.max_transfers > self.max_connections - 2:
            remedy = f"write at most {self.max_connections - 2}, or a greater max_connections"
            raise SectionError(setting_problem("max_transfers", str(self.max_transfers), remedy))
        return self


NameserverSettings = EmbeddedNameserverSettings | Rfc2136NameserverSettings
