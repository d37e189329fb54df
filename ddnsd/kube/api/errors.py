"""What can go wrong between us and the API server (https://kubernetes.io/docs/reference/using-api/api-concepts/).

KubeError
├── UnavailableError      no answer in time, or a 5xx: try later; a write may have been done all the same
│   └── OverloadedError   429: later, and it may say when
├── MalformedError        an answer that cannot be read: not JSON, or longer than allowed
└── RefusedError          4xx: nothing was done; `code` is HTTP's, `reason` the Status's
    ├── UnauthorizedError the token is not accepted
    ├── ForbiddenError    RBAC, or admission, does not allow it
    ├── NotFoundError     there is no such object
    │   └── NotServedError  there is no such resource: its CRD is not installed
    ├── ConflictError     another field manager owns a field, or a precondition fails
    │   └── AlreadyExistsError
    ├── ExpiredError      the resourceVersion is too old: list again
    └── InvalidError      the schema, or a rule of it, refuses the object
"""

import msgspec


class KubeError(Exception):
    """Any failure that this package raises; its text holds no token and no secret's content."""


class UnavailableError(KubeError):
    """The API server did not answer, or not as one that works."""


class OverloadedError(UnavailableError):
    """The API server has too much to do; `retry_after` is in seconds, 0 if it did not say."""

    def __init__(self, message: str, retry_after: float = 0.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class MalformedError(KubeError):
    """The answer is none of the Kubernetes API."""


class RefusedError(KubeError):
    """The API server looked at the request and refused it."""

    def __init__(self, message: str, code: int = 0, reason: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.reason = reason


class UnauthorizedError(RefusedError):
    """The token is missing, over, or by another cluster."""


class ForbiddenError(RefusedError):
    """The token's user is not allowed to do this."""


class NotFoundError(RefusedError):
    """There is no such object."""


class NotServedError(NotFoundError):
    """The API server does not know the resource."""


class ConflictError(RefusedError):
    """Somebody else's fields, or not the object that was meant."""


class AlreadyExistsError(ConflictError):
    """An object of this name is there."""


class ExpiredError(RefusedError):
    """History has been forgotten up to a later resourceVersion, or a list's `continue` is too old."""


class InvalidError(RefusedError):
    """The object breaks its schema."""


class Status(msgspec.Struct, frozen=True):
    """meta/v1 Status: how the API server tells a failure."""

    kind: str = ""
    message: str = ""
    reason: str = ""
    code: int = 0


_BY_CODE: dict[int, type[RefusedError]] = {
    401: UnauthorizedError,
    403: ForbiddenError,
    404: NotFoundError,
    409: ConflictError,
    410: ExpiredError,
    422: InvalidError,
}
_STATUS = msgspec.json.Decoder(Status)


def failure(code: int, body: bytes, what: str, *, retry_after: str = "", silent: bool = False) -> KubeError:
    """Return the error for an answer that is no success; `what` names the request.

    `silent` leaves the server's own message out, where it might quote from a secret.
    """
    status = parse_status(body)
    detail = "" if silent else status.message
    text = f"{what}: {code} {status.reason}".rstrip() + (f": {detail}" if detail else "")
    if code == 429:
        return OverloadedError(text, float(retry_after) if retry_after.isdecimal() else 0.0)
    if code >= 500 or code < 400:
        return UnavailableError(text)
    return _refusal(code, status)(text, code, status.reason)


def parse_status(body: bytes) -> Status:
    """Return the Status of an answer; an empty one where there is none (proxies; paths not served)."""
    try:
        return _STATUS.decode(body)
    except msgspec.DecodeError:
        return Status()


def _refusal(code: int, status: Status) -> type[RefusedError]:
    if code == 404 and status.kind != "Status":
        return NotServedError  # "404 page not found": no handler has this path
    if status.reason == "AlreadyExists":
        return AlreadyExistsError
    return _BY_CODE.get(code, RefusedError)
