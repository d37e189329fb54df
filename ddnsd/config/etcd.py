"""The settings of an etcd cluster."""

from dataclasses import dataclass
from typing import Annotated, Self

from ddnsd.config.annotation import RESTART, Bounds, Example, FromFile, FromText, Section, Unit
from ddnsd.config.mistakes import Mistake, SectionError
from ddnsd.config.parse import parse_member, parse_prefix, parse_user
from ddnsd.config.secrets import (
    PasswordFile,
    PemFile,
    check_authority,
    check_certificate,
    read_password_file,
    read_pem_file,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class EtcdTlsSettings(Section):
    """TLS to etcd."""

    ca: Annotated[PemFile | None, FromFile(read_pem_file)] = None
    """PEM file of the authority that signed the members' certificates; absent: the system's authorities."""

    certificate: Annotated[PemFile | None, FromFile(read_pem_file)] = None
    """PEM file of ddnsd's own certificate, where etcd asks for one."""

    key: Annotated[PemFile | None, FromFile(read_pem_file)] = None
    """PEM file of its private key, without a password."""

    def complete(self) -> Self:
        """Check that the files load."""
        try:
            if self.ca is not None:
                check_authority(self.ca.path)
            if self.certificate is not None and self.key is not None:
                check_certificate(self.certificate.path, self.key.path)
        except ValueError as error:
            raise SectionError(Mistake((), "", f"{error}; name PEM files")) from error
        if (self.certificate is None) is not (self.key is None):
            missing = "certificate" if self.certificate is None else "key"
            raise SectionError(Mistake((missing,), "", "missing: a certificate and its key go together"))
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class EtcdSettings(Section):
    """The cluster that keeps the state of all nodes, and this installation's place in it."""

    endpoints: Annotated[
        tuple[Annotated[str, FromText(parse_member)], ...],
        Bounds(1, 32),
        RESTART,
        Example("the members' client addresses, such as `endpoints: [https://etcd1.example.com:2379]`"),
    ]
    """The members' client addresses, the nearest first: URLs, or `host:port` (https where `tls` is given)."""

    prefix: Annotated[str, FromText(parse_prefix), RESTART] = "ddnsd/"
    """What all keys of this installation begin with; an etcd role with rights on it is enough."""

    tls: EtcdTlsSettings | None = None
    """TLS with authorities or a certificate of one's own."""

    user: Annotated[str, FromText(parse_user)] = ""
    """User of etcd's own authentication; absent: none."""

    password_file: Annotated[PasswordFile | None, FromFile(read_password_file, hidden=True)] = None
    """File with the user's password, on one line."""

    lease_ttl: Annotated[int, Bounds(2, 60), Unit.SECONDS, RESTART] = 5
    """How long a node that died still leads, and is still shown; above the longest pause of the network."""

    connect_timeout: Annotated[float, Bounds(0.05, 10), Unit.SECONDS, RESTART] = 0.5
    """How long a connection to a member may take, TCP and TLS together."""

    try_timeout: Annotated[float, Bounds(0.1, 30), Unit.SECONDS, RESTART] = 1.0
    """How long one member may take to answer, before another one is asked."""

    quota: Annotated[int, Bounds(1_048_576, 1 << 40), Unit.BYTES, RESTART] = 2_147_483_648
    """The members' `--quota-backend-bytes`, for the warning before it is full; etcd 3.6 tells it itself."""

    def complete(self) -> Self:
        """Check that user and password go together, and that `tls` is not left unused."""
        if bool(self.user) is not (self.password_file is not None):
            missing = "password_file" if self.user else "user"
            raise SectionError(Mistake((missing,), "", "missing: user and password_file go together"))
        plain = [endpoint for endpoint in self.endpoints if endpoint.startswith("http://")]
        if self.tls is not None and plain:
            raise SectionError(Mistake(("endpoints",), plain[0], "write https://, as `tls` is given"))
        return self

    @property
    def is_plain(self) -> bool:
        """Say whether a connection to some member is not encrypted."""
        return any(not one.startswith("https://") for one in self.endpoints) and self.tls is None
