"""Who may change what: the token, its account, the hosts that both may change, and their zones.

Hosts by their first label alone, for clients that know no full names.
"""

from datetime import datetime
from typing import NamedTuple, TypeGuard

from ddnsd.model.addresses import Challenge, RRType
from ddnsd.model.names import challenge_name, fits, label_count
from ddnsd.model.records import Entry, Resource, Site
from ddnsd.model.request import HostChange, Refusal, RRsetChange, UpdateRequest
from ddnsd.model.resources import AccountSpec, HostSpec, Scope, Spec, TokenSpec, ZoneSpec, previous_name
from ddnsd.model.state import State


class Credential(NamedTuple):
    """A valid token, and its account."""

    token: Entry[Resource[TokenSpec]]
    account: Entry[Resource[AccountSpec]]

    @property
    def name(self) -> str:
        """The token's name."""
        return self.token.key.partition("/")[2]


class AuthorizedHost(NamedTuple):
    """A host that the holder may change, and where it is published."""

    name: str
    host: Entry[Resource[HostSpec]]
    zone: Entry[Resource[ZoneSpec]]
    site: Site

    def can_have(self, type: RRType) -> bool:
        """Say whether the host may have records of this type."""
        return _can_have(self.name, self.host.value.spec, type)

    def can_take(self, wish: RRsetChange) -> bool:
        """Say whether the host may have what is asked for; what it has may always be withdrawn."""
        return not wish.value or self.can_have(wish.type)

    @property
    def reads(self) -> tuple[Entry[Resource[Spec]], ...]:
        """What a change of the host depends on, beside its holder."""
        return self.zone, self.host


def holder_of(state: State, attempt: UpdateRequest, now: datetime) -> Credential | Refusal:
    """Return who makes the attempt."""
    token = state.tokens.by_digest(attempt.digest)
    if token is None or token.value.held or not _is_valid(token.value.spec, now):
        return Refusal.UNKNOWN_TOKEN
    account = state.accounts.get(token.value.spec.account)
    if account is None or account.value.held:
        return Refusal.UNKNOWN_TOKEN
    holder = Credential(token, account)
    if attempt.user and holder.name not in (attempt.user, previous_name(attempt.user)):
        return Refusal.UNKNOWN_TOKEN
    return _account_refusal(account.value.spec, now) or holder


def place_of(state: State, holder: Credential, target: HostChange) -> AuthorizedHost | Refusal:
    """Return the host that the target is about, if it is the holder's to change, and takes updates."""
    name, token = target.name, holder.token.value.spec
    host = state.hosts.get(name) if name is not None else None
    if name is None or host is None or not may_change(token, name, host.value.spec):
        return Refusal.NOT_FOUND
    if target.wildcard and not host.value.spec.wildcard:
        return Refusal.NOT_FOUND
    zone_name = state.zone_of(name) or ""
    zone = state.zones.get(zone_name)
    if zone is None or not _is_in_scope(token, target):
        return Refusal.NOT_FOUND
    site = Site(zone_name, zone.value.spec.nameserver)
    return _host_refusal(zone.value, host.value) or AuthorizedHost(name, host, zone, site)


def may_change(token: TokenSpec, name: str, host: HostSpec) -> bool:
    """Say whether the host is one of those that the token is for."""
    return host.account == token.account and (token.hosts is None or name in token.hosts)


def takes_updates(zone: Resource[ZoneSpec], host: Resource[HostSpec]) -> bool:
    """Say whether neither the host nor its zone is disabled, or held."""
    return zone.spec.enabled and not zone.held and host.spec.enabled and not host.held


def _is_valid(token: TokenSpec, now: datetime) -> bool:
    return not token.disabled and (token.expires is None or now < token.expires)


def _account_refusal(account: AccountSpec, now: datetime) -> Refusal | None:
    if account.status == "banned":
        return Refusal.BANNED
    if account.status == "suspended" and (account.suspended_until is None or now < account.suspended_until):
        return Refusal.SUSPENDED
    return None


def _is_in_scope(token: TokenSpec, target: HostChange) -> bool:
    if token.scopes is None:
        return True
    asked = {Scope.TXT if wish.type is Challenge.TXT else Scope.ADDRESS for wish in target.wishes or ()}
    return asked.issubset(token.scopes) and (target.prefix is None or Scope.ADDRESS in token.scopes)


def _host_refusal(zone: Resource[ZoneSpec], host: Resource[HostSpec]) -> Refusal | None:
    if zone.held or not zone.spec.enabled:
        return Refusal.ZONE_DISABLED
    if host.held or not host.spec.enabled:
        return Refusal.RECORD_DISABLED
    return None


def _can_have(name: str, host: HostSpec, type: RRType) -> bool:
    return fits(challenge_name(name)) if type is Challenge.TXT else type in host.families


def in_full(state: State, attempt: UpdateRequest) -> UpdateRequest:
    """Return the attempt with full names, where labels of its token's hosts are.

    A label that is none of them, or several, is a name that no host can have: it is refused like any other
    name, after a wrong token. Whether the token is valid is not looked at.
    """
    token = state.tokens.by_digest(attempt.digest)
    if token is None:
        return attempt._replace(targets=tuple(map(_nameless, attempt.targets)), short=False)
    spec = token.value.spec
    only = None if spec.hosts is None else frozenset(spec.hosts)

    def named(target: HostChange) -> HostChange:
        if not _is_label(target.name):
            return target
        found = state.hosts.labelled(spec.account, target.name)
        found = found if only is None else found & only
        return target._replace(name=next(iter(found)) if len(found) == 1 else None)

    return attempt._replace(targets=tuple(map(named, attempt.targets)), short=False)


def _nameless(target: HostChange) -> HostChange:
    return target._replace(name=None) if _is_label(target.name) else target


def _is_label(name: str | None) -> TypeGuard[str]:
    return name is not None and label_count(name) == 1
