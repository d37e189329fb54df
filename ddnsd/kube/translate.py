"""Custom resources as the documents that go into the store."""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from ddnsd.kube.crd import EXTRA, SECRET_KEY
from ddnsd.kube.objects import Custom
from ddnsd.kube.status import ConditionType, TokenObjectStatus
from ddnsd.model.resources import HostSpec, Kind, Origin, Spec, TokenSpec, qualified
from ddnsd.service.contradictions import crowding
from ddnsd.service.documents import Document
from ddnsd.service.problems import InvalidDocumentError
from ddnsd.service.specs import read_name, read_spec

ALL = "*"  # in `Zone.spec.namespaces`


class SecretRef(NamedTuple):
    """A key of a Secret in the Token's namespace. `own`: ddnsd makes the Secret."""

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


def secret_of(custom: Custom) -> SecretRef | None:
    """Return where a Token's secret is, None where its digest stands in the spec, and of other kinds."""
    if custom.ref.kind is not Kind.TOKEN or custom.unreadable or "sha256" in custom.spec:
        return None
    if ref := custom.spec.get("secretRef"):
        return SecretRef(ref["name"], ref.get("key", SECRET_KEY), own=False)
    return SecretRef(f"ddnsd-token-{custom.ref.name}", SECRET_KEY, own=True)


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
