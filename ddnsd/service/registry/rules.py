"""What a resource may be, given all the others. Pure: judges and fills a draft."""

from collections.abc import Collection
from enum import StrEnum

from ...config.mistakes import did_you_mean
from ...model.addresses import Family
from ...model.names import is_below
from ...model.records import Mark, RecordKey, Resource
from ...model.resources import AccountSpec, HostSpec, Kind, Spec, TokenSpec, ZoneSpec
from ..documents import Document
from ..problems import InvalidDocumentError, Problem
from .draft import Draft
from .errors import RefusedError

PUT_COST = 1 + len(Family)  # keys that the put of one document compares or writes, at most


class Written(StrEnum):
    """What came of a put."""

    CREATED = "created"
    CONFIGURED = "configured"
    UNCHANGED = "unchanged"


def put(draft: Draft, document: Document, nameservers: Collection[str]) -> Written:
    """Put one document into the draft.

    Raises:
        InvalidDocumentError: it refers to what is not there.
        RefusedError: another resource stands in the way.
    """
    old = draft.of_kind(document.kind).get(document.name)
    if old == Resource(document.spec):
        return Written.UNCHANGED
    match document.spec:
        case ZoneSpec():
            _put_zone(draft, document.name, document.spec, nameservers)
        case AccountSpec():
            draft.accounts.put(document.name, document.spec)
        case HostSpec():
            _put_host(draft, document.name, document.spec)
        case TokenSpec():
            _put_token(draft, document.name, document.spec)
    return Written.CREATED if old is None else Written.CONFIGURED


def _put_zone(draft: Draft, name: str, spec: ZoneSpec, nameservers: Collection[str]) -> None:
    if spec.nameserver not in nameservers:
        remedy = did_you_mean(spec.nameserver, nameservers)
        message = f"{spec.nameserver!r} is not under `nameservers` in config.yaml; {remedy}"
        raise InvalidDocumentError(Problem("spec.nameserver", message))
    above = draft.zone_of(name)
    if above is not None and above != name and (taken := _taken_over(draft, name, above)):
        message = f"zone {name} would take {_hosts(len(taken))} over from zone {above}: delete them first"
        raise RefusedError(message, count=len(taken))
    draft.zones.put(name, spec)


def _taken_over(draft: Draft, zone: str, above: str) -> set[str]:
    """Return the hosts that a new zone would take from the one above it.

    A name whose records are still to leave the zone above counts too. Without a zone above there is
    none: each host lies in a zone, and one that lies in a zone below the new one stays there.
    """
    hosts = {name for name in draft.state.hosts_in(above) if name == zone or is_below(name, zone)}
    leaving = {
        record.name
        for record, entry in draft.state.addresses.items()
        if entry.value.zone == above and (record.name == zone or is_below(record.name, zone))
    }
    return hosts | leaving


def _put_host(draft: Draft, name: str, spec: HostSpec) -> None:
    zone = draft.zone_of(name)
    if zone is None:
        message = f"{name} lies in no zone: apply its Zone first"
        raise InvalidDocumentError(Problem("metadata.name", message))
    if zone == name:
        message = f"{name} is a zone's apex: a host lies below it"
        raise InvalidDocumentError(Problem("metadata.name", message))
    _refuse_deleting(draft.zones.get(zone), Kind.ZONE, zone)
    _refer_to_account(draft, spec.account)
    _refuse_leaving(draft, name, zone)
    old = draft.hosts.get(name)
    if old is not None:
        _withdraw_lost(draft, name, old.spec, spec)
    draft.hosts.put(name, spec)


def _withdraw_lost(draft: Draft, name: str, old: HostSpec, new: HostSpec) -> None:
    """Withdraw the addresses that are not the new host's: another owner inherits none."""
    kept = set(new.families) if old.account == new.account else set()
    for family in old.families:
        if family not in kept:
            draft.withdraw(RecordKey(name, family))


def _refuse_leaving(draft: Draft, name: str, zone: str) -> None:
    for family in Family:
        entry = draft.state.addresses.get(RecordKey(name, family))
        if entry is not None and entry.value.is_tombstone and entry.value.zone != zone:
            left = entry.value.zone
            raise RefusedError(f"{name}: its records are still being removed from zone {left}: try again")


def _put_token(draft: Draft, name: str, spec: TokenSpec) -> None:
    _refer_to_account(draft, spec.account)
    holder = draft.holder(spec.sha256)
    if holder is not None and holder != name:
        raise RefusedError(f"token {holder} has the same secret: every token has one of its own")
    draft.put_token(name, spec)


def _refer_to_account(draft: Draft, name: str) -> None:
    account = draft.accounts.get(name)
    if account is None:
        message = f"there is no Account {name}: apply it first, or in the same call"
        raise InvalidDocumentError(Problem("spec.account", message))
    _refuse_deleting(account, Kind.ACCOUNT, name)


def _refuse_deleting(resource: Resource[Spec] | None, kind: Kind, name: str) -> None:
    if resource is not None and resource.mark is Mark.DELETING:
        what = f"{kind.value.lower()} {name}"
        raise RefusedError(
            f"{what} is being deleted: delete it again to finish, or apply it again to keep it"
        )


def _hosts(count: int) -> str:
    return "1 host" if count == 1 else f"{count} hosts"
