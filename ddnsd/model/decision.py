"""The decision about one update: a pure function of the request, the state and the time.

The order of the checks is the contract's: what is missing, what is malformed, then token, account,
name and owner, zone, record, family.
"""

from datetime import datetime
from enum import Enum, auto
from typing import NamedTuple

from .addresses import Address, Family, InvalidAddressError, parse_address
from .answers import Refusal, Unchanged
from .names import InvalidNameError, parse_name
from .publication import is_refused, is_served, is_verified, wanted
from .records import Committed, Entry, RecordKey, Resource, Site
from .request import Request
from .resources import AccountSpec, HostSpec, Spec, TokenSpec, ZoneSpec
from .state import State
from .tokens import digest


class Attempt(NamedTuple):
    """A request whose parts have been read, once; decided again whenever the state has moved."""

    name: str | None  # None: no such name can exist
    address: Address | None  # None: no host can have such an address
    digest: str


class Grant(NamedTuple):
    """An allowed update: the record it is about, where that is published, and all that was read."""

    record: RecordKey
    site: Site
    reads: tuple[Entry[Resource[Spec]], ...]


class Change(NamedTuple):
    """Commit this address, if everything that was read is still so."""

    record: RecordKey
    ip: str
    previous: str  # the `old_ip` of the answer
    reads: tuple[Entry[Resource[Spec]], ...]
    replaces: Entry[Committed] | None


class Join(NamedTuple):
    """This very address is committed already but not known to be served: wait for that.

    `published` says that it was published before and only waits for the zone to be verified.
    """

    record: RecordKey
    revision: int
    ip: str
    previous: str
    published: bool


Decision = Refusal | Unchanged | Change | Join


def read(request: Request, *, private: bool) -> Attempt | Refusal:
    """Read a request's parts; refuse it where one is missing.

    A malformed part is not refused yet: which refusal comes first depends on the state.
    """
    if not request.domain:
        return Refusal.MISSING_DOMAIN
    if not request.token:
        return Refusal.MISSING_TOKEN
    try:
        name = parse_name(request.domain)
    except InvalidNameError:
        name = None
    try:
        address = parse_address(request.ip or request.source, private=private)
    except InvalidAddressError:
        address = None
    return Attempt(name, address, digest(request.token))


def decide(state: State, attempt: Attempt, now: datetime) -> Decision:
    """Decide what an update comes to in this state, at this moment (UTC)."""
    if attempt.name is not None and state.is_first_level(attempt.name):
        return Refusal.FIRST_LEVEL
    if attempt.address is None:
        return Refusal.INVALID_IP
    grant = _authorize(state, attempt.name, attempt.address.family, attempt.digest, now)
    if isinstance(grant, Refusal):
        return grant
    return _against_committed(state, grant, attempt.address.ip)


def _authorize(state: State, name: str | None, family: Family, digest: str, now: datetime) -> Grant | Refusal:
    token = state.tokens.by_digest(digest)
    if token is None or token.value.held or not _is_valid(token.value.spec, now):
        return Refusal.UNKNOWN_TOKEN
    account = state.accounts.get(token.value.spec.account)
    if account is None or account.value.held:
        return Refusal.UNKNOWN_TOKEN
    if refusal := _account_refusal(account.value.spec, now):
        return refusal
    host = state.hosts.get(name) if name is not None else None
    if name is None or host is None or not _may_change(token.value.spec, name, host.value.spec):
        return Refusal.NOT_FOUND
    zone = state.zones.get(state.zone_of(name) or "")
    if zone is None:
        return Refusal.NOT_FOUND
    if refusal := _host_refusal(zone.value, host.value, family):
        return refusal
    site = Site(zone.key.partition("/")[2], zone.value.spec.nameserver)
    return Grant(RecordKey(name, family), site, (token, account, zone, host))


def _is_valid(token: TokenSpec, now: datetime) -> bool:
    return not token.disabled and (token.expires is None or now < token.expires)


def _account_refusal(account: AccountSpec, now: datetime) -> Refusal | None:
    if account.status == "banned":
        return Refusal.BANNED
    if account.status == "suspended" and (account.suspended_until is None or now < account.suspended_until):
        return Refusal.SUSPENDED
    return None


def _may_change(token: TokenSpec, name: str, host: HostSpec) -> bool:
    return host.account == token.account and (token.hosts is None or name in token.hosts)


def _host_refusal(zone: Resource[ZoneSpec], host: Resource[HostSpec], family: Family) -> Refusal | None:
    if zone.held or not zone.spec.enabled:
        return Refusal.ZONE_DISABLED
    if host.held or not host.spec.enabled:
        return Refusal.RECORD_DISABLED
    if family not in host.spec.families:
        return Refusal.FAMILY_MISMATCH
    return None


def _against_committed(state: State, grant: Grant, ip: str) -> Decision:
    """Compare the address asked for with the one that is committed."""
    committed = state.addresses.get(grant.record)
    if committed is None or committed.value.ip != ip:
        previous = committed.value.ip if committed else ""
        return Change(grant.record, ip, previous, grant.reads, committed)
    previous, served = committed.value.previous, is_served(state, grant.record, committed.revision)
    if served and is_verified(state, grant.site):
        return Unchanged(grant.record.name, ip, grant.record.type)
    if not served and is_refused(state, grant.record, committed.revision):
        return Change(grant.record, ip, previous, grant.reads, committed)
    return Join(grant.record, committed.revision, ip, previous, published=served)


class Progress(Enum):
    """What has become of a committed address that a request waits for."""

    WAITING = auto()
    PUBLISHED = auto()
    REFUSED = auto()
    GONE = auto()


def progress(state: State, record: RecordKey, revision: int, *, verify: bool) -> Progress:
    """Say how far the value committed at this revision is; a newer one of the same name counts for it.

    With `verify` a publication counts only once its zone is verified.
    """
    committed = state.addresses.get(record)
    if record.name not in state.hosts or committed is None or committed.value.is_tombstone:
        return Progress.GONE
    if not is_served(state, record, revision):
        return Progress.REFUSED if is_refused(state, record, revision) else Progress.WAITING
    want = wanted(state, record)
    if verify and (want is None or not is_verified(state, want.site)):
        return Progress.WAITING
    return Progress.PUBLISHED
