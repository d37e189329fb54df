"""The four kinds of document that users write: Zone, Account, Host, Token.

These are the specs alone, already typed; `service.documents` reads, checks and refuses documents. The field
names on the wire are camelCase, as on Kubernetes.

An origin says who writes a resource: the admin API, or the controller of a Kubernetes cluster. Accounts and
Tokens of Kubernetes have names of their own (`qualified`), as each namespace names them by itself. Zones and
Hosts have their DNS names in either case: the first object to claim a name owns it.

The secret of a token is stored nowhere: it is known by its SHA-256.
"""

import hashlib
from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal

import msgspec

from ddnsd.model.addresses import Family
from ddnsd.model.note import Note

API_VERSION = "ddnsd.dev/v1alpha1"
MAX_OVERLAP = 30 * 86_400  # seconds
MIN_EXPIRY, MAX_EXPIRY = 60, 10 * 366 * 86_400  # seconds

Ttl = Annotated[
    int, msgspec.Meta(ge=1, le=2**31 - 1, description="seconds (RFC 2181 §8)"), Note(unit="seconds")
]
AccountName = Annotated[
    str,
    msgspec.Meta(description="name of an Account"),
    Note(parse="account", remedy="write the name of an Account"),
]
Digest = Annotated[
    str,
    msgspec.Meta(pattern="^[0-9a-f]{64}$", description="hex SHA-256 of the secret"),
    Note(
        parse="digest",
        hidden=True,  # somebody may have written the secret itself there
        remedy="not a SHA-256: write the 64 hex digits of the secret's; `ddnsd token create` makes both",
        absent="create the token with `ddnsd token create`, or write its secret's SHA-256 here",
    ),
]
Label = Annotated[
    str, msgspec.Meta(min_length=1, max_length=63, pattern="^[a-z0-9-]+$", description="a name's first part")
]
Instant = Annotated[datetime, msgspec.Meta(tz=True, description="RFC 3339, with an offset")]
Overlap = Annotated[
    int,
    msgspec.Meta(ge=0, le=MAX_OVERLAP, description="seconds that the secret before this one stays valid"),
    Note(remedy=f"write a whole number of seconds from 0 to {MAX_OVERLAP} (30 days)"),
]


def in_order(items: tuple[str, ...]) -> tuple[str, ...]:
    """Return the one canonical order of what is a set: sorted, each once."""
    return tuple(sorted(set(items)))


def some_in_order(items: tuple[str, ...]) -> tuple[str, ...]:
    """Return names in their canonical order.

    Raises:
        ValueError: there are none.
    """
    if not items:
        raise ValueError("an empty list allows nothing: leave it out for all hosts, or write disabled: true")
    return in_order(items)


# First labels that programs look for in whatever domain they are in: nameservers, proxies, mail settings.
RESERVED = (
    *("ns", *(f"ns{number}" for number in range(1, 10))),
    *("wpad", "isatap", "autodiscover", "autoconfig", "mta-sts"),
)


class Scope(StrEnum):
    """What a token may write: a host's addresses, or the TXT record of its ACME challenges."""

    ADDRESS = "address"
    TXT = "txt"


class Kind(StrEnum):
    """The kinds, named as in a document's `kind`."""

    ZONE = "Zone"
    ACCOUNT = "Account"
    HOST = "Host"
    TOKEN = "Token"  # noqa: S105 - the name of a kind, not a secret

    @property
    def plural(self) -> str:
        """The kind's name in URLs, in store keys and on the command line."""
        return self.value.lower() + "s"

    def counted(self, count: int) -> str:
        """Return so many of the kind in words, such as "1 host" or "2 hosts"."""
        return f"{count} {self.value.lower() if count == 1 else self.plural}"


class ZoneSpec(msgspec.Struct, frozen=True, rename="camel"):
    """A DNS zone that ddnsd publishes into."""

    nameserver: Annotated[
        str,
        msgspec.Meta(min_length=1, description="a name under `nameservers`"),
        Note(remedy="write a name under `nameservers` in config.yaml"),
    ] = "default"
    ttl: Annotated[Ttl, msgspec.Meta(description="of its hosts, where they say none; seconds")] = 60
    enabled: Annotated[bool, msgspec.Meta(description="false: its hosts take no updates")] = True
    adopt: Annotated[
        bool, msgspec.Meta(description="true: its hosts take the names at which something stands already")
    ] = False
    nested: Annotated[
        bool, msgspec.Meta(description="true: hosts may lie above or below those of other accounts")
    ] = False
    reserved: (
        Annotated[
            tuple[Label, ...],
            msgspec.Meta(
                description="first labels that no host may have; absent: ns, ns1, …, wpad, isatap, …"
            ),
            Note(
                finish=in_order,
                remedy="write a list of labels such as wpad, [] for none, or leave it out for ddnsd's own",
            ),
        ]
        | None
    ) = None
    fence: Annotated[
        Literal["hidden", "public"],
        msgspec.Meta(description="public: the embedded nameserver answers the fence's TXT record to anybody"),
    ] = "hidden"


class AccountSpec(msgspec.Struct, frozen=True, rename="camel"):
    """Whom hosts and tokens belong to."""

    status: Annotated[
        Literal["active", "suspended", "banned"],
        msgspec.Meta(description="suspended and banned: its tokens change nothing"),
    ] = "active"
    suspended_until: (
        Annotated[Instant, msgspec.Meta(description="when a suspension ends; absent: when it is changed")]
        | None
    ) = None


class HostSpec(msgspec.Struct, frozen=True, rename="camel"):
    """A name whose addresses its account may change."""

    account: AccountName
    families: Annotated[
        tuple[Family, ...],
        msgspec.Meta(min_length=1, description="of the addresses that it may have"),
        Note(finish=in_order, remedy="write a list of A and AAAA, at least one of them"),
    ] = (Family.A, Family.AAAA)
    ttl: Annotated[Ttl, msgspec.Meta(description="absent: the zone's; seconds")] | None = None
    enabled: Annotated[bool, msgspec.Meta(description="false: it takes no updates")] = True
    wildcard: Annotated[bool, msgspec.Meta(description="true: *.<host> has the same addresses")] = False
    ipv6_suffix: (
        Annotated[
            str,
            msgspec.Meta(
                max_length=45,
                description="interface identifier, such as ::1:2:3:4, with which it follows a prefix",
            ),
            Note(
                parse="suffix",
                remedy="write the last 64 bits of the host's address in quotes, such as "
                '"::1234:5678:9abc:def0"',
            ),
        ]
        | None
    ) = None
    ipv6_subnet: (
        Annotated[
            str,
            msgspec.Meta(
                max_length=12,
                description="subnet number in hexadecimal, below a prefix shorter than /64; absent: as sent",
            ),
            Note(parse="subnet", remedy='quote it: it is hexadecimal, of 1 to 12 digits, such as "1f"'),
        ]
        | None
    ) = None
    expires_after: (
        Annotated[
            int,
            msgspec.Meta(
                ge=MIN_EXPIRY,
                le=MAX_EXPIRY,
                description="seconds without an update until its addresses are withdrawn; absent: never",
            ),
            Note(remedy=f"write a whole number of seconds from {MIN_EXPIRY} to {MAX_EXPIRY} (ten years)"),
        ]
        | None
    ) = None


class TokenSpec(msgspec.Struct, frozen=True, rename="camel"):
    """A secret's digest and what the holder of the secret may change."""

    account: AccountName
    sha256: Digest
    hosts: (
        Annotated[
            tuple[Annotated[str, Note(parse="host")], ...],
            msgspec.Meta(description="that it may change; absent: all of its account's"),
            Note(
                finish=some_in_order,
                remedy="write a list of host names, or leave it out for all of the account's",
            ),
        ]
        | None
    ) = None
    expires: Annotated[Instant, msgspec.Meta(description="absent: never")] | None = None
    disabled: Annotated[bool, msgspec.Meta(description="true: it changes nothing")] = False
    rotation_overlap: Overlap = 0
    scopes: (
        Annotated[
            tuple[Scope, ...],
            msgspec.Meta(min_length=1, description="what it may write; absent: addresses and TXT"),
            Note(finish=in_order, remedy="write a list of address and txt, or leave it out for both"),
        ]
        | None
    ) = None


Spec = ZoneSpec | AccountSpec | HostSpec | TokenSpec

SPECS: dict[Kind, type[Spec]] = {
    Kind.ZONE: ZoneSpec,
    Kind.ACCOUNT: AccountSpec,
    Kind.HOST: HostSpec,
    Kind.TOKEN: TokenSpec,
}


_BETWEEN = ":"  # stands in no name that a user writes, so nothing collides
_PREVIOUS = f"{_BETWEEN}previous"


class Origin(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where in Kubernetes a resource is written; a resource of the admin API has none.

    `source` is what the cluster is called on this store (`kube.source`); `namespace` is "" for a Zone.
    """

    source: str
    namespace: str = ""

    def __str__(self) -> str:
        namespace = f", namespace {self.namespace}" if self.namespace else ""
        return f"Kubernetes: source {self.source}{namespace}"


def qualified(origin: Origin, name: str) -> str:
    """Return the name under which an Account or Token of this origin is stored."""
    return _BETWEEN.join((origin.source, origin.namespace, name))


def called(name: str, origin: Origin | None) -> str:
    """Return what a writer of this origin calls what is stored under a name."""
    return name.removeprefix(qualified(origin, "")) if origin else name


def previous_name(token: str) -> str:
    """Return the name of the token that keeps the secret before this token's, while it is still valid.

    It has no document of its own: it comes and goes with its token.
    """
    return token + _PREVIOUS


def is_previous(token: str) -> bool:
    """Say whether a token of this name keeps another one's former secret."""
    return token.endswith(_PREVIOUS)


MIN_SECRET_LENGTH = 16  # characters
MAX_SECRET_LENGTH = 1024
MADE_SECRET_LENGTH = 43
"""Characters of a secret that is made here: 256 bits in base64url. Some routers cut passwords at 31 or 32."""
SHORTEST_MADE_SECRET = 22  # characters: 132 bits


class InvalidSecretError(ValueError):
    """What somebody brought as a secret cannot be one; the message does not show it."""


def digest(secret: str) -> str:
    """Return the lower-case hex SHA-256 of a secret, the only form in which it is kept or compared.

    A look-up by digest takes the same time whatever secret was nearly right.
    """
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def read_secret(raw: bytes) -> str:
    """Return a secret that was made elsewhere, without the white space around it.

    Raises:
        InvalidSecretError: it is too short or too long, or not one line of printable characters.
    """
    try:
        secret = raw.decode().strip()
    except UnicodeDecodeError as error:
        raise InvalidSecretError("it is not UTF-8 text") from error
    if not MIN_SECRET_LENGTH <= len(secret) <= MAX_SECRET_LENGTH:
        # Not how many: the message may be shown to who may not read the secret.
        limits = f"{MIN_SECRET_LENGTH} to {MAX_SECRET_LENGTH} characters"
        raise InvalidSecretError(f"a secret has {limits}")
    if not secret.isprintable():
        raise InvalidSecretError("a secret is one line of printable characters")
    return secret
