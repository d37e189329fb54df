"""Objects and events of the API server, and its errors: metadata is read, the rest is the caller's.

https://kubernetes.io/docs/reference/using-api/api-concepts/

KubeError                   itself: an answer that cannot be read, as it is not JSON, or longer than allowed
├── ApiUnavailableError     no answer in time, a 429 or a 5xx: try later; but for a 429, a write may have
│                           been done all the same
└── ApiRefusedError         4xx: nothing was done; `code` is HTTP's, `reason` the Status's
    ├── ForbiddenError        RBAC, or admission, does not allow it
    ├── ObjectNotFoundError   there is no such object
    │   └── NotServedError      there is no such resource: its CRD is not installed
    ├── ConflictError         another field manager owns a field, or a precondition fails
    │   └── AlreadyExistsError
    └── ExpiredError          the resourceVersion is too old: list again
"""

from collections.abc import Iterable
from typing import Any, Literal, NamedTuple, TypeVar

import msgspec


class KubeError(Exception):
    """Any failure that this package raises; its text holds no token and no secret's content."""


class ApiUnavailableError(KubeError):
    """The API server did not answer, or not as one that has time for it.

    `retry_after` is in seconds, 0 if it did not say.
    """

    def __init__(self, message: str, retry_after: float = 0.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class ApiRefusedError(KubeError):
    """The API server looked at the request and refused it."""

    def __init__(self, message: str, code: int = 0, reason: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason


class ForbiddenError(ApiRefusedError):
    """The token's user is not allowed to do this."""


class ObjectNotFoundError(ApiRefusedError):
    """There is no such object."""


class NotServedError(ObjectNotFoundError):
    """The API server does not know the resource."""


class ConflictError(ApiRefusedError):
    """Another manager owns fields, or the object is not the one that was meant."""


class AlreadyExistsError(ConflictError):
    """An object of this name is there."""


class ExpiredError(ApiRefusedError):
    """History has been forgotten up to a later resourceVersion, or a list's `continue` is too old."""


class _Status(msgspec.Struct, frozen=True):
    """meta/v1 Status: how the API server reports a failure."""

    kind: str = ""
    message: str = ""
    reason: str = ""
    code: int = 0


_BY_CODE: dict[int, type[ApiRefusedError]] = {
    403: ForbiddenError,
    404: ObjectNotFoundError,
    409: ConflictError,
    410: ExpiredError,
}
_STATUS = msgspec.json.Decoder(_Status)


def failure(code: int, body: bytes, what: str, *, retry_after: str = "", silent: bool = False) -> KubeError:
    """Return the error for an answer that is not a success; `what` names the request.

    `silent` leaves the server's own message out, where it might quote from a secret.
    """
    try:
        status = _STATUS.decode(body)
    except msgspec.DecodeError:  # of a proxy, or of a path that is not served
        status = _Status()
    detail = "" if silent else status.message
    text = f"{what}: {code} {status.reason}".rstrip() + (f": {detail}" if detail else "")
    if code == 429:
        return ApiUnavailableError(text, float(retry_after) if retry_after.isdecimal() else 0.0)
    if code >= 500 or code < 400:
        return ApiUnavailableError(text)
    return _refusal(code, status)(text, code, status.reason)


def _refusal(code: int, status: _Status) -> type[ApiRefusedError]:
    if code == 404 and status.kind != "Status":
        return NotServedError  # "404 page not found": no handler has this path
    if status.reason == "AlreadyExists":
        return AlreadyExistsError
    return _BY_CODE.get(code, ApiRefusedError)


T = TypeVar("T")


class OwnerReference(msgspec.Struct, frozen=True, rename="camel"):
    """An owner of the object; the garbage collector deletes the object after its owners."""

    name: str
    uid: str


class ObjectMeta(msgspec.Struct, frozen=True, rename="camel"):
    """The part of meta/v1 ObjectMeta that controllers need."""

    name: str = ""
    namespace: str = ""
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    labels: dict[str, str] = {}
    owner_references: tuple[OwnerReference, ...] = ()


class Key(NamedTuple):
    """The name of one object among all of its resource; a cluster-wide one has the namespace ""."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}" if self.namespace else self.name


class Object(NamedTuple):
    """One object: its metadata, and all of it as JSON."""

    metadata: ObjectMeta
    json: bytes

    @property
    def key(self) -> Key:
        """Namespace and name."""
        return Key(self.metadata.namespace, self.metadata.name)

    def decode(self, shape: type[T]) -> T:
        """Return it as the caller's own type.

        Raises:
            msgspec.ValidationError: the object does not have that shape.
        """
        return msgspec.json.decode(self.json, type=shape)

    def document(self) -> dict[str, Any]:
        """Return it as a dictionary."""
        return self.decode(dict[str, Any])


EventKind = Literal["ADDED", "MODIFIED", "DELETED", "BOOKMARK"]


class WatchEvent(NamedTuple):
    """One change. A deleted object has its last content, a bookmark's only a resourceVersion."""

    kind: EventKind
    object: Object


class _Envelope(msgspec.Struct, frozen=True):
    metadata: ObjectMeta = ObjectMeta()


class _ListMetadata(msgspec.Struct, frozen=True, rename="camel"):
    resource_version: str
    rest: str = msgspec.field(default="", name="continue")


class _List(msgspec.Struct, frozen=True):
    metadata: _ListMetadata
    items: list[msgspec.Raw]


class _Event(msgspec.Struct, frozen=True):
    type: EventKind | Literal["ERROR"]
    object: msgspec.Raw


_ENVELOPE = msgspec.json.Decoder(_Envelope)
_LIST = msgspec.json.Decoder(_List)
_EVENT = msgspec.json.Decoder(_Event)


def decode_object(text: bytes | msgspec.Raw) -> Object:
    """Read one object.

    Raises:
        KubeError: the text is not one.
    """
    try:
        return Object(_ENVELOPE.decode(text).metadata, bytes(text))
    except msgspec.DecodeError as error:
        raise KubeError(f"not an object: {error}") from None


def decode_page(text: bytes) -> tuple[str, tuple[Object, ...], str]:
    """Read a page of a list: its resourceVersion, which all pages show, its objects, and what continues it.

    That is "" on the last page.

    Raises:
        KubeError: the text is not one.
    """
    try:
        page = _LIST.decode(text)
    except msgspec.DecodeError as error:
        raise KubeError(f"not a list: {error}") from None
    metadata = page.metadata
    return metadata.resource_version, tuple(map(decode_object, page.items)), metadata.rest


def decode_events(lines: Iterable[bytes], what: str) -> tuple[WatchEvent, ...]:
    """Read a watch's lines; `what` names the watch in errors.

    Raises:
        ExpiredError: the API server no longer keeps the watch's resourceVersion.
        KubeError: the watch ended with another failure, or a line is not an event.
    """
    return tuple(_decode_event(line, what) for line in lines)


def _decode_event(line: bytes, what: str) -> WatchEvent:
    try:
        event = _EVENT.decode(line)
        if event.type == "ERROR":
            raise _error(event.object, what)
        return WatchEvent(event.type, decode_object(event.object))
    except msgspec.DecodeError as error:
        raise KubeError(f"{what}: not an event: {error}") from None


def _error(text: msgspec.Raw, what: str) -> KubeError:
    status = _STATUS.decode(text)
    # For 410, etcd's store says "Expired" and the watch cache says "Gone".
    if status.reason in ("Expired", "Gone"):
        return ExpiredError(f"{what}: {status.message}", 410, status.reason)
    return failure(status.code, bytes(text), what)
