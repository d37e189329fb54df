"""The admin tokens, one of which every request to the admin API carries, and what each of them may do."""

import hmac
from collections.abc import Collection
from enum import StrEnum
from typing import NamedTuple

from ddnsd.model.resources import Kind, digest


class AdminScope(StrEnum):
    """What a token may do; each but `read` may read too."""

    READ = "read"  # all that is shown, exports too
    ZONES = "zones"  # change zones, and ask the leader for work on them
    ACCOUNTS = "accounts"  # change accounts, hosts and tokens
    ALL = "all"  # everything: imports, sources and drains too


SCOPE_OF = {
    Kind.ZONE: AdminScope.ZONES,
    Kind.ACCOUNT: AdminScope.ACCOUNTS,
    Kind.HOST: AdminScope.ACCOUNTS,
    Kind.TOKEN: AdminScope.ACCOUNTS,
}
"""What it takes to change a resource."""


class Credential(NamedTuple):
    """An admin token: its name, its SHA-256 in hex, what it may do."""

    name: str
    digest: str
    scopes: frozenset[AdminScope]

    def may(self, scope: AdminScope) -> bool:
        """Say whether it may do what needs this scope."""
        return scope is AdminScope.READ or scope in self.scopes or AdminScope.ALL in self.scopes

    def refusal(self, scope: AdminScope, what: str) -> str:
        """Return what to say where it may not do something."""
        has = ", ".join(sorted(self.scopes))
        return f"the admin token {self.name} (scopes: {has}) may not {what}: that takes the scope {scope}"


class AdminTokens:
    """Knows the tokens by their SHA-256 alone."""

    def __init__(self, credentials: Collection[Credential]) -> None:
        self._credentials = tuple(credentials)

    def reconfigure(self, credentials: Collection[Credential]) -> None:
        """Let in who has one of these, and nobody else, from now on."""
        self._credentials = tuple(credentials)

    def holder(self, authorization: str) -> Credential | None:
        """Return which token an Authorization header has; None for none of them."""
        scheme, _, text = authorization.partition(" ")
        if scheme.lower() != "bearer":
            return None
        sent = digest(text.strip())
        # All are compared, so that the time tells nothing of which one it is.
        found = [each for each in self._credentials if hmac.compare_digest(sent, each.digest)]
        return found[0] if found else None
