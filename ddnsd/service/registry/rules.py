"""What a resource may be, given all the others. Pure: judges and fills a draft."""

from collections.abc import Collection, Iterable, Mapping
from enum import StrEnum

from ddnsd.config.mistakes import did_you_mean
from ddnsd.model.addresses import RRTYPES, Challenge
from ddnsd.model.names import is_below
from ddnsd.model.records import Mark, RecordKey, Resource
from ddnsd.model.resources import (
    AccountSpec,
    HostSpec,
    Kind,
    Origin,
    Spec,
    TokenSpec,
    ZoneSpec,
    called,
    is_previous,
    previous_name,
)
from ddnsd.service.documents import Document
from ddnsd.service.problems import InvalidDocumentError, Problem, Reason
from ddnsd.service.registry import neighbours
from ddnsd.service.registry.draft import Draft
from ddnsd.service.registry.errors import RefusedError
from ddnsd.service.registry.ownership import demand_own, is_anothers
from ddnsd.service.registry.rotation import keep_previous

# Keys that the put of one document compares or writes, at most: a host with its records and its last
# refresh; or a token with its former secret, and one that it takes the secret from, with its own.
PUT_COST = max(1 + len(RRTYPES) + 1, 4)
_NOBODY: Mapping[str, str] = {}


class Written(StrEnum):
    """What came of a put."""

    CREATED = "created"
    CONFIGURED = "configured"
    UNCHANGED = "unchanged"


def put(
    draft: Draft,
    document: Document,
    nameservers: Collection[str],
    others: Mapping[str, str] = _NOBODY,
    *,
    imported: bool = False,
) -> Written:
    """Put one document into the draft.

    `others` are the secrets, as digests, that tokens have after this very commit: what one of them gives up
    may be taken before its own turn, so that two can swap.

    One that is stored already is refused all the same while what it refers to is held. One that is `imported`
    was made elsewhere: where it lies is not judged again.

    Raises:
        InvalidDocumentError: it refers to what is not there, or is held.
        RefusedError: another resource stands in the way, or it is somebody else's.
    """
    kind, name, spec, origin = document
    demand_own(draft, kind, name, origin)
    old = draft.of_kind(kind).get(name)
    if old == Resource(spec, origin=origin) and not _leans_on_held(draft, name, spec):
        return Written.UNCHANGED
    match spec:
        case ZoneSpec():
            _put_zone(draft, name, Resource(spec, origin=origin), nameservers)
        case AccountSpec():
            draft.accounts.put(name, Resource(spec, origin=origin))
        case HostSpec():
            _put_host(draft, name, Resource(spec, origin=origin), imported=imported)
        case TokenSpec():
            _put_token(draft, name, Resource(spec, origin=origin), others)
    return Written.CREATED if old is None else Written.CONFIGURED


def secrets_after(documents: Iterable[Document]) -> Mapping[str, str]:
    """Return the digests that these tokens have once all are put, by name."""
    return {each.name: each.spec.sha256 for each in documents if isinstance(each.spec, TokenSpec)}


def _leans_on_held(draft: Draft, name: str, spec: Spec) -> bool:
    zone = draft.zones.get(draft.zone_of(name) or "") if isinstance(spec, HostSpec) else None
    account = draft.accounts.get(spec.account) if isinstance(spec, HostSpec | TokenSpec) else None
    return (zone is not None and zone.held) or (account is not None and account.held)


def _put_zone(draft: Draft, name: str, zone: Resource[ZoneSpec], nameservers: Collection[str]) -> None:
    nameserver = zone.spec.nameserver
    if nameserver not in nameservers:
        message = f"{nameserver!r} is not under `nameservers` in config.yaml; "
        problem = Problem("spec.nameserver", message + did_you_mean(nameserver, nameservers))
        raise InvalidDocumentError(problem, reason=Reason.UNKNOWN_NAMESERVER)
    above = draft.zone_of(name)
    if above is not None and above != name and (taken := _taken_over(draft, name, above)):
        message = f"zone {name} would take {_hosts(len(taken))} over from zone {above}: delete them first"
        raise RefusedError(message, Reason.TAKES_HOSTS_OVER, count=len(taken))
    draft.zones.put(name, zone)


def _taken_over(draft: Draft, zone: str, above: str) -> set[str]:
    """Return the hosts that a new zone would take from the one above it.

    A name whose records are still to leave the zone above counts too. Without a zone above there is
    none: each host lies in a zone, and one that lies in a zone below the new one stays there.
    """
    state = draft.state
    hosts = set(state.hosts_from(zone, state.zones)) if state.zone_of(zone) == above else set()
    leaving = {
        record.name
        for record in state.addresses.leaving(above)
        if record.name == zone or is_below(record.name, zone)
    }
    return hosts | leaving


def _put_host(draft: Draft, name: str, host: Resource[HostSpec], *, imported: bool) -> None:
    zone = _zone_for(draft, name)
    _refer_to_account(draft, host.spec.account, host.origin)
    _refuse_leaving(draft, name, zone)
    old = draft.hosts.get(name)
    if not imported and (old is None or old.spec.account != host.spec.account):
        neighbours.judge(draft, name, host, zone)
    if old is not None:
        _withdraw_lost(draft, name, old.spec, host.spec)
    if host.spec.expires_after is None:
        draft.forget(name)
    elif old is None or old.spec.expires_after != host.spec.expires_after:
        draft.sight(name)
    draft.hosts.put(name, host)


def _zone_for(draft: Draft, name: str) -> str:
    """Return the zone that a host lies in."""
    zone = draft.zone_of(name)
    if zone is None:
        message = f"{name} lies in no zone: apply its Zone first"
        raise InvalidDocumentError(Problem("metadata.name", message), reason=Reason.ZONE_NOT_FOUND)
    if zone == name:
        message = f"{name} is a zone's apex: a host lies below it"
        raise InvalidDocumentError(Problem("metadata.name", message), reason=Reason.ZONE_APEX)
    _refuse_going(draft.zones.get(zone), Kind.ZONE, zone, "metadata.name", Reason.ZONE_NOT_FOUND)
    return zone


def _withdraw_lost(draft: Draft, name: str, old: HostSpec, new: HostSpec) -> None:
    """Withdraw the addresses that are not the new host's: another owner inherits none."""
    kept = set(new.families) if old.account == new.account else set()
    for family in old.families:
        if family not in kept:
            draft.withdraw(RecordKey(name, family))
    if old.account != new.account:
        draft.withdraw(RecordKey(name, Challenge.TXT))


def _refuse_leaving(draft: Draft, name: str, zone: str) -> None:
    for type in RRTYPES:
        entry = draft.state.addresses.get(RecordKey(name, type))
        if entry is not None and entry.value.is_tombstone and entry.value.zone != zone:
            message = f"{name}: its records are still being removed from zone {entry.value.zone}: try again"
            raise RefusedError(message, Reason.STILL_LEAVING)


def _put_token(draft: Draft, name: str, token: Resource[TokenSpec], others: Mapping[str, str]) -> None:
    if is_previous(name):
        message = f"{name} is made by ddnsd, of the secret that its token had before: change that token"
        raise RefusedError(message, Reason.NAME_TAKEN)
    _refer_to_account(draft, token.spec.account, token.origin)
    digest = token.spec.sha256
    holder = draft.holder(digest)
    if holder is not None and holder not in (name, previous_name(name)):
        if holder in map(previous_name, others):
            draft.tokens.drop(holder)  # kept a moment ago, by this commit or the one before it
        elif others.get(holder, digest) == digest:
            _take_secret(draft, holder, token.origin)
    keep_previous(draft, name, token)
    draft.put_token(name, token)


def _take_secret(draft: Draft, holder: str, writer: Origin | None) -> None:
    """Drop the token that has a secret now, if it is nobody's, or over and kept by ddnsd alone."""
    token = draft.tokens.get(holder)
    assert token is not None
    is_nobodys = token.origin != writer and not is_anothers(draft, token, writer)
    is_over = is_previous(holder) and token.spec.expires is not None and token.spec.expires <= draft.now
    if not (is_nobodys or is_over):
        whose = "another token"  # a tenant is not told whose
        if token.origin == writer:
            whose = f"token {called(holder, writer)}"
        elif writer is None:
            whose = f"a token of {token.origin}"
        message = f"{whose} has the same secret: every token has one of its own"
        raise RefusedError(message, Reason.SECRET_TAKEN)
    draft.tokens.drop(holder)
    draft.tokens.drop(previous_name(holder))


def _refer_to_account(draft: Draft, name: str, origin: Origin | None) -> None:
    account = draft.accounts.get(name)
    if account is None:
        message = f"there is no Account {called(name, origin)}: apply it first, or in the same call"
        raise InvalidDocumentError(Problem("spec.account", message), reason=Reason.ACCOUNT_NOT_FOUND)
    _refuse_going(account, Kind.ACCOUNT, called(name, origin), "spec.account", Reason.ACCOUNT_NOT_FOUND)


def _refuse_going(resource: Resource[Spec] | None, kind: Kind, name: str, field: str, reason: Reason) -> None:
    """Refuse to refer to what is being deleted, or stays only for the hosts that it has."""
    if resource is not None and resource.held:
        message = f"{kind} {name} is held: its document is gone, only its hosts keep it: apply it again"
        raise InvalidDocumentError(Problem(field, message), reason=reason)
    if resource is not None and resource.mark is Mark.DELETING:
        what = f"{kind.value.lower()} {name}"
        message = f"{what} is being deleted: delete it again to finish, or apply it again to keep it"
        raise RefusedError(message, reason)


def _hosts(count: int) -> str:
    return "1 host" if count == 1 else f"{count} hosts"
