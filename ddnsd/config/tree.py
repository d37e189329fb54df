"""The settings: every key of config.yaml with its type, its default, its bounds and its meaning.

Each field is one key of the same name. Times are seconds, sizes bytes. What is marked RESTART takes effect
when ddnsd starts, all else while it runs (docs/decisions/0012).
"""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal, Self

from ddnsd.config.annotation import RESTART, Bounds, Example, FromFile, FromText, Section, Unit
from ddnsd.config.etcd import EtcdSettings
from ddnsd.config.fairuse import FairUseSettings
from ddnsd.config.kube import KubeSettings
from ddnsd.config.mistakes import Mistake, SectionError
from ddnsd.config.nameservers import EmbeddedNameserver, Listen, Nameserver
from ddnsd.config.parse import (
    SOURCE_HEADERS,
    Endpoint,
    Network,
    parse_label,
    parse_network,
    parse_source_header,
    parse_truth,
    parse_word,
)
from ddnsd.config.secrets import PemFile, check_certificate, read_pem_file


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreSettings(Section):
    """Where the state is kept."""

    kind: Annotated[Literal["embedded", "etcd"], RESTART] = "embedded"
    """`embedded`: SQLite in the data folder, for one node; `etcd`: a cluster, for any number of nodes."""

    timeout: Annotated[float, Bounds(0.1, 60), Unit.SECONDS] = 5.0
    """How long one call to the store may take."""

    compact_after: Annotated[float, Bounds(0, 604_800), Unit.SECONDS] = 3600.0
    """How long etcd keeps the history that this installation's leader lets it forget; 0: for ever."""

    etcd: EtcdSettings | None = None
    """The cluster, for the kind `etcd`."""

    def complete(self) -> Self:
        """Check that the kind fits what is written."""
        if self.kind == "etcd" and self.etcd is None:
            example = "`endpoints: [https://etcd1.example.com:2379]`"
            raise SectionError(Mistake(("etcd",), "", f"missing: write the members' addresses, {example}"))
        if self.kind == "embedded" and self.etcd is not None:
            raise SectionError(
                Mistake(("kind",), "embedded", "write etcd, or remove store.etcd: one of them is wrong")
            )
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsSettings(Section):
    """The public listener's TLS."""

    certificate: Annotated[PemFile, FromFile(read_pem_file)]
    """PEM file of the certificate, followed by its chain."""

    key: Annotated[PemFile, FromFile(read_pem_file)]
    """PEM file of the private key, without a password."""

    def complete(self) -> Self:
        """Check that the two files load together."""
        try:
            check_certificate(self.certificate.path, self.key.path)
        except ValueError as error:
            raise SectionError(Mistake((), "", f"{error}; name a PEM certificate and its key")) from error
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class ListenSettings(Section):
    """Where ddnsd listens: `host:port`, or `:port` for every address, IPv4 and IPv6; port 0: any free one."""

    public: Annotated[Listen, RESTART] = Endpoint("", 8080)
    """The update API, for clients."""

    admin: Annotated[Listen, RESTART] = Endpoint("127.0.0.1", 8081)
    """The admin API, for the command line."""

    health: Annotated[Listen, RESTART] = Endpoint("127.0.0.1", 8082)
    """`/healthz`, `/readyz` and `/metrics`, for probes and Prometheus."""

    tls: TlsSettings | None = None
    """TLS on the public listener; absent: plain HTTP."""

    proxy_protocol: Annotated[bool, FromText(parse_truth)] = False
    """Whether each connection from `trusted_proxies` to the public listener begins with a PROXY header."""

    def complete(self) -> Self:
        """Check that no two listeners want the same port of the same address."""
        named = {"public": self.public, "admin": self.admin, "health": self.health}
        mistakes = [
            Mistake((second,), repr(str(named[second])), f"listen.{first} has this port: choose another")
            for first, second in itertools.combinations(named, 2)
            if named[first].overlaps(named[second])
        ]
        if mistakes:
            raise SectionError(*mistakes)
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpSettings(Section):
    """Limits of the public and the admin listener, against oversized and slow requests."""

    max_body: Annotated[int, Bounds(1024, 16_777_216), Unit.BYTES, RESTART] = 65536
    """Largest body of a request; of an update 65536, whatever is written here."""

    max_header: Annotated[int, Bounds(1024, 1_048_576), Unit.BYTES, RESTART] = 16384
    """Largest request line and headers together."""

    idle_timeout: Annotated[float, Bounds(1, 3600), Unit.SECONDS, RESTART] = 60.0
    """How long a kept connection may wait for its next request."""

    body_timeout: Annotated[float, Bounds(0.1, 600), Unit.SECONDS, RESTART] = 10.0
    """How long a request's body may take to arrive."""

    head_timeout: Annotated[float, Bounds(0.1, 600), Unit.SECONDS, RESTART] = 10.0
    """How long a request line and headers may take to arrive, once they have begun."""

    max_connections: Annotated[int, Bounds(16, 1_000_000), RESTART] = 4096
    """Most clients connected to a process at once, files allowing; then who has let it wait longest goes."""

    max_connections_per_source: Annotated[int, Bounds(1, 1_000_000), RESTART] = 256
    """Most of these from one address (IPv6: one /64), `trusted_proxies` excepted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AddressSettings(Section):
    """Which addresses a host may have."""

    private: Literal["accept", "refuse"] = "accept"
    """What to do with an address that IANA calls not globally reachable (private, CGNAT, ULA, …)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AdminTokenSettings(Section):
    """One further admin token."""

    name: Annotated[str, FromText(parse_word), Example("a name, such as `ci`")]
    """What the audit and the log call it."""

    file: Annotated[Path, Example("the file with the token")]
    """File with the token, made on first start with mode 0600."""

    scopes: Annotated[
        tuple[Literal["read", "zones", "accounts", "all"], ...], Bounds(1, 4), Example("`[read]`")
    ]
    """What it may do: `read`; change `zones`; change `accounts`, hosts and tokens; or `all`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AdminSettings(Section):
    """The admin API."""

    token_file: Path | None = None
    """File with the admin token, made on first start with mode 0600; absent: `<data>/admin-token`."""

    tokens: tuple[AdminTokenSettings, ...] = ()
    """Further tokens: of each its `name`, `file` and `scopes` (`read`, `zones`, `accounts`, `all`)."""

    def complete(self) -> Self:
        """Check that each token has a name of its own."""
        names = ["admin", *(each.name for each in self.tokens)]
        for name in names:
            if names.count(name) > 1:
                remedy = "give each token a name of its own; admin is that of token_file"
                raise SectionError(Mistake(("tokens",), name, remedy))
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishSettings(Section):
    """From the committed address to the nameserver."""

    timeout: Annotated[float, Bounds(0.5, 60), Unit.SECONDS] = 8.0
    """A request's one deadline, from its acceptance; then it is told `更新 DNS 服务器失败`."""

    batch: Annotated[int, Bounds(1, 1000), Unit.RECORDS] = 200
    """Most records in one UPDATE; more than 200 gain nothing on BIND and lose on PowerDNS."""

    reconcile_interval: Annotated[float, Bounds(1, 604_800), Unit.SECONDS] = 600.0
    """How often each zone is transferred and compared with the store."""

    probe_interval: Annotated[float, Bounds(0.05, 1), Unit.SECONDS] = 1.0
    """How often a silent nameserver is asked whether it is back."""

    fence: Annotated[str, FromText(parse_label), RESTART] = "_ddnsd"
    """Label of the TXT record in each zone that keeps a deposed leader from writing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeSettings(Section):
    """What this node is called among the nodes of a cluster."""

    name: Annotated[str, FromText(parse_word), RESTART] = ""
    """Its name in `ddnsd status`; absent: the machine's host name."""

    region: Annotated[str, FromText(parse_word), RESTART] = ""
    """Where it stands, shown in `ddnsd status`; absent: nowhere."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaderSettings(Section):
    """Which node of a cluster publishes: one that has every nameserver, then the highest priority."""

    eligible: Annotated[bool, FromText(parse_truth)] = True
    """Whether this node may lead; `false` for one that cannot reach the nameserver."""

    priority: Annotated[int, Bounds(-1000, 1000)] = 0
    """A node with a higher one takes leadership over as soon as it runs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogSettings(Section):
    """What is written to standard error."""

    format: Literal["console", "json"] = "console"
    """`console` for people, `json` for machines: one object a line."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """The least severe events that are written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DrainSettings(Section):
    """The way out."""

    timeout: Annotated[float, Bounds(0, 600), Unit.SECONDS] = 10.0
    """How long a SIGTERM waits for the answers of accepted requests."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings(Section):
    """Everything that can be set."""

    data: Annotated[Path, RESTART] = Path("data")
    """Folder for what ddnsd keeps on this machine; a relative path starts at config.yaml's folder."""

    data_check: Annotated[Literal["refuse", "warn"], RESTART] = "refuse"
    """What to do where others may write data folder or admin token; `warn` for disks without modes."""

    workers: Annotated[int, Bounds(1, 64), RESTART] = 1
    """How many processes share the work, one for each core; more than 1 needs the store kind `etcd`."""

    store: StoreSettings = field(default_factory=StoreSettings)
    listen: ListenSettings = field(default_factory=ListenSettings)
    http: HttpSettings = field(default_factory=HttpSettings)
    fair_use: FairUseSettings = field(default_factory=FairUseSettings)

    trusted_proxies: tuple[Annotated[Network, FromText(parse_network)], ...] = ()
    """Networks of the proxies whose `trusted_headers`, or PROXY header, are believed."""

    trusted_headers: tuple[Annotated[str, FromText(parse_source_header)], ...] = SOURCE_HEADERS[:2]
    """Headers that each of these proxies writes, or removes; where several are there, they must agree."""

    addresses: AddressSettings = field(default_factory=AddressSettings)
    admin: AdminSettings = field(default_factory=AdminSettings)
    publish: PublishSettings = field(default_factory=PublishSettings)
    node: NodeSettings = field(default_factory=NodeSettings)
    leader: LeaderSettings = field(default_factory=LeaderSettings)
    log: LogSettings = field(default_factory=LogSettings)
    drain: DrainSettings = field(default_factory=DrainSettings)
    kube: KubeSettings = field(default_factory=KubeSettings)

    nameservers: Annotated[Mapping[str, Nameserver], Bounds(1, 1000)]
    """The nameservers that a Zone can name; absent: `default`, an embedded one."""

    @property
    def default_admin_token_file(self) -> Path:
        """Where the admin token is, unless `admin.token_file` names another place."""
        return self.data / "admin-token"

    @property
    def embedded_nameservers(self) -> Sequence[str]:
        """The names of those inside this process."""
        return [name for name, each in self.nameservers.items() if isinstance(each, EmbeddedNameserver)]

    def complete(self) -> Self:
        """Check that the PROXY protocol has proxies, and several workers nothing that only one can have."""
        mistakes = [*self._about_proxies(), *(self._about_workers() if self.workers > 1 else ())]
        if mistakes:
            raise SectionError(*mistakes)
        return self

    def _about_proxies(self) -> Iterator[Mistake]:
        if self.listen.proxy_protocol and not self.trusted_proxies:
            remedy = "write the proxies' networks in trusted_proxies: nobody else's header is read"
            yield Mistake(("listen", "proxy_protocol"), "true", remedy)

    def _about_workers(self) -> Iterator[Mistake]:
        if self.store.kind == "embedded":
            remedy = "write 1, or use etcd (store.kind): the embedded store is for one process"
            yield Mistake(("workers",), str(self.workers), remedy)
        for name in self.embedded_nameservers:
            remedy = "write rfc2136, or 1 for workers: the embedded nameserver is for one process"
            yield Mistake(("nameservers", name, "kind"), "embedded", remedy)
