"""Custom resources as the documents that go into the store.

What an object's `status` says: the conditions, and for a host its addresses.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import msgspec

from ddnsd.kube.crd import EXTRA, SECRET_KEY
from ddnsd.kube.objects import Custom, Ref
from ddnsd.kube.status import (
    STATUSES,
    ConditionType,
    ConditionValue,
    HostObjectStatus,
    ObjectStatus,
    Publication,
    TokenObjectStatus,
    conditions,
)
from ddnsd.model.addresses import Family
from ddnsd.model.records import is_name_in_use
from ddnsd.model.resources import HostSpec, Kind, Origin, Spec, TokenSpec, qualified
from ddnsd.model.state import State
from ddnsd.service.documents import Document, InvalidDocumentError, crowding, read_name, read_spec
from ddnsd.service.status import RecordStatus, address_statuses

ALL = "*"  # in `Zone.spec.namespaces`


class TokenSecret(NamedTuple):
    """A key of a Secret in a Token's namespace. `own`: ddnsd makes the Secret.

    `uid` is the Token's: another object of the same name has another Secret.
    """

    token: Ref
    uid: str
    name: str
    key: str
    own: bool


def document_of(custom: Custom, source: str, digest: str = "") -> Document:
    """Return the document of an object. Names in it are those of its own namespace.

    `digest` is the SHA-256 of a Token's secret where its spec does not have it.

    Raises:
        InvalidDocumentError: with all of the object's problems.
    """
    kind, namespace, _ = custom.ref
    origin = Origin(source, namespace)
    raw = {key: value for key, value in custom.spec.items() if key not in EXTRA[kind]}
    if kind is Kind.TOKEN and digest:
        raw["sha256"] = digest
    spec, name = _in_namespace(read_spec(kind, raw), origin), stored_name(custom, source)
    if problems := tuple(crowding(name, spec)):
        raise InvalidDocumentError(*problems)
    return Document(kind, name, spec, origin)


def stored_name(custom: Custom, source: str) -> str:
    """Return what the object is called in the store.

    Raises:
        InvalidDocumentError: nothing of its kind can have its name.
    """
    kind, namespace, name = custom.ref
    name = read_name(kind, name)
    return qualified(Origin(source, namespace), name) if kind in (Kind.ACCOUNT, Kind.TOKEN) else name


def namespaces_of(zone: Custom) -> Sequence[str]:
    """Return the namespaces whose hosts may lie in a zone."""
    return zone.spec.get("namespaces") or ()


def is_open_to(zone: Custom, namespace: str, host: str) -> bool:
    """Say whether hosts of a namespace, or only this one by its name, may lie in a zone."""
    allowed = namespaces_of(zone)
    if namespace in allowed or ALL in allowed:
        return True
    relative = host.removesuffix("." + zone.ref.name)
    patterns = (zone.spec.get("namespacePatterns") or {}).get(namespace) or ()
    return any(_matches(relative, pattern) for pattern in patterns)


def _matches(relative: str, pattern: str) -> bool:
    """Compare a name with a pattern, both relative to a zone: a leading `*` stands for one label or more."""
    if pattern == ALL:
        return True
    if pattern.startswith("*."):
        return relative.endswith(pattern[1:])
    return relative == pattern


def secret_of(custom: Custom) -> TokenSecret | None:
    """Return where a Token's secret is, None where its digest stands in the spec, and of other kinds."""
    if custom.ref.kind is not Kind.TOKEN or custom.unreadable or "sha256" in custom.spec:
        return None
    if ref := custom.spec.get("secretRef"):
        return TokenSecret(custom.ref, custom.uid, ref["name"], ref.get("key", SECRET_KEY), own=False)
    return TokenSecret(custom.ref, custom.uid, f"ddnsd-token-{custom.ref.name}", SECRET_KEY, own=True)


def follows_unlabelled(custom: Custom) -> bool:
    """Say whether a Token follows the Secret that it names without the label that lets it.

    One does that was accepted before labels were asked for, as long as it names that Secret and that key: its
    status says so, which the controller alone writes. To be removed in 0.2.
    """
    secret, status = secret_of(custom), custom.status
    if secret is None or secret.own or not isinstance(status, TokenObjectStatus):
        return False
    if status.secret_name != secret.name:
        return False
    if status.secret_key:
        return status.follows_unlabelled and status.secret_key == secret.key
    return any(
        (each.type, each.status, each.observed_generation)
        == (ConditionType.ACCEPTED, "True", custom.generation)
        for each in status.conditions
    )


def _in_namespace(spec: Spec, origin: Origin) -> Spec:
    """Return the spec with the account of the object's own namespace."""
    if isinstance(spec, (HostSpec, TokenSpec)):
        return msgspec.structs.replace(spec, account=qualified(origin, spec.account))
    return spec


Addresses = Mapping[Family, RecordStatus]

# What is no error, and what `kubectl get` shows of it.
_SHORT: dict[str, str] = {Publication.NO_ADDRESS: "no address", Publication.PENDING: "pending"}


def status_of(
    custom: Custom,
    accepted: ConditionValue,
    warnings: Sequence[ConditionValue],
    state: State,
    source: str,
    now: datetime,
) -> ObjectStatus:
    """Return the whole status of an object, given what was found of its acceptance, and beside it."""
    kind = custom.ref.kind
    if kind is Kind.HOST:
        return _host(custom, accepted, state, source, now)
    findings = [accepted, *warnings, _ready(accepted)]
    said = conditions(findings, custom.status.conditions, custom.generation, now)
    installation = installation_of(state)
    if kind is Kind.TOKEN:
        secret = secret_of(custom)
        return TokenObjectStatus(
            observed_generation=custom.generation,
            installation=installation,
            conditions=said,
            secret_name=secret.name if secret else "",
            secret_key=secret.key if secret else "",
            follows_unlabelled=follows_unlabelled(custom),
        )
    return STATUSES[kind](observed_generation=custom.generation, installation=installation, conditions=said)


def installation_of(state: State) -> str:
    """Return the id of the installation whose state it is."""
    return next((entry.value.id for entry in state.installation.values()), "")


def _host(
    custom: Custom, accepted: ConditionValue, state: State, source: str, now: datetime
) -> HostObjectStatus:
    addresses: Addresses = {}
    if _is_of(state, custom, source):
        addresses = address_statuses(state, custom.ref.name)
    published = _published(addresses)
    findings = [accepted, published, _ready(accepted, published)]
    said = conditions(findings, custom.status.conditions, custom.generation, now)
    return HostObjectStatus(
        observed_generation=custom.generation,
        installation=installation_of(state),
        conditions=said,
        address=", ".join(record.ip for record in addresses.values()),
        family=", ".join(addresses),
        changed=max((record.changed for record in addresses.values()), default=None),
        published="yes" if published.holds else _in_short(published, accepted),
        A=addresses.get(Family.A),
        AAAA=addresses.get(Family.AAAA),
    )


def _ready(accepted: ConditionValue, published: ConditionValue | None = None) -> ConditionValue:
    """Return whether all is well: accepted, and of a host nothing refused; what is only pending is well."""
    if not accepted.holds:
        return accepted._replace(type=ConditionType.READY)
    if published is not None and published.reason == Publication.REFUSED:
        return published._replace(type=ConditionType.READY)
    return ConditionValue(ConditionType.READY, holds=True, reason="Ready", message="nothing is refused")


def _is_of(state: State, host: Custom, source: str) -> bool:
    """Say whether the host in the store is this object's, and not another's of the same name."""
    entry = state.hosts.get(host.ref.name)
    return entry is not None and entry.value.origin == Origin(source, host.ref.namespace)


def _published(addresses: Addresses) -> ConditionValue:
    def found(reason: Publication, message: str) -> ConditionValue:
        return ConditionValue(ConditionType.PUBLISHED, reason is Publication.PUBLISHED, reason, message)

    if not addresses:
        return found(Publication.NO_ADDRESS, "no client has sent an address yet, or it was withdrawn")
    errors = [f"{family}: {record.error}" for family, record in addresses.items() if record.error]
    if any(is_name_in_use(record.error) for record in addresses.values()):
        return found(Publication.NAME_IN_USE, "; ".join(errors))
    if errors:
        return found(Publication.REFUSED, "; ".join(errors))
    if any(record.published is None for record in addresses.values()):
        return found(Publication.PENDING, "the nameserver does not have it yet")
    return found(Publication.PUBLISHED, "the nameserver has it")


def _in_short(published: ConditionValue, accepted: ConditionValue) -> str:
    if not accepted.holds:
        return f"no: {accepted.reason}"
    return _SHORT.get(published.reason, published.message)


def is_error(status: ObjectStatus) -> bool:
    """Say whether somebody should look: such a status is written before the others."""
    return any(
        condition.status == "False" and condition.reason not in _SHORT for condition in status.conditions
    )


def to_write(status: ObjectStatus) -> dict[str, Any]:
    """Return the status as JSON values; what is absent is left out, as null is no value there."""
    values: dict[str, Any] = _without_null(msgspec.to_builtins(status))
    return values


def _without_null(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_null(item) for key, item in value.items() if item is not None}
    return value
