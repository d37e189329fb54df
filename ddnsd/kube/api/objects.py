"""Objects and events as the API server tells them: their metadata is read, the rest is the caller's."""

from collections.abc import Iterable
from enum import Enum
from typing import Any, NamedTuple, TypeVar

import msgspec

from ddnsd.kube.api.errors import ExpiredError, KubeError, MalformedError, Status, failure

T = TypeVar("T")


class Owner(msgspec.Struct, frozen=True, rename="camel"):
    """Whose object it is; the garbage collector deletes it after its owners."""

    api_version: str
    kind: str
    name: str
    uid: str
    controller: bool = False


class Metadata(msgspec.Struct, frozen=True, rename="camel"):
    """meta/v1 ObjectMeta, as far as controllers need it. Times are RFC 3339 texts."""

    name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    creation_timestamp: str = ""
    deletion_timestamp: str = ""
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    owner_references: tuple[Owner, ...] = ()


class Key(NamedTuple):
    """What one object is called among all of its resource; cluster-wide ones have the namespace ""."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}" if self.namespace else self.name


class Object(NamedTuple):
    """One object: its metadata, and all of it as JSON."""

    metadata: Metadata
    json: bytes

    @property
    def key(self) -> Key:
        """Namespace and name."""
        return Key(self.metadata.namespace, self.metadata.name)

    def decode(self, shape: type[T]) -> T:
        """Return it as the caller's own type.

        Raises:
            msgspec.ValidationError: it is not of that shape.
        """
        return msgspec.json.decode(self.json, type=shape)

    def document(self) -> dict[str, Any]:
        """Return it as a dictionary."""
        return self.decode(dict[str, Any])


class EventKind(Enum):
    """What a watch tells. A bookmark's object has a resourceVersion only."""

    ADDED = "ADDED"
    MODIFIED = "MODIFIED"
    DELETED = "DELETED"
    BOOKMARK = "BOOKMARK"


class Event(NamedTuple):
    """One change; a deleted object is as it was last."""

    kind: EventKind
    object: Object


class Page(NamedTuple):
    """A part of a list. `rest` continues it, "" at its end; all pages are of one resourceVersion."""

    resource_version: str
    rest: str
    objects: tuple[Object, ...]


class _Envelope(msgspec.Struct, frozen=True):
    metadata: Metadata = Metadata()


class _ListMetadata(msgspec.Struct, frozen=True, rename="camel"):
    resource_version: str
    rest: str = msgspec.field(default="", name="continue")


class _List(msgspec.Struct, frozen=True):
    metadata: _ListMetadata
    items: list[msgspec.Raw]


class _Event(msgspec.Struct, frozen=True):
    type: str
    object: msgspec.Raw


_ENVELOPE = msgspec.json.Decoder(_Envelope)
_LIST = msgspec.json.Decoder(_List)
_EVENT = msgspec.json.Decoder(_Event)
_STATUS = msgspec.json.Decoder(Status)
_KINDS = {kind.value: kind for kind in EventKind}


def decode_object(text: bytes | msgspec.Raw) -> Object:
    """Read one object.

    Raises:
        MalformedError: it is none.
    """
    try:
        return Object(_ENVELOPE.decode(text).metadata, bytes(text))
    except msgspec.DecodeError as error:
        raise MalformedError(f"no object: {error}") from None


def decode_page(text: bytes) -> Page:
    """Read a list, or a part of one.

    Raises:
        MalformedError: it is none.
    """
    try:
        page = _LIST.decode(text)
    except msgspec.DecodeError as error:
        raise MalformedError(f"no list: {error}") from None
    metadata = page.metadata
    return Page(metadata.resource_version, metadata.rest, tuple(map(decode_object, page.items)))


def decode_events(lines: Iterable[bytes], what: str) -> tuple[Event, ...]:
    """Read a watch's lines; `what` names the watch in errors.

    Raises:
        ExpiredError: the watch's resourceVersion is no longer kept.
        KubeError: the watch has ended with another failure.
        MalformedError: a line is no event.
    """
    return tuple(_decode_event(line, what) for line in lines)


def _decode_event(line: bytes, what: str) -> Event:
    try:
        event = _EVENT.decode(line)
        if event.type == "ERROR":
            raise _error(event.object, what)
        return Event(_KINDS[event.type], decode_object(event.object))
    except (msgspec.DecodeError, KeyError) as error:
        raise MalformedError(f"{what}: no event: {error}") from None


def _error(text: msgspec.Raw, what: str) -> KubeError:
    status = _STATUS.decode(text)
    # 410 is told as "Expired" by etcd's store and as "Gone" by the watch cache.
    if status.reason in ("Expired", "Gone"):
        return ExpiredError(f"{what}: {status.message}", 410, status.reason)
    return failure(status.code, bytes(text), what)
