"""The settings: every key of config.yaml with its type, its default, its bounds and its meaning.

Each field is one key of the same name. Times are seconds, sizes bytes. What is marked RESTART takes effect
when ddnsd starts, all else while it runs (docs/decisions/0012). Those of one nameserver are in `nameservers`.
"""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal, Self

from msgspec import Meta

from ddnsd.config.nameservers import (
    BYTES,
    RECORDS,
    RESTART,
    SECONDS,
    EmbeddedNameserverSettings,
    Listen,
    NameserverSettings,
)
from ddnsd.config.parse import (
    SOURCE_HEADERS,
    ClusterRoleName,
    IPNetwork,
    KeyPrefix,
    KubernetesName,
    ListenAddress,
    Word,
    parse_api_server,
    parse_label,
    parse_member,
    parse_network,
    parse_source_header,
)
from ddnsd.config.reader import Section, SectionError, SettingProblem, setting_problem
from ddnsd.config.secrets import (
    SecretFile,
    check_authority,
    check_certificate,
    read_password_file,
    read_pem_file,
)
from ddnsd.model.note import Note


class EtcdTlsSettings(Section, frozen=True, kw_only=True):
    """TLS to etcd."""

    ca: Annotated[SecretFile | None, Note(read=read_pem_file)] = None
    """PEM file of the authority that signed the members' certificates; absent: the system's authorities."""

    certificate: Annotated[SecretFile | None, Note(read=read_pem_file)] = None
    """PEM file of ddnsd's own certificate, where etcd asks for one."""

    key: Annotated[SecretFile | None, Note(read=read_pem_file)] = None
    """PEM file of its private key, without a password."""

    def complete(self) -> Self:
        """Check that the files load."""
        try:
            if self.ca is not None:
                check_authority(self.ca.path)
            if self.certificate is not None and self.key is not None:
                check_certificate(self.certificate.path, self.key.path)
        except ValueError as error:
            raise SectionError(setting_problem("", "", f"{error}; name PEM files")) from error
        if (self.certificate is None) is not (self.key is None):
            missing = "certificate" if self.certificate is None else "key"
            raise SectionError(setting_problem(missing, "", "missing: a certificate and its key go together"))
        return self


class EtcdSettings(Section, frozen=True, kw_only=True):
    """The cluster that keeps the state of all nodes, and this installation's place in it."""

    endpoints: Annotated[
        tuple[Annotated[str, Note(parse=parse_member)], ...],
        Meta(min_length=1, max_length=32),
        RESTART,
        Note(
            absent="write the members' client addresses, such as `endpoints: [https://etcd1.example.com:2379]`"
        ),
    ]
    """The members' client addresses, the nearest first: URLs, or `host:port` (https where `tls` is given)."""

    prefix: Annotated[KeyPrefix, RESTART] = "ddnsd/"
    """What all keys of this installation begin with; an etcd role with rights on it is enough."""

    tls: EtcdTlsSettings | None = None
    """TLS with authorities or a certificate of one's own."""

    user: Annotated[str, Note(remedy="write the name of an etcd user")] = ""
    """User of etcd's own authentication; absent: none."""

    password_file: Annotated[SecretFile | None, Note(read=read_password_file, hidden=True)] = None
    """File with the user's password, on one line."""

    lease_ttl: Annotated[int, Meta(ge=2, le=60), SECONDS, RESTART] = 5
    """How long a node that died still leads, and is still shown; above the longest pause of the network."""

    connect_timeout: Annotated[float, Meta(ge=0.05, le=10), SECONDS, RESTART] = 0.5
    """How long a connection to a member may take, TCP and TLS together."""

    try_timeout: Annotated[float, Meta(ge=0.1, le=30), SECONDS, RESTART] = 1.0
    """How long one member may take to answer, before another one is asked."""

    quota: Annotated[int, Meta(ge=1_048_576, le=1 << 40), BYTES, RESTART] = 2_147_483_648
    """The members' `--quota-backend-bytes`, for the warning before it is full; etcd 3.6 reports it itself."""

    def complete(self) -> Self:
        """Check that user and password go together, and that `tls` is not left unused."""
        if bool(self.user) is not (self.password_file is not None):
            missing = "password_file" if self.user else "user"
            raise SectionError(setting_problem(missing, "", "missing: user and password_file go together"))
        plain = [endpoint for endpoint in self.endpoints if endpoint.startswith("http://")]
        if self.tls is not None and plain:
            raise SectionError(setting_problem("endpoints", plain[0], "write https://, as `tls` is given"))
        return self

    @property
    def is_plain(self) -> bool:
        """Say whether a connection to some member is not encrypted."""
        return any(not one.startswith("https://") for one in self.endpoints) and self.tls is None


_PER_SECOND = Meta(ge=0.001, le=1_000_000)
_AT_ONCE = Meta(ge=1, le=10_000_000)
_AT_A_TIME = Meta(ge=1, le=1_000_000)


class FairUseSettings(Section, frozen=True, kw_only=True):
    """How often a token, an account, a source and all strangers may do what: so many a second, and at once.

    An attempt is a request with a valid token that is not answered 未变化, nor failed by the nameserver or
    the store. A change is an address that is committed. A failure is a request without a valid token.
    """

    enabled: bool = True
    """Whether there are limits at all; each process counts for itself, in memory."""

    token_attempts: Annotated[float, _PER_SECOND] = 10.0
    """Attempts a second that a token may make without end; what changes nothing does not count."""

    token_attempts_burst: Annotated[int, _AT_ONCE] = 200
    """Attempts that a token may make at once, after a rest."""

    token_changes: Annotated[float, _PER_SECOND] = 1.0
    """Changes of addresses a second that a token may make without end."""

    token_changes_burst: Annotated[int, _AT_ONCE] = 120
    """Changes that a token may make at once, after a rest; a larger one by itself is let through then."""

    account_attempts: Annotated[float, _PER_SECOND] = 100.0
    """Attempts a second of all tokens of an account together."""

    account_attempts_burst: Annotated[int, _AT_ONCE] = 2000
    """Attempts at once of all tokens of an account together."""

    account_changes: Annotated[float, _PER_SECOND] = 10.0
    """Changes a second of all tokens of an account together."""

    account_changes_burst: Annotated[int, _AT_ONCE] = 1200
    """Changes at once of all tokens of an account together."""

    token_waiting: Annotated[int, _AT_A_TIME] = 32
    """Requests of a token that may wait for a nameserver, or the store, at the same time."""

    account_waiting: Annotated[int, _AT_A_TIME] = 128
    """Such requests of all tokens of an account together."""

    source_failures: Annotated[float, _PER_SECOND] = 1.0
    """Requests a second without a valid token from one address (IPv6: /64; 4 times /56, 16 times /48)."""

    source_failures_burst: Annotated[int, _AT_ONCE] = 60
    """Requests at once without a valid token from one address; valid tokens go on."""

    process_failures: Annotated[float, _PER_SECOND] = 100.0
    """Requests a second without a valid token from all addresses together; valid tokens go on."""

    process_failures_burst: Annotated[int, _AT_ONCE] = 2000
    """Requests at once without a valid token from all addresses together."""


class KubeSettings(Section, frozen=True, kw_only=True):
    """The Kubernetes cluster whose custom resources the controller puts into the store."""

    source: Annotated[KubernetesName, RESTART] = "kubernetes"
    """What the cluster is called on this store; each cluster that shares the store needs its own."""

    watch_namespaces: Annotated[tuple[KubernetesName, ...], RESTART] = ()
    """The namespaces whose accounts, hosts and tokens count; none: all, and the zones, too."""

    secrets_role: Annotated[ClusterRoleName, RESTART] = ""
    """ClusterRole that a namespace can bind to let the controller use its Secrets; conditions name it."""

    status_rate: Annotated[int, Meta(ge=1, le=1000), RESTART] = 20
    """How many statuses the controller writes in a second, at most."""

    server: Annotated[str, Note(parse=parse_api_server), RESTART] = ""
    """URL of the API server; absent: the one of the cluster that the pod runs in."""

    credentials: Annotated[Path, RESTART] = Path("/var/run/secrets/kubernetes.io/serviceaccount")
    """Folder with the files `token`, `ca.crt` and `namespace`, which are read again when they change."""


class StoreSettings(Section, frozen=True, kw_only=True):
    """Where the state is kept."""

    kind: Annotated[Literal["embedded", "etcd"], RESTART] = "embedded"
    """`embedded`: SQLite in the data folder, for one node; `etcd`: a cluster, for any number of nodes."""

    timeout: Annotated[float, Meta(ge=0.1, le=60), SECONDS] = 5.0
    """How long one call to the store may take."""

    compact_after: Annotated[float, Meta(ge=0, le=604_800), SECONDS] = 3600.0
    """How long etcd keeps the history that this installation's leader compacts; 0: without end."""

    etcd: EtcdSettings | None = None
    """The cluster, for the kind `etcd`."""

    def complete(self) -> Self:
        """Check that the kind fits what is written."""
        if self.kind == "etcd" and self.etcd is None:
            example = "`endpoints: [https://etcd1.example.com:2379]`"
            raise SectionError(
                setting_problem("etcd", "", f"missing: write the members' addresses, {example}")
            )
        if self.kind == "embedded" and self.etcd is not None:
            raise SectionError(
                setting_problem("kind", "embedded", "write etcd, or remove store.etcd: one of them is wrong")
            )
        return self


class TlsSettings(Section, frozen=True, kw_only=True):
    """The public listener's TLS."""

    certificate: Annotated[SecretFile, Note(read=read_pem_file)]
    """PEM file of the certificate, followed by its chain."""

    key: Annotated[SecretFile, Note(read=read_pem_file)]
    """PEM file of the private key, without a password."""

    def complete(self) -> Self:
        """Check that the two files load together."""
        try:
            check_certificate(self.certificate.path, self.key.path)
        except ValueError as error:
            raise SectionError(
                setting_problem("", "", f"{error}; name a PEM certificate and its key")
            ) from error
        return self


class ListenSettings(Section, frozen=True, kw_only=True):
    """Where ddnsd listens: `host:port`, or `:port` for every address, IPv4 and IPv6; port 0: any free one."""

    public: Annotated[Listen, RESTART] = ListenAddress("", 8080)
    """The update API, for clients."""

    admin: Annotated[Listen, RESTART] = ListenAddress("127.0.0.1", 8081)
    """The admin API, for the command line."""

    health: Annotated[Listen, RESTART] = ListenAddress("127.0.0.1", 8082)
    """`/healthz`, `/readyz` and `/metrics`, for probes and Prometheus."""

    tls: TlsSettings | None = None
    """TLS on the public listener; absent: plain HTTP."""

    proxy_protocol: bool = False
    """Whether each connection from `trusted_proxies` to the public listener begins with a PROXY header."""

    def complete(self) -> Self:
        """Check that no two listeners want the same port of the same address."""
        named = {"public": self.public, "admin": self.admin, "health": self.health}
        problems = [
            setting_problem(second, repr(str(named[second])), f"listen.{first} has this port: choose another")
            for first, second in itertools.combinations(named, 2)
            if named[first].overlaps(named[second])
        ]
        if problems:
            raise SectionError(*problems)
        return self


class HttpSettings(Section, frozen=True, kw_only=True):
    """Limits of the public and the admin listener, against oversized and slow requests."""

    max_body: Annotated[int, Meta(ge=1024, le=16_777_216), BYTES, RESTART] = 65536
    """Largest body of a request; of an update 65536, whatever is written here."""

    max_header: Annotated[int, Meta(ge=1024, le=1_048_576), BYTES, RESTART] = 16384
    """Largest request line and headers together."""

    idle_timeout: Annotated[float, Meta(ge=1, le=3600), SECONDS, RESTART] = 60.0
    """How long a kept connection may wait for its next request."""

    body_timeout: Annotated[float, Meta(ge=0.1, le=600), SECONDS, RESTART] = 10.0
    """How long a request's body may take to arrive."""

    head_timeout: Annotated[float, Meta(ge=0.1, le=600), SECONDS, RESTART] = 10.0
    """How long a request line and headers may take to arrive, once they have begun."""

    max_connections: Annotated[int, Meta(ge=16, le=1_000_000), RESTART] = 4096
    """Most clients connected to a process at once, files allowing; then who has let it wait longest goes."""

    max_connections_per_source: Annotated[int, Meta(ge=1, le=1_000_000), RESTART] = 256
    """Most of these from one address (IPv6: one /64), `trusted_proxies` excepted."""


class AddressSettings(Section, frozen=True, kw_only=True):
    """Which addresses a host may have."""

    private: Literal["accept", "refuse"] = "accept"
    """What to do with an address that IANA calls not globally reachable (private, CGNAT, ULA, …)."""


class AdminTokenSettings(Section, frozen=True, kw_only=True):
    """One further admin token."""

    name: Annotated[Word, Note(absent="write a name, such as `ci`")]
    """What the audit and the log call it."""

    file: Annotated[Path, Note(absent="write the file with the token")]
    """File with the token, made on first start with mode 0600."""

    scopes: Annotated[
        tuple[Literal["read", "zones", "accounts", "all"], ...],
        Meta(min_length=1, max_length=4),
        Note(absent="write `[read]`"),
    ]
    """What it may do: `read`; change `zones`; change `accounts`, hosts and tokens; or `all`."""


class AdminSettings(Section, frozen=True, kw_only=True):
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
                raise SectionError(setting_problem("tokens", name, remedy))
        return self


class PublishSettings(Section, frozen=True, kw_only=True):
    """From the committed address to the nameserver."""

    timeout: Annotated[float, Meta(ge=0.5, le=60), SECONDS] = 8.0
    """A request's one deadline, from its acceptance; then the answer is `更新 DNS 服务器失败`."""

    batch: Annotated[int, Meta(ge=1, le=1000), RECORDS] = 200
    """Most records in one UPDATE; more than 200 gain nothing on BIND and lose on PowerDNS."""

    reconcile_interval: Annotated[float, Meta(ge=1, le=604_800), SECONDS] = 600.0
    """How often each zone is transferred and compared with the store."""

    probe_interval: Annotated[float, Meta(ge=0.05, le=1), SECONDS] = 1.0
    """How often a silent nameserver is asked whether it is back."""

    fence: Annotated[str, Note(parse=parse_label), RESTART] = "_ddnsd"
    """Label of the TXT record in each zone that keeps a deposed leader from writing."""


class NodeSettings(Section, frozen=True, kw_only=True):
    """What this node is called among the nodes of a cluster."""

    name: Annotated[Word, RESTART] = ""
    """Its name in `ddnsd status`; absent: the machine's host name."""

    region: Annotated[Word, RESTART] = ""
    """Where it runs, shown in `ddnsd status`; absent: nowhere."""


class LeaderSettings(Section, frozen=True, kw_only=True):
    """Which node of a cluster publishes: one that has every nameserver, then the highest priority."""

    eligible: bool = True
    """Whether this node may lead; `false` for one that cannot reach the nameserver."""

    priority: Annotated[int, Meta(ge=-1000, le=1000)] = 0
    """A node with a higher one takes leadership over as soon as it runs."""


class LogSettings(Section, frozen=True, kw_only=True):
    """What is written to standard error."""

    format: Literal["console", "json"] = "console"
    """`console` for people, `json` for machines: one object a line."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """The least severe events that are written."""


class DrainSettings(Section, frozen=True, kw_only=True):
    """The way out."""

    timeout: Annotated[float, Meta(ge=0, le=600), SECONDS] = 10.0
    """How long a SIGTERM waits for the answers of accepted requests."""


class Settings(Section, frozen=True, kw_only=True):
    """Everything that can be set."""

    data: Annotated[Path, RESTART] = Path("data")
    """Folder for what ddnsd keeps on this machine; a relative path starts at config.yaml's folder."""

    data_check: Annotated[Literal["refuse", "warn"], RESTART] = "refuse"
    """What to do where others may write data folder or admin token; `warn` for disks without modes."""

    workers: Annotated[int, Meta(ge=1, le=64), RESTART] = 1
    """How many processes share the work, one for each core; more than 1 needs the store kind `etcd`."""

    store: StoreSettings = StoreSettings()
    listen: ListenSettings = ListenSettings()
    http: HttpSettings = HttpSettings()
    fair_use: FairUseSettings = FairUseSettings()

    trusted_proxies: tuple[Annotated[IPNetwork, Note(parse=parse_network)], ...] = ()
    """Networks of the proxies whose `trusted_headers`, or PROXY header, are believed."""

    trusted_headers: tuple[Annotated[str, Note(parse=parse_source_header)], ...] = SOURCE_HEADERS[:2]
    """Headers that each of these proxies writes, or removes; where several are there, they must agree."""

    addresses: AddressSettings = AddressSettings()
    admin: AdminSettings = AdminSettings()
    publish: PublishSettings = PublishSettings()
    node: NodeSettings = NodeSettings()
    leader: LeaderSettings = LeaderSettings()
    log: LogSettings = LogSettings()
    drain: DrainSettings = DrainSettings()
    kube: KubeSettings = KubeSettings()

    nameservers: Annotated[Mapping[str, NameserverSettings], Meta(min_length=1, max_length=1000)]
    """The nameservers that a Zone can name; absent: `default`, an embedded one."""

    @property
    def default_admin_token_file(self) -> Path:
        """Where the admin token is, unless `admin.token_file` names another place."""
        return self.data / "admin-token"

    @property
    def embedded_nameservers(self) -> Sequence[str]:
        """The names of those inside this process."""
        return [
            name for name, each in self.nameservers.items() if isinstance(each, EmbeddedNameserverSettings)
        ]

    def complete(self) -> Self:
        """Check that the PROXY protocol has proxies, and several workers nothing that only one can have."""
        problems = [*self._about_proxies(), *(self._about_workers() if self.workers > 1 else ())]
        if problems:
            raise SectionError(*problems)
        return self

    def _about_proxies(self) -> Iterator[SettingProblem]:
        if self.listen.proxy_protocol and not self.trusted_proxies:
            remedy = "write the proxies' networks in trusted_proxies: nobody else's header is read"
            yield setting_problem("listen.proxy_protocol", "true", remedy)

    def _about_workers(self) -> Iterator[SettingProblem]:
        if self.store.kind == "embedded":
            remedy = "write 1, or use etcd (store.kind): the embedded store is for one process"
            yield setting_problem("workers", str(self.workers), remedy)
        for name in self.embedded_nameservers:
            remedy = "write rfc2136, or 1 for workers: the embedded nameserver is for one process"
            yield setting_problem(f"nameservers.{name}.kind", "embedded", remedy)
