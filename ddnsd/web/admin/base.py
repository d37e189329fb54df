"""What the admin API's operations share: tokens and scopes, bodies, routes, failures, shapes of answers.

All answers are JSON, encoded from the shapes. The registry's errors become HTTP failures here and nowhere
else. Operations are functions that return their answer, and say of themselves what OpenAPI shows.
"""

import functools
import hmac
import http
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from enum import StrEnum
from types import MappingProxyType
from typing import Annotated, Any, ClassVar, Literal, NamedTuple

import msgspec
import structlog
from tornado.iostream import StreamClosedError
from tornado.web import HTTPError, RequestHandler, stream_request_body

from ddnsd.config.reader import Problem
from ddnsd.model.audit import AuditItem, Author
from ddnsd.model.records import HeldDeletions, Work
from ddnsd.model.resources import API_VERSION, SPECS, Digest, Kind, TokenSpec, digest
from ddnsd.service.archive import Counts
from ddnsd.service.audit import AuditLog
from ddnsd.service.documents import InvalidDocumentError
from ddnsd.service.limits import RefusedAttempt
from ddnsd.service.registry import (
    ANY,
    Applied,
    NotFoundError,
    PartlyDoneError,
    Precondition,
    PreconditionFailedError,
    RefusedError,
    Registry,
    RegistryError,
    Restored,
    StoreFailedError,
)
from ddnsd.service.status import HistoryItem, HostStatus
from ddnsd.telemetry.metrics import Metrics
from ddnsd.web.http import InFlight
from ddnsd.web.http_connection import HttpConnection
from ddnsd.web.replies import GUARDS


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


def _listing(
    name: str, item: type[msgspec.Struct], description: str = "", *before: tuple[str, Any]
) -> Callable[..., msgspec.Struct]:
    """Return the shape of a page of items; `before` are the fields that it begins with."""
    fields: list[Any] = [*before, ("metadata", ListMetadata), ("items", tuple[item, ...])]  # type: ignore[valid-type]
    namespace = {"__doc__": description} if description else None
    return msgspec.defstruct(name, fields, frozen=True, namespace=namespace)


HistoryList = _listing("HistoryList", HistoryItem, "Changes, the newest first.")
RefusedList = _listing("RefusedList", RefusedAttempt, "Refused attempts, the newest first.")
AuditList = _listing("AuditList", AuditItem, "What was changed of resources, the newest first.")


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


def _header(kind: str) -> list[tuple[str, Any]]:
    return [("apiVersion", Literal[API_VERSION]), ("kind", Literal[kind])]


def _envelope(kind: Kind) -> list[tuple[str, Any]]:
    return [*_header(kind.value), ("metadata", Metadata)]


def _document(kind: Kind) -> type[msgspec.Struct]:
    fields: list[Any] = [*_envelope(kind), ("spec", SPECS[kind])]
    if kind is Kind.HOST:
        fields.append(("status", HostStatus | msgspec.UnsetType, msgspec.UNSET))
    return msgspec.defstruct(kind.value, fields, frozen=True, kw_only=True)


def _optional(field: msgspec.structs.FieldInfo) -> Any:
    if field.name == "sha256":
        return (field.name, Digest | msgspec.UnsetType, msgspec.UNSET)
    return (field.name, field.type) if field.required else (field.name, field.type, field.default)


DOCUMENTS = {kind: _document(kind) for kind in Kind}
LISTS = {kind: _listing(f"{kind}List", DOCUMENTS[kind], "", *_header(f"{kind}List")) for kind in Kind}
_NewTokenSpec = msgspec.defstruct(
    "NewTokenSpec", map(_optional, msgspec.structs.fields(TokenSpec)), rename="camel", kw_only=True
)
NewToken = msgspec.defstruct("NewToken", [*_envelope(Kind.TOKEN), ("spec", _NewTokenSpec)])
CreatedToken = msgspec.defstruct(
    "CreatedToken",
    [*_envelope(Kind.TOKEN), ("spec", TokenSpec), ("secret", str | msgspec.UnsetType, msgspec.UNSET)],
    namespace={"__doc__": "`secret` is shown here and never again; absent where it was not made here."},
)


_STATUSES: dict[type[Exception], int] = {
    InvalidDocumentError: 422,
    NotFoundError: 404,
    PreconditionFailedError: 412,
    RefusedError: 409,
    StoreFailedError: 503,
}


class FailedError(HTTPError):
    """A failure with its JSON body."""

    def __init__(self, status: int, failure: Failure | str) -> None:
        super().__init__(status)
        self.failure = Failure(failure) if isinstance(failure, str) else failure


def _status(error: Exception) -> int:
    if isinstance(error, PartlyDoneError):
        return _status(error.__cause__) if isinstance(error.__cause__, Exception) else 500
    return _STATUSES[type(error)]


def _failure(error: Exception) -> Failure:
    match error:
        case InvalidDocumentError():
            return Failure(str(error), error.problems)
        case RefusedError():
            return Failure(str(error), error.problems, error.count)
        case PartlyDoneError(done=Applied() as applied):
            return Failure(str(error), applied=applied)
        case PartlyDoneError(done=Restored() as restored):
            return Failure(str(error), imported=restored)
    return Failure(str(error))


class AdminScope(StrEnum):
    """What a token may do; each but `read` may read too."""

    READ = "read"  # all that is shown, exports too
    ZONES = "zones"  # change zones, and ask the leader for work on them
    ACCOUNTS = "accounts"  # change accounts, hosts and tokens
    ALL = "all"  # everything: imports, sources and drains too


SCOPE_OF = {
    Kind.ZONE: AdminScope.ZONES,
    Kind.ACCOUNT: AdminScope.ACCOUNTS,
    Kind.HOST: AdminScope.ACCOUNTS,
    Kind.TOKEN: AdminScope.ACCOUNTS,
}
"""What it takes to change a resource."""


class AdminCredential(NamedTuple):
    """An admin token: its name, its SHA-256 in hex, what it may do."""

    name: str
    digest: str
    scopes: frozenset[AdminScope]

    def may(self, scope: AdminScope) -> bool:
        """Say whether it may do what needs this scope."""
        return scope is AdminScope.READ or scope in self.scopes or AdminScope.ALL in self.scopes

    def refusal(self, scope: AdminScope, what: str) -> str:
        """Return what to say where it may not do something."""
        has = ", ".join(sorted(self.scopes))
        return f"the admin token {self.name} (scopes: {has}) may not {what}: that takes the scope {scope}"


class AdminTokens:
    """Knows the tokens by their SHA-256 alone."""

    def __init__(self, credentials: Collection[AdminCredential]) -> None:
        self._credentials = tuple(credentials)

    def reconfigure(self, credentials: Collection[AdminCredential]) -> None:
        """Let in who has one of these, and nobody else, from now on."""
        self._credentials = tuple(credentials)

    def holder(self, authorization: str) -> AdminCredential | None:
        """Return which token an Authorization header has; None for none of them."""
        scheme, _, text = authorization.partition(" ")
        if scheme.lower() != "bearer":
            return None
        sent = digest(text.strip())
        # All are compared, so that the time tells nothing of which one it is.
        found = [each for each in self._credentials if hmac.compare_digest(sent, each.digest)]
        return found[0] if found else None


_log = structlog.get_logger(__name__)

MAX_BODY = 8 << 20  # bytes: some 50,000 documents
_DRAINED = 8  # times that much is read of a larger one to answer it; beyond, the connection is cut


class AdminServices(NamedTuple):
    """What the operations work with.

    `status` returns what `GET /api/v1/status` shows, ready for JSON; `retire` makes the node want no more
    traffic and returns so many seconds later; `refused` returns the attempts that it has refused lately;
    `in_flight` gets to know the requests that wait for their answer.
    """

    registry: Registry
    audit: AuditLog
    tokens: AdminTokens
    status: Callable[[], Awaitable[Mapping[str, Any]]]
    retire: Callable[[float], Awaitable[None]]
    refused: Callable[[], Awaitable[Sequence[RefusedAttempt]]]
    metrics: Metrics
    in_flight: InFlight


@stream_request_body
class AdminHandler(RequestHandler):
    """Answers a request by its route's operation, which asks the handler for what it needs of it."""

    max_body: ClassVar[int] = MAX_BODY

    def initialize(self, services: AdminServices, route: "Route") -> None:
        """Keep what the handler works with."""
        self.services = services
        self.route = route
        self.operation = route.operations.get(self.request.method or "")
        self.caller: AdminCredential | None = None  # once it is known
        self.is_whole = False  # whether the request has been read to its end
        self._chunks: list[bytes] = []
        self._received = 0

    @property
    def registry(self) -> Registry:
        """The installation's resources, whose changes are the caller's."""
        way = (self.operation.way if self.operation else "") or (self.request.method or "").lower()
        return self.services.registry.by(Author(self.holder.name, self.request.remote_ip or "", way))

    @property
    def holder(self) -> AdminCredential:
        """The caller's token; a request that has none is refused before anything asks."""
        assert self.caller is not None
        return self.caller

    def prepare(self) -> None:
        """Refuse who has no admin token, or one that may not do this, before a body is read."""
        self.caller = self.services.tokens.holder(self.request.headers.get("Authorization", ""))
        if self.caller is None:
            raise HTTPError(401)
        if self.request.method not in ("GET", "HEAD") and self.route.writes is not None:
            self.demand(self.route.writes, "do this")
        self.services.in_flight.add(self)
        if isinstance(self.request.connection, HttpConnection):
            self.request.connection.set_max_body_size(_DRAINED * self.max_body)
        if not self.route.operations:
            raise HTTPError(404)

    async def _answer(self, *names: str) -> None:
        if self.operation is None:
            raise HTTPError(405)
        self.is_whole = True
        try:
            answer = await self.operation.function(self, *names)
        except (RegistryError, InvalidDocumentError) as error:
            raise FailedError(_status(error), _failure(error)) from error
        self.set_status(answer.status)
        if answer.revision:
            self.set_header("ETag", f'"{answer.revision}"')
        if answer.warning:
            self.set_header("Warning", f'299 ddnsd "{answer.warning}"')
        if isinstance(answer.body, AsyncIterator):
            await self.stream(answer.body)
        else:
            self.finish(msgspec.json.encode(answer.body))  # not awaited: a client that has gone is no failure

    get = head = post = delete = patch = put = options = _answer

    def demand(self, scope: AdminScope, what: str) -> None:
        """Check that the caller's token has a scope; `what` it wants to do is for the message.

        Raises:
            FailedError: 403.
        """
        if not self.holder.may(scope):
            raise FailedError(403, self.holder.refusal(scope, what))

    def data_received(self, chunk: bytes) -> Awaitable[None] | None:
        """Take a part of the body, as long as it is not too large."""
        self._received += len(chunk)
        return self.take(chunk) if self._received <= self.max_body else None

    def take(self, chunk: bytes) -> Awaitable[None] | None:
        """Keep a part of the body."""
        self._chunks.append(chunk)
        return None

    def demand_fitting(self) -> None:
        """Check that the body was not too large.

        Raises:
            FailedError: 413.
        """
        if self._received > self.max_body:
            raise FailedError(413, f"the body is larger than {self.max_body} bytes: send it in parts")

    def body(self) -> bytes:
        """Return the request's body.

        Raises:
            FailedError: 413.
        """
        self.demand_fitting()
        return b"".join(self._chunks)

    async def stream(self, parts: AsyncIterator[bytes]) -> None:
        """Answer with YAML, each part when the client has taken the one before."""
        self.set_header("Content-Type", "application/yaml; charset=utf-8")
        try:
            async for part in parts:
                self.write(part)
                await self.flush()
        except StreamClosedError:
            return  # a client that has gone is no failure
        self.finish()

    def json_body(self) -> Any:
        """Return the JSON value of the request's body.

        Raises:
            FailedError: 400 or 413.
        """
        try:
            return msgspec.json.decode(self.body())
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise FailedError(400, f"the body is no JSON: {error}") from error

    def number(self, name: str, default: int, most: int, least: int = 1) -> int:
        """Return a whole number from `least` to `most` out of the query.

        Raises:
            FailedError: 400.
        """
        text = self.get_query_argument(name, str(default))
        if not (text.isascii() and text.isdigit() and len(text) < 10 and least <= int(text) <= most):
            raise FailedError(400, f"{name} is not a whole number from {least} to {most}")
        return int(text)

    def flag(self, name: str) -> bool:
        """Return a truth value out of the query, false where there is none.

        Raises:
            FailedError: 400.
        """
        text = self.get_query_argument(name, "false")
        if text not in ("true", "false"):
            raise FailedError(400, f"{name} is neither true nor false")
        return text == "true"

    def if_match(self) -> Precondition:
        """Return what If-Match asks for.

        Raises:
            FailedError: 400.
        """
        text = self.request.headers.get("If-Match")
        if text is None:
            return None
        if text == ANY:
            return ANY
        revision = text[1:-1] if text[:1] == text[-1:] == '"' else ""
        if not (revision.isascii() and revision.isdigit() and len(revision) < 20):
            raise FailedError(400, 'If-Match is neither * nor one ETag, such as "42"')
        return int(revision)

    def on_finish(self) -> None:
        """Note that it has been answered."""
        self.services.in_flight.settle(self)

    def on_connection_close(self) -> None:
        """Note that nobody waits for the answer any more."""
        super().on_connection_close()
        self.services.in_flight.settle(self)

    def set_default_headers(self) -> None:
        """Answer JSON that nobody keeps; say nothing of what serves it."""
        self.clear_header("Server")
        self.set_header("Content-Type", "application/json; charset=utf-8")
        for name, value in GUARDS.items():
            self.set_header(name, value)

    def compute_etag(self) -> None:
        """Leave ETag to the handlers: it is a resource's revision."""

    def check_etag_header(self) -> bool:
        """Never answer 304: a host's status changes without its revision."""
        return False

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Answer a failure in JSON."""
        error = kwargs.get("exc_info", (None, None))[1]
        failure = error.failure if isinstance(error, FailedError) else None
        if failure is None:
            phrase = http.HTTPStatus(status_code).phrase.lower()
            failure = Failure(_MESSAGES.get(status_code, phrase))
        if not self.is_whole:
            self.set_header("Connection", "close")  # Tornado does, so as not to read the rest
        if status_code == 401:
            self.set_header("WWW-Authenticate", "Bearer")
        if status_code == 405:
            allowed = [method for method in self.SUPPORTED_METHODS if method in self.route.operations]
            self.set_header("Allow", ", ".join(allowed))
        self.finish(msgspec.json.encode(failure))

    def log_exception(self, *exc_info: Any) -> None:
        """Log what no handler expected; without the URL's query and the headers, which may hold secrets."""
        if not isinstance(exc_info[1], HTTPError):
            _log.error("admin.crashed", path=self.request.path, exc_info=exc_info)


_MESSAGES = {
    400: "the request is malformed",
    401: "the admin token is missing or wrong: send `Authorization: Bearer <admin token>`",
    404: "there is nothing here: see GET /api/v1/openapi.json",
    405: "the method is not for this path: see the Allow header",
}


class AdminAnswer(NamedTuple):
    """What a method answers: plain values, a struct, or YAML part by part. `revision` becomes the ETag."""

    body: Any
    status: int = 200
    revision: int = 0
    warning: str = ""  # becomes a header `Warning`, as Kubernetes' API has it


class Operation(NamedTuple):
    """One method of a route: the function that answers, and what OpenAPI shows of it.

    The function gets the handler, and the name in the path if there is one. Shapes are component names;
    `{kind}` is the kind that the operation is bound to. The shape `Archive` is YAML, all others are JSON.
    """

    function: Callable[..., Awaitable[AdminAnswer]]
    answer: str
    body: str
    statuses: tuple[int, ...]
    query: Mapping[str, str]
    match: bool  # takes If-Match
    way: str  # how its changes came in, as the audit calls it; "": by the method
    summary: str

    def of(self, what: Kind | Work) -> "Operation":
        """Return the operation on one kind of resource, or of work: its function's first argument."""
        answer, body = (shape.format(kind=what) for shape in (self.answer, self.body))
        return self._replace(function=functools.partial(self.function, what), answer=answer, body=body)


def operation(
    answer: str,
    body: str = "",
    *,
    statuses: tuple[int, ...] = (200,),
    query: Mapping[str, str] = MappingProxyType({}),
    match: bool = False,
    way: str = "",
) -> Callable[[Callable[..., Awaitable[AdminAnswer]]], Operation]:
    """Make an operation out of a function; its docstring is the summary."""

    def declare(function: Callable[..., Awaitable[AdminAnswer]]) -> Operation:
        # The document has always shown a second paragraph with this indentation.
        summary = inspect.cleandoc(function.__doc__ or "").replace("\n\n", "\n\n" + 8 * " ")
        return Operation(function, answer, body, statuses, query, match, way, summary)

    return declare


class Route(NamedTuple):
    """A path as OpenAPI writes it, its operations by method, and what it takes to change something there."""

    path: str
    operations: Mapping[str, Operation]
    writes: AdminScope | None = AdminScope.ALL  # None: it depends on what
    handler: type[AdminHandler] = AdminHandler

    @property
    def pattern(self) -> str:
        """The path as a pattern for the router."""
        return self.path.replace(".", r"\.").replace("{name}", "([^/]+)")
