"""What a resource may be, given all the others: judged and gathered in a draft. Pure.

They are of ownership (what one has written, another does not change), of names (those that programs look for,
those above or below another's host), of the secret that a token had before its last change, and of all that
goes with a deleted resource. Names are judged only when a host is made or passes to another account: what is
stored goes on.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import islice
from typing import NamedTuple

import msgspec

from ddnsd.config.reader import Problem, did_you_mean
from ddnsd.model.addresses import RRTYPES, Challenge
from ddnsd.model.names import ancestors, is_below
from ddnsd.model.records import Mark, RecordKey, Resource
from ddnsd.model.resources import (
    RESERVED,
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
from ddnsd.service.documents import Document, InvalidDocumentError, Reason
from ddnsd.service.registry.results import RefusedError, Result
from ddnsd.service.registry.transaction import RegistryTransaction
from ddnsd.store.interface import MAX_KEYS_PER_UPDATE


def is_anothers(draft: RegistryTransaction, resource: Resource[Spec] | None, writer: Origin | None) -> bool:
    """Say whether the resource is somebody else's than the writer's.

    What was written under a source that is bound no more is nobody's: whoever comes first takes it.
    """
    if resource is None or resource.origin == writer:
        return False
    return resource.origin is None or draft.source(resource.origin.source) is not None


def demand_own(draft: RegistryTransaction, kind: Kind, name: str, writer: Origin | None) -> None:
    """Check that the writer may change what is stored under this name, if anything is.

    Raises:
        RefusedError: it is somebody else's.
    """
    resource = draft.of_kind(kind).get(name)
    if resource is not None and is_anothers(draft, resource, writer):
        holder = _holder(kind, name, resource.origin, writer)
        raise RefusedError(f"{kind.value.lower()} {name} {holder}", Reason.NAME_TAKEN)


def _holder(kind: Kind, name: str, holder: Origin | None, writer: Origin | None) -> str:
    """Say who has a resource, and what the writer can do about it."""
    if holder is None:
        return f"belongs to the admin API: delete it with `ddnsd delete {kind.value.lower()} {name}` first"
    remedy = "change it there with kubectl"
    if writer is not None:
        remedy = "delete it there with kubectl first"
    if writer is None or writer.source != holder.source:
        remedy += f", or free it with `ddnsd source release {holder.source}`"
    return f"belongs to {holder}: {remedy}"


def keep_previous(draft: RegistryTransaction, name: str, new: Resource[TokenSpec]) -> None:
    """Keep the secret that this change of a token replaces, as a token of its own, or drop the kept one.

    It may do what the changed token may. A token that is disabled, or passes to another account, keeps
    none: its former holders are to be kept out at once.
    """
    previous, old = previous_name(name), draft.tokens.get(name)
    kept = draft.tokens.get(previous)
    spec = _former(old.spec, kept.spec if kept else None, new.spec, draft.now) if old else None
    if spec is not None and draft.holder(spec.sha256) not in (None, name, previous):
        spec = None  # another token has it by the same commit: a secret is one token's
    resource = Resource(spec, origin=new.origin) if spec else None
    if resource is None and kept is not None:
        draft.tokens.drop(previous)
    elif resource is not None and resource != kept:
        draft.put_token(previous, resource)


def _former(old: TokenSpec, kept: TokenSpec | None, new: TokenSpec, now: datetime) -> TokenSpec | None:
    """Return what is kept: of `old` if the secret changes now, else of what was kept before."""
    former = kept if old.sha256 == new.sha256 else old
    if former is None or former.disabled or new.disabled or old.account != new.account:
        return None
    ends = [now + timedelta(seconds=new.rotation_overlap), former.expires, new.expires]
    expires = min(end for end in ends if end is not None)
    if expires <= now:
        return None
    return TokenSpec(new.account, former.sha256, new.hosts, expires, scopes=new.scopes)


_HOST_COST = 1 + len(RRTYPES) + 1  # keys that the deletion of a host compares or writes, at most
DELETE_COST = _HOST_COST + 1  # with those of the resource itself: what a deletion needs to get on


class Deleted(NamedTuple):
    """What has gone, in this commit or in all. `done`: the resource itself too."""

    hosts: int
    tokens: int
    done: bool


def delete(
    draft: RegistryTransaction,
    kind: Kind,
    name: str,
    resource: Resource[Spec],
    *,
    cascade: bool,
    writer: Origin | None,
) -> Deleted:
    """Put the deletion of a resource into the draft, or as much of it as one commit holds.

    What does not fit is left for the next commit; the account or zone is marked until then, so that
    nothing new is put there. Tokens that are somebody else's than the writer's stay, and are of no use.

    Raises:
        RefusedError: hosts belong to it, and they were not to go, or are somebody else's; or it is itself.
    """
    demand_own(draft, kind, name, writer)
    begun = resource.mark is Mark.DELETING
    # Of a deletion that has begun no step looks at more than it could do: nothing new comes meanwhile.
    hosts = list(islice(_hosts_of(draft, kind, name), MAX_KEYS_PER_UPDATE if begun else None))
    if kind is not Kind.HOST:
        _refuse_hosts(draft, kind, name, hosts, cascade=cascade or begun, writer=writer)
    tokens = list(islice(_tokens_of(draft, kind, name, writer), MAX_KEYS_PER_UPDATE))
    gone_hosts = _delete_hosts(draft, hosts)
    gone_tokens = _delete_tokens(draft, tokens)
    done = gone_hosts == len(hosts) and gone_tokens == len(tokens)
    if done:
        draft.of_kind(kind).drop(name)
    else:
        draft.of_kind(kind).put(name, msgspec.structs.replace(resource, mark=Mark.DELETING))
    return Deleted(gone_hosts, gone_tokens, done)


def has_hosts(draft: RegistryTransaction, kind: Kind, name: str) -> bool:
    """Say whether hosts, whoever has written them, refer to this account or lie in this zone."""
    return kind is not Kind.HOST and next(_hosts_of(draft, kind, name), None) is not None


def _refuse_hosts(
    draft: RegistryTransaction,
    kind: Kind,
    name: str,
    hosts: Sequence[str],
    *,
    cascade: bool,
    writer: Origin | None,
) -> None:
    """Refuse a deletion because of the hosts that would go along."""
    title = f"{kind.value.lower()} {name}"
    if hosts and not cascade:
        message = f"{title} still has {Kind.HOST.counted(len(hosts))}: delete them first, or use --cascade"
        raise RefusedError(message, Reason.HAS_HOSTS, count=len(hosts))
    managed = [host for host in hosts if is_anothers(draft, draft.hosts.get(host), writer)]
    if managed:
        count = Kind.HOST.counted(len(managed))
        message = f"{title} has {count} that Kubernetes manages: delete them there with kubectl"
        raise RefusedError(message, Reason.HAS_HOSTS, count=len(managed))


def _delete_hosts(draft: RegistryTransaction, names: list[str]) -> int:
    """Put as many deletions into the draft as surely fit, beside that of the whole; return how many."""
    for count, name in enumerate(names):
        if not draft.fits(_HOST_COST + draft.given(name) + 1):
            return count
        _delete_host(draft, name)
    return len(names)


def _delete_tokens(draft: RegistryTransaction, names: list[str]) -> int:
    for count, name in enumerate(names):
        if not draft.fits(1 + 1):
            return count
        draft.tokens.drop(name)
    return len(names)


def _delete_host(draft: RegistryTransaction, name: str) -> None:
    host = draft.hosts.get(name)
    for family in host.spec.families if host else ():
        draft.withdraw(RecordKey(name, family))
    draft.withdraw(RecordKey(name, Challenge.TXT))
    draft.forget(name)
    draft.hosts.drop(name)


def _hosts_of(draft: RegistryTransaction, kind: Kind, name: str) -> Iterator[str]:
    """Yield the hosts that cannot be without the resource; a host itself is one."""
    if kind is Kind.HOST:
        yield name
    elif kind is Kind.ZONE:
        yield from draft.hosts_in(name)
    elif kind is Kind.ACCOUNT:
        yield from draft.hosts_of(name)


def _tokens_of(draft: RegistryTransaction, kind: Kind, name: str, writer: Origin | None) -> Iterator[str]:
    """Yield the tokens that go with the resource: an account's, or the one of a token's former secret."""
    if kind is Kind.TOKEN and draft.tokens.get(previous_name(name)):
        yield previous_name(name)
    elif kind is Kind.ACCOUNT:
        for token in draft.tokens_of(name):
            if not is_anothers(draft, draft.tokens.get(token), writer):
                yield token


def judge(draft: RegistryTransaction, name: str, host: Resource[HostSpec], zone: str) -> None:
    """Check that a host may be made, or given to its account, beside those of others.

    What Kubernetes has is refused; the admin API is the operator's, and is warned.

    Raises:
        RefusedError: the name is reserved, or lies above or below the host of another account.
    """
    spec = draft.zones.get(zone)
    assert spec is not None
    label, reserved = name.partition(".")[0], spec.spec.reserved
    if label in (RESERVED if reserved is None else reserved):
        remedy = f"choose another name, or write spec.reserved of Zone {zone} without it"
        message = f"{label} is a reserved label, as programs look for it; {remedy}"
        _object(draft, name, host, message, Reason.NAME_RESERVED)
    if not spec.spec.nested and (other := next(_others(draft, name, host, zone), None)) is not None:
        where = f"below {other}," if is_below(name, other) else "above"
        remedy = f"choose another name, or write nested: true in Zone {zone}"
        message = f"it lies {where} a host of another account; {remedy}"
        _object(draft, name, host, message, Reason.NAME_NESTED)
    draft.settle(name, zone)


def _object(
    draft: RegistryTransaction, name: str, host: Resource[HostSpec], message: str, reason: Reason
) -> None:
    if host.origin is not None:
        raise RefusedError(f"{name}: {message}", reason)
    draft.warn(name, message)


def _others(draft: RegistryTransaction, name: str, host: Resource[HostSpec], zone: str) -> Iterator[str]:
    """Yield the hosts of other accounts that lie above or below the name, in its zone."""
    for each in _along(draft, name, zone):
        other = draft.hosts.get(each)
        if other is not None and other.spec.account != host.spec.account:
            yield each


def _along(draft: RegistryTransaction, name: str, zone: str) -> Iterator[str]:
    for above in ancestors(name.partition(".")[2]):
        if above == zone:
            break
        yield above
    for below in draft.state.hosts_from(name, draft.zones):
        if below != name:
            yield below
    yield from draft.settled_below(name)


# Keys that the put of one document compares or writes, at most: a host with its records and its last
# refresh; or a token with its former secret, and one that it takes the secret from, with its own.
PUT_COST = max(1 + len(RRTYPES) + 1, 4)
NOBODY: Mapping[str, str] = {}


def put(
    draft: RegistryTransaction,
    document: Document,
    nameservers: Collection[str],
    others: Mapping[str, str] = NOBODY,
    *,
    imported: bool = False,
) -> Result:
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
        return Result.UNCHANGED
    match spec:
        case ZoneSpec():
            _put_zone(draft, name, Resource(spec, origin=origin), nameservers)
        case AccountSpec():
            draft.accounts.put(name, Resource(spec, origin=origin))
        case HostSpec():
            _put_host(draft, name, Resource(spec, origin=origin), imported=imported)
        case TokenSpec():
            _put_token(draft, name, Resource(spec, origin=origin), others)
    return Result.CREATED if old is None else Result.CONFIGURED


def secrets_after(documents: Iterable[Document]) -> Mapping[str, str]:
    """Return the digests that these tokens have once all are put, by name."""
    return {each.name: each.spec.sha256 for each in documents if isinstance(each.spec, TokenSpec)}


def _leans_on_held(draft: RegistryTransaction, name: str, spec: Spec) -> bool:
    zone = draft.zones.get(draft.zone_of(name) or "") if isinstance(spec, HostSpec) else None
    account = draft.accounts.get(spec.account) if isinstance(spec, HostSpec | TokenSpec) else None
    return (zone is not None and zone.held) or (account is not None and account.held)


def _put_zone(
    draft: RegistryTransaction, name: str, zone: Resource[ZoneSpec], nameservers: Collection[str]
) -> None:
    nameserver = zone.spec.nameserver
    if nameserver not in nameservers:
        message = f"{nameserver!r} is not under `nameservers` in config.yaml; "
        problem = Problem("spec.nameserver", message + did_you_mean(nameserver, nameservers))
        raise InvalidDocumentError(problem, reason=Reason.UNKNOWN_NAMESERVER)
    above = draft.zone_of(name)
    if above is not None and above != name and (taken := _taken_over(draft, name, above)):
        count = Kind.HOST.counted(len(taken))
        message = f"zone {name} would take {count} over from zone {above}: delete them first"
        raise RefusedError(message, Reason.TAKES_HOSTS_OVER, count=len(taken))
    draft.zones.put(name, zone)


def _taken_over(draft: RegistryTransaction, zone: str, above: str) -> set[str]:
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


def _put_host(draft: RegistryTransaction, name: str, host: Resource[HostSpec], *, imported: bool) -> None:
    zone = _zone_for(draft, name)
    _refer_to_account(draft, host.spec.account, host.origin)
    _refuse_leaving(draft, name, zone)
    old = draft.hosts.get(name)
    if not imported and (old is None or old.spec.account != host.spec.account):
        judge(draft, name, host, zone)
    if old is not None:
        _withdraw_lost(draft, name, old.spec, host.spec)
    if host.spec.expires_after is None:
        draft.forget(name)
    elif old is None or old.spec.expires_after != host.spec.expires_after:
        draft.sight(name)
    draft.hosts.put(name, host)


def _zone_for(draft: RegistryTransaction, name: str) -> str:
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


def _withdraw_lost(draft: RegistryTransaction, name: str, old: HostSpec, new: HostSpec) -> None:
    """Withdraw the addresses that are not the new host's: another owner inherits none."""
    kept = set(new.families) if old.account == new.account else set()
    for family in old.families:
        if family not in kept:
            draft.withdraw(RecordKey(name, family))
    if old.account != new.account:
        draft.withdraw(RecordKey(name, Challenge.TXT))


def _refuse_leaving(draft: RegistryTransaction, name: str, zone: str) -> None:
    for type in RRTYPES:
        entry = draft.state.addresses.get(RecordKey(name, type))
        if entry is not None and entry.value.is_tombstone and entry.value.zone != zone:
            message = f"{name}: its records are still being removed from zone {entry.value.zone}: try again"
            raise RefusedError(message, Reason.STILL_LEAVING)


def _put_token(
    draft: RegistryTransaction, name: str, token: Resource[TokenSpec], others: Mapping[str, str]
) -> None:
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


def _take_secret(draft: RegistryTransaction, holder: str, writer: Origin | None) -> None:
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


def _refer_to_account(draft: RegistryTransaction, name: str, origin: Origin | None) -> None:
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
