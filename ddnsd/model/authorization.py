"""Who may change what: the token, its account, the hosts that both may change, and their zones.

The hosts that follow a prefix update. Hosts by their first label alone, for clients that know no full names.
"""

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from typing import NamedTuple, TypeGuard

from ddnsd.model.addresses import Challenge, Family, RRType
from ddnsd.model.names import challenge_name, fits, label_count
from ddnsd.model.prefixes import Prefix, address_below, read_prefix
from ddnsd.model.records import Entry, Placement, PrefixUpdate, RecordKey, Resource
from ddnsd.model.request import HostChange, Refusal, UpdateRequest
from ddnsd.model.resources import HostSpec, Scope, TokenSpec, ZoneSpec, previous_name
from ddnsd.model.state import State


class AuthorizedHost(NamedTuple):
    """A host that a token may change, and where it is published."""

    name: str
    host: Entry[Resource[HostSpec]]
    zone: Entry[Resource[ZoneSpec]]
    placement: Placement

    def can_have(self, type: RRType) -> bool:
        """Say whether the host may have records of this type."""
        if type is Challenge.TXT:
            return fits(challenge_name(self.name))
        return type in self.host.value.spec.families


class Follower(NamedTuple):
    """A host that follows prefixes, and the address that it has below one."""

    record: RecordKey
    host: Entry[Resource[HostSpec]]
    placement: Placement
    ip: str


def token_name(token: Entry[Resource[TokenSpec]]) -> str:
    """Return the name of a stored token."""
    return token.key.partition("/")[2]


def valid_token(state: State, attempt: UpdateRequest, now: datetime) -> Entry[Resource[TokenSpec]] | Refusal:
    """Return the token with which the attempt is made, if it may change anything."""
    token = state.tokens.by_digest(attempt.digest)
    if token is None or token.value.held or token.value.spec.disabled:
        return Refusal.UNKNOWN_TOKEN
    spec = token.value.spec
    if spec.expires is not None and spec.expires <= now:
        return Refusal.UNKNOWN_TOKEN
    account = state.accounts.get(spec.account)
    if account is None or account.value.held:
        return Refusal.UNKNOWN_TOKEN
    if attempt.user and token_name(token) not in (attempt.user, previous_name(attempt.user)):
        return Refusal.UNKNOWN_TOKEN
    status, until = account.value.spec.status, account.value.spec.suspended_until
    if status == "banned":
        return Refusal.BANNED
    if status == "suspended" and (until is None or now < until):
        return Refusal.SUSPENDED
    return token


def place_of(state: State, token: TokenSpec, target: HostChange) -> AuthorizedHost | Refusal:
    """Return the host that the target is about, if the token may change it, and it takes updates."""
    name = target.name
    host = state.hosts.get(name) if name is not None else None
    if name is None or host is None or not may_change(token, name, host.value.spec):
        return Refusal.NOT_FOUND
    if target.wildcard and not host.value.spec.wildcard:
        return Refusal.NOT_FOUND
    zone_name = state.zone_of(name) or ""
    zone = state.zones.get(zone_name)
    if zone is None or (token.scopes is not None and not _is_in_scope(token.scopes, target)):
        return Refusal.NOT_FOUND
    if zone.value.held or not zone.value.spec.enabled:
        return Refusal.ZONE_DISABLED
    if host.value.held or not host.value.spec.enabled:
        return Refusal.RECORD_DISABLED
    return AuthorizedHost(name, host, zone, Placement(zone_name, zone.value.spec.nameserver))


def may_change(by: TokenSpec | PrefixUpdate, name: str, host: HostSpec) -> bool:
    """Say whether the host is one of those that a token is for, or that a prefix was sent for with one."""
    return host.account == by.account and (by.hosts is None or name in by.hosts)


def takes_updates(zone: Resource[ZoneSpec], host: Resource[HostSpec]) -> bool:
    """Say whether neither the host nor its zone is disabled, or held."""
    return zone.spec.enabled and not zone.held and host.spec.enabled and not host.held


def followers(state: State, token: TokenSpec, prefix: Prefix) -> Iterator[Follower]:
    """Yield the hosts that a prefix update with this token moves."""
    return _followers(state, token.account, token.hosts, prefix)


def reached_by(state: State, update: PrefixUpdate) -> Iterator[Follower]:
    """Yield the hosts that an update is for, as they are now."""
    return _followers(state, update.account, update.hosts, read_prefix(update.prefix))


def _followers(state: State, account: str, only: Sequence[str] | None, prefix: Prefix) -> Iterator[Follower]:
    names = state.hosts.followers(account)
    for name in tuple(names if only is None else names & frozenset(only)):  # it may pause between any two
        host, zone_name = state.hosts.get(name), state.zone_of(name) or ""
        zone = state.zones.get(zone_name)
        if host is None or zone is None or not takes_updates(zone.value, host.value):
            continue
        ip = address_below(prefix, host.value.spec)
        if ip is not None and Family.AAAA in host.value.spec.families:
            placement = Placement(zone_name, zone.value.spec.nameserver)
            yield Follower(RecordKey(name, Family.AAAA), host, placement, ip)


def _is_in_scope(scopes: Collection[Scope], target: HostChange) -> bool:
    asked = {Scope.TXT if wish.type is Challenge.TXT else Scope.ADDRESS for wish in target.wishes or ()}
    return asked.issubset(scopes) and (target.prefix is None or Scope.ADDRESS in scopes)


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
