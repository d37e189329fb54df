"""The four kinds of document that users write: Zone, Account, Host, Token.

These are the specs alone, already typed; how a document is read, checked and refused is
`service.documents`. The field names on the wire are camelCase, as on Kubernetes.
"""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal

import msgspec

from .addresses import Family

API_VERSION = "ddnsd.dev/v1alpha1"
MAX_OVERLAP = 30 * 86_400  # seconds

Ttl = Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1, description="seconds (RFC 2181 §8)")]
Digest = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$", description="hex SHA-256 of the secret")]
Instant = Annotated[datetime, msgspec.Meta(tz=True, description="RFC 3339, with an offset")]
Overlap = Annotated[
    int,
    msgspec.Meta(ge=0, le=MAX_OVERLAP, description="seconds that the secret before this one stays valid"),
]


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
    ttl: Ttl = 60
    enabled: bool = True


class AccountSpec(msgspec.Struct, frozen=True, rename="camel"):
    """Whom hosts and tokens belong to."""

    status: Literal["active", "suspended", "banned"] = "active"
    suspended_until: Instant | None = None


class HostSpec(msgspec.Struct, frozen=True, rename="camel"):
    """A name whose addresses its account may change."""

    account: str
    families: Annotated[tuple[Family, ...], msgspec.Meta(min_length=1)] = (Family.A, Family.AAAA)
    ttl: Ttl | None = None
    enabled: bool = True


class TokenSpec(msgspec.Struct, frozen=True, rename="camel"):
    """A secret's digest and what the holder of the secret may change."""

    account: str
    sha256: Digest
    hosts: tuple[str, ...] | None = None
    expires: Instant | None = None
    disabled: bool = False
    rotation_overlap: Overlap = 0


Spec = ZoneSpec | AccountSpec | HostSpec | TokenSpec

SPECS: dict[Kind, type[Spec]] = {
    Kind.ZONE: ZoneSpec,
    Kind.ACCOUNT: AccountSpec,
    Kind.HOST: HostSpec,
    Kind.TOKEN: TokenSpec,
}
