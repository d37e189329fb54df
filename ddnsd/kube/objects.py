"""Custom resources as the API server sends them."""

from typing import Any, NamedTuple

import msgspec

from ddnsd.kube.api import ApiResource, Object
from ddnsd.kube.status import CONDITION_TYPES, STATUSES, ObjectStatus
from ddnsd.model.resources import API_VERSION, Kind

MANAGER = "ddnsd"  # who writes a field, in server-side apply
GROUP, VERSION = API_VERSION.split("/")
RESOURCES = {
    kind: ApiResource(GROUP, VERSION, kind.plural, namespaced=kind is not Kind.ZONE) for kind in Kind
}


class Ref(NamedTuple):
    """Which object. `namespace` is "" for a Zone."""

    kind: Kind
    namespace: str
    name: str

    def __str__(self) -> str:
        place = f"{self.namespace}/" if self.namespace else ""
        return f"{self.kind} {place}{self.name}"


class Custom(NamedTuple):
    """One object. `spec` is as the user wrote it, with the API server's defaults.

    `unreadable` says why it cannot be read, and is empty: then it is there, and means nothing.
    """

    ref: Ref
    uid: str
    generation: int
    spec: dict[str, Any]
    status: ObjectStatus  # as it was written last; empty where that cannot be read
    unreadable: str = ""


class _SecretRef(msgspec.Struct, frozen=True):
    name: str
    key: str = ""


class _Extra(msgspec.Struct, frozen=True, rename="camel"):
    """What is read of a spec where only Kubernetes has it; the rest is validated with the document."""

    namespaces: tuple[str, ...] | None = None
    namespace_patterns: dict[str, tuple[str, ...]] | None = None
    secret_ref: _SecretRef | None = None


_EMPTY = msgspec.Raw(b"{}")


def read_custom(kind: Kind, object: Object) -> Custom:
    """Read one object of a list or a watch."""
    fields, metadata = object.decode(dict[str, msgspec.Raw]), object.metadata
    spec, status = fields.get("spec", _EMPTY), _status(kind, fields.get("status", _EMPTY))
    made = Custom(Ref(kind, *object.key), metadata.uid, metadata.generation, {}, status)
    try:
        msgspec.json.decode(spec, type=_Extra)
    except msgspec.ValidationError as error:  # of a definition that is not ours
        return made._replace(unreadable=str(error))
    return made._replace(spec=msgspec.json.decode(spec))


def _status(kind: Kind, raw: msgspec.Raw) -> ObjectStatus:
    try:
        status = msgspec.json.decode(raw, type=STATUSES[kind])
    except msgspec.ValidationError:  # another version's: it is written again
        return STATUSES[kind]()
    ours = tuple(condition for condition in status.conditions if condition.type in CONDITION_TYPES)
    return msgspec.structs.replace(status, conditions=ours)  # others may have conditions of their own there
