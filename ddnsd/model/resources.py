"""The four kinds of document that users write: Zone, Account, Host, Token.

These are the specs alone, already typed; how a document is read, checked and refused is
`service.documents`. The field names on the wire are camelCase, as on Kubernetes.
"""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal

import msgspec

from ddnsd.model.addresses import Family

API_VERSION = "ddnsd.dev/v1alpha1"
MAX_OVERLAP = 30 * 86_400  # seconds
MIN_EXPIRY, MAX_EXPIRY = 60, 10 * 366 * 86_400  # seconds

Ttl = Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1, description="seconds (RFC 2181 §8)")]
AccountName = Annotated[str, msgspec.Meta(description="name of an Account")]
Digest = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$", description="hex SHA-256 of the secret")]
Label = Annotated[
    str, msgspec.Meta(min_length=1, max_length=63, pattern="^[a-z0-9-]+$", description="a name's first part")
]
Instant = Annotated[datetime, msgspec.Meta(tz=True, description="RFC 3339, with an offset")]
Overlap = Annotated[
    int,
    msgspec.Meta(ge=0, le=MAX_OVERLAP, description="seconds that the secret before this one stays valid"),
]


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


class ZoneSpec(msgspec.Struct, frozen=True, rename="camel"):
    """A DNS zone that ddnsd publishes into."""

    nameserver: Annotated[str, msgspec.Meta(min_length=1, description="a name under `nameservers`")] = (
        "default"
    )
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
        tuple[Family, ...], msgspec.Meta(min_length=1, description="of the addresses that it may have")
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
        ]
        | None
    ) = None


class TokenSpec(msgspec.Struct, frozen=True, rename="camel"):
    """A secret's digest and what the holder of the secret may change."""

    account: AccountName
    sha256: Digest
    hosts: (
        Annotated[
            tuple[str, ...], msgspec.Meta(description="that it may change; absent: all of its account's")
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
