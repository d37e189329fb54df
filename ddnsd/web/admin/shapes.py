"""The JSON shapes of the admin API. Answers are encoded from them, and the OpenAPI document is derived."""

from typing import Annotated, Any, Literal

import msgspec

from ddnsd.config.reader import Problem
from ddnsd.model.audit import AuditItem
from ddnsd.model.records import HeldDeletions, Work
from ddnsd.model.resources import API_VERSION, SPECS, Digest, Kind, TokenSpec
from ddnsd.service.archive import Counts
from ddnsd.service.limits import RefusedAttempt
from ddnsd.service.registry import Applied, Restored
from ddnsd.service.status import HistoryItem, HostStatus


class Metadata(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A resource's name: for a Zone or Host the DNS name itself.

    What Kubernetes manages shows its source and namespace, and whether it is held: published as it is,
    without taking updates. It is changed there with kubectl.
    """

    name: str
    source: str | msgspec.UnsetType = msgspec.UNSET
    namespace: str | msgspec.UnsetType = msgspec.UNSET
    held: bool | msgspec.UnsetType = msgspec.UNSET


class ListMetadata(msgspec.Struct, frozen=True, rename={"cursor": "continue"}):
    """`continue` asks for the next page; "" on the last one."""

    cursor: str


class HistoryList(msgspec.Struct, frozen=True):
    """Changes, the newest first."""

    metadata: ListMetadata
    items: tuple[HistoryItem, ...]


class RefusedList(msgspec.Struct, frozen=True):
    """Refused attempts, the newest first."""

    metadata: ListMetadata
    items: tuple[RefusedAttempt, ...]


class AuditList(msgspec.Struct, frozen=True):
    """What was changed of resources, the newest first."""

    metadata: ListMetadata
    items: tuple[AuditItem, ...]


class Failure(msgspec.Struct, frozen=True, omit_defaults=True):
    """Why it was not done.

    `problems` are those of single documents, `hosts` how many hosts stand in the way, `applied` and
    `imported` how far an apply or an import came that ended early.
    """

    error: str
    problems: tuple[Problem, ...] = ()
    hosts: int = 0
    applied: Applied | None = None
    imported: Restored | None = None


class DeletedAnswer(msgspec.Struct, frozen=True):
    """What has gone: the resource, and how many of each kind with it."""

    deleted: str
    hosts: int
    tokens: int


class TakenOverAnswer(msgspec.Struct, frozen=True):
    """Which Namespace has the source's name now."""

    source: str
    uid: str


class ReleasedAnswer(msgspec.Struct, frozen=True):
    """Which Namespace had the source's name, and how many resources are nobody's now."""

    source: str
    uid: str
    resources: Counts


class PrunedAnswer(msgspec.Struct, frozen=True):
    """The deletions that are allowed."""

    source: str
    held: HeldDeletions


class WorkAnswer(msgspec.Struct, frozen=True):
    """What the leader found or did, a line each."""

    zone: str
    work: Work
    findings: tuple[str, ...]


class Drain(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How long to wait, in seconds, for the clients and load balancers to go elsewhere."""

    delay: Annotated[float, msgspec.Meta(ge=0, le=3600)] = 0.0


class DrainedAnswer(msgspec.Struct, frozen=True):
    """The node is not ready any more; `waited`: for how many seconds it was waited until this answer."""

    waited: float


def _envelope(kind: Kind) -> list[tuple[str, Any]]:
    return [("apiVersion", Literal[API_VERSION]), ("kind", Literal[kind.value]), ("metadata", Metadata)]


def _document(kind: Kind) -> type[msgspec.Struct]:
    fields: list[Any] = [*_envelope(kind), ("spec", SPECS[kind])]
    if kind is Kind.HOST:
        fields.append(("status", HostStatus | msgspec.UnsetType, msgspec.UNSET))
    return msgspec.defstruct(kind.value, fields, frozen=True, kw_only=True)


def _list(kind: Kind, document: type[msgspec.Struct]) -> type[msgspec.Struct]:
    name = f"{kind}List"
    fields: list[Any] = [
        ("apiVersion", Literal[API_VERSION]),
        ("kind", Literal[name]),
        ("metadata", ListMetadata),
        ("items", tuple[document, ...]),  # type: ignore[valid-type]
    ]
    return msgspec.defstruct(name, fields, frozen=True)


def _optional(field: msgspec.structs.FieldInfo) -> Any:
    if field.name == "sha256":
        return (field.name, Digest | msgspec.UnsetType, msgspec.UNSET)
    return (field.name, field.type) if field.required else (field.name, field.type, field.default)


DOCUMENTS = {kind: _document(kind) for kind in Kind}
LISTS = {kind: _list(kind, DOCUMENTS[kind]) for kind in Kind}
_NewTokenSpec = msgspec.defstruct(
    "NewTokenSpec", map(_optional, msgspec.structs.fields(TokenSpec)), rename="camel", kw_only=True
)
NewToken = msgspec.defstruct("NewToken", [*_envelope(Kind.TOKEN), ("spec", _NewTokenSpec)])
CreatedToken = msgspec.defstruct(
    "CreatedToken",
    [*_envelope(Kind.TOKEN), ("spec", TokenSpec), ("secret", str | msgspec.UnsetType, msgspec.UNSET)],
    namespace={"__doc__": "`secret` is shown here and never again; absent where it was not made here."},
)
