"""The admin API: what each of its routes does, and their application (docs/admin/reference.md)."""

import asyncio
import functools
import re
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
import structlog
from tornado.httputil import HTTPServerRequest
from tornado.web import Application, RequestHandler

from ddnsd.config.loader import YamlError
from ddnsd.config.reader import Problem
from ddnsd.model.records import Entry, Resource, Work
from ddnsd.model.resources import API_VERSION, MADE_SECRET_LENGTH, SHORTEST_MADE_SECRET, Kind, Spec
from ddnsd.service.archive import ArchiveReader, Counts
from ddnsd.service.audit import AuditLog
from ddnsd.service.documents import (
    Document,
    InvalidDocumentError,
    document_of,
    read_document,
    read_name,
    write_document,
)
from ddnsd.service.limits import RefusedAttempt, concerning, newest
from ddnsd.service.manifests import flatten, read_manifest
from ddnsd.service.registry import ANY, NotFoundError, Precondition, Registry, Result
from ddnsd.service.status import host_name, host_status, resource_changes
from ddnsd.telemetry.logging import HIDDEN
from ddnsd.telemetry.metrics import Metrics
from ddnsd.web.admin import openapi
from ddnsd.web.admin.base import (
    SCOPE_OF,
    AdminAnswer,
    AdminHandler,
    AdminScope,
    AdminTokens,
    AuditList,
    DeletedAnswer,
    Drain,
    DrainedAnswer,
    FailedError,
    Failure,
    HistoryList,
    ListMetadata,
    Operation,
    PrunedAnswer,
    RefusedList,
    ReleasedAnswer,
    Route,
    Services,
    TakenOverAnswer,
    UnknownPathHandler,
    WorkAnswer,
    operation,
)
from ddnsd.web.http import InFlight
from ddnsd.web.http_connection import HttpConnection


class ApplyHandler(AdminHandler):
    """Applies documents."""

    writes = None  # it depends on the documents
    way = "apply"

    @operation(Operation("Applied", "Documents"))
    async def post(self) -> AdminAnswer:
        """Apply a JSON list or a YAML stream: all checked first, in one commit up to 100, else in chunks."""
        self._demand_any()
        documents = await self._documents()
        self._demand_all(documents)
        return AdminAnswer(await self.registry.apply(documents))

    def _demand_any(self) -> None:
        """Check that the caller may change something at all.

        Raises:
            FailedError: 403.
        """
        if not any(map(self.holder.may, SCOPE_OF.values())):
            self.demand(AdminScope.ALL, "change anything")

    def _demand_all(self, documents: list[Any]) -> None:
        """Check that the caller may change what the documents are; what is none is refused later.

        Raises:
            FailedError: 403.
        """
        kinds = [raw.get("kind") for raw in documents if isinstance(raw, dict)]
        for kind, scope in SCOPE_OF.items():
            if kind.value in kinds:
                self.demand(scope, f"change {kind.plural}")

    async def _documents(self) -> list[Any]:
        if "yaml" in self.request.headers.get("Content-Type", "").lower():
            try:
                return await asyncio.to_thread(read_manifest, self.body())
            except YamlError as error:
                raise FailedError(400, Failure(f"the body is no YAML: {error}")) from error
        raw = self.json_body()
        return flatten(raw if isinstance(raw, list) else [raw])


_BODY_SECONDS = 600.0  # for a body that is checked while it arrives


class ExportHandler(AdminHandler):
    """Writes an archive."""

    @operation(Operation("Archive"))
    async def get(self) -> AdminAnswer:
        """Write all resources and their addresses, consistent at one revision, as a stream of YAML."""
        return AdminAnswer((await self.registry.export()).parts())


class ImportHandler(AdminHandler):
    """Reads an archive."""

    way = "import"

    max_body = 1 << 30  # bytes; some 3,000,000 hosts

    def initialize(self, services: Services) -> None:
        """Prepare to read."""
        super().initialize(services)
        self._reader = ArchiveReader()

    def prepare(self) -> None:
        """Let a long body take its time."""
        super().prepare()
        if isinstance(self.request.connection, HttpConnection):
            self.request.connection.set_body_timeout(_BODY_SECONDS)

    def take(self, chunk: bytes) -> Awaitable[None]:
        """Read a part of the archive."""
        return self._reader.feed(chunk)

    @operation(Operation("Restored", "Archive"))
    async def post(self) -> AdminAnswer:
        """Put an archive into this installation, which is empty, or has a part of that very archive."""
        self.demand_fitting()
        return AdminAnswer(await self.registry.restore(self._reader.finish()))


_AUDIT_PAGE, _MAX_AUDIT_PAGE = 100, 1000  # items
_AUDIT_QUERY = {"limit": "items on the page", "continue": "of the last page"}


class AuditHandler(AdminHandler):
    """The audit."""

    @operation(Operation("AuditList", query=_AUDIT_QUERY))
    async def get(self) -> AdminAnswer:
        """List changes of resources, one item for each commit and one for each import; the newest first."""
        limit = self.number("limit", _AUDIT_PAGE, _MAX_AUDIT_PAGE)
        page = await self.services.audit.page(limit, self.get_query_argument("continue", ""))
        return AdminAnswer(AuditList(ListMetadata(page.cursor), page.items))


class DrainHandler(AdminHandler):
    """Makes the node retire."""

    @operation(Operation("DrainedAnswer", "Drain"))
    async def post(self) -> AdminAnswer:
        """Make the node unready, serve on, and answer when the delay is over or the node is stopped."""
        delay, begun = self._delay(), time.monotonic()
        await self.services.retire(delay)
        return AdminAnswer(DrainedAnswer(round(time.monotonic() - begun, 1)))

    def _delay(self) -> float:
        try:
            return msgspec.convert(self.json_body(), Drain).delay
        except msgspec.ValidationError as error:
            raise FailedError(422, Failure(f"{error}: the delay is 0 to 3600 seconds")) from error


_PAGE, _MAX_PAGE = 500, 1000  # items
_HISTORY_QUERY = {
    "of": "a host's name, or an account's for all of its hosts; absent: all",
    "refused": "true: the attempts that the answering node has refused lately",
    "limit": "items on the page",
    "continue": "of the last page",
}


class HistoryHandler(AdminHandler):
    """The history."""

    @operation(Operation("History", query=_HISTORY_QUERY))
    async def get(self) -> AdminAnswer:
        """List changes of hosts' records, with those of a host's document, or refused attempts.

        The newest first.
        """
        who, limit = self.get_query_argument("of", ""), self.number("limit", _PAGE, _MAX_PAGE)
        if self.flag("refused"):
            attempts = concerning(self.registry.state, who, await self.services.refused())
            return AdminAnswer(RefusedList(ListMetadata(""), tuple(newest(attempts, limit))))
        host = host_name(who)
        audit = await self.services.audit.of_host(host) if host else []
        cursor = self.get_query_argument("continue", "")
        page = await self.registry.history(who, limit, cursor, audit=resource_changes(host, audit))
        return AdminAnswer(HistoryList(ListMetadata(page.cursor), page.items))


# items
_LENGTH = f"of the secret, in characters: {SHORTEST_MADE_SECRET} to {MADE_SECRET_LENGTH}"


class KindHandler(AdminHandler):
    """Base of the handlers that are for one kind."""

    def initialize(self, services: Services, kind: Kind) -> None:  # type: ignore[override]
        """Keep the kind."""
        super().initialize(services)
        self.kind = kind
        self.writes = SCOPE_OF[kind]

    def rendered(self, document: Document) -> dict[str, Any]:
        """Return a document as it is shown, a host with its status."""
        shown = write_document(document)
        if document.kind is Kind.HOST:
            shown["status"] = msgspec.to_builtins(
                host_status(self.registry.state, document.name, datetime.now(UTC))
            )
        return shown

    def shown(self, name: str, entry: Entry[Resource[Spec]]) -> dict[str, Any]:
        """Return a stored document as it is shown, with its being held."""
        shown = self.rendered(document_of(self.kind, name, entry.value))
        if entry.value.held:
            shown["metadata"]["held"] = True
        return shown

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
            raise FailedError(400, Failure('If-Match is neither * nor one ETag, such as "42"'))
        return int(revision)


class ListHandler(KindHandler):
    """All resources of a kind."""

    @operation(Operation("{kind}List", query={"limit": "items on the page", "continue": "of the last page"}))
    async def get(self) -> AdminAnswer:
        """List, page by page, in the order of the names."""
        limit = self.number("limit", _PAGE, _MAX_PAGE)
        page = await self.registry.list(self.kind, limit, self.get_query_argument("continue", ""))
        items = [self._item(name, entry) for name, entry in page.items]
        metadata = {"continue": page.cursor}
        return AdminAnswer(
            {"apiVersion": API_VERSION, "kind": f"{self.kind}List", "metadata": metadata, "items": items}
        )

    def _item(self, name: str, entry: Entry[Resource[Spec]]) -> dict[str, Any]:
        return self.shown(name, entry)


class TokensHandler(ListHandler):
    """All tokens, and a place to make one."""

    way = "create"

    @operation(Operation("CreatedToken", "NewToken", (201,), query={"length": _LENGTH}))
    async def post(self) -> AdminAnswer:
        """Make a token; without `sha256` its secret is made too, and shown in this answer only."""
        length = self.number("length", MADE_SECRET_LENGTH, MADE_SECRET_LENGTH, SHORTEST_MADE_SECRET)
        document, revision, secret = await self.registry.create_token(self.json_body(), length)
        shown = self.rendered(document)
        if secret:
            shown["secret"] = secret
        return AdminAnswer(shown, 201, revision)


class ResourceHandler(KindHandler):
    """One resource."""

    @operation(Operation("{kind}"))
    async def get(self, name: str) -> AdminAnswer:
        """Show it; the ETag is its revision."""
        canonical = self._existing_name(name)
        entry = await self.registry.get(self.kind, canonical)
        return AdminAnswer(self.shown(canonical, entry), 200, entry.revision)

    @operation(Operation("{kind}", "{kind}", (200, 201), match=True))
    async def put(self, name: str) -> AdminAnswer:
        """Create or change it."""
        document = read_document(self.json_body())
        if document.kind is not self.kind or document.name != read_name(self.kind, name):
            raise InvalidDocumentError(Problem("", f"{document.title} is not what the URL names"))
        result, revision, warning = await self.registry.put(document, self.if_match())
        status = 201 if result is Result.CREATED else 200
        return AdminAnswer(self.rendered(document), status, revision, warning)

    @operation(Operation("DeletedAnswer", query={"cascade": "true: its hosts go too"}, match=True))
    async def delete(self, name: str) -> AdminAnswer:
        """Delete it; an account or zone that has hosts only with `cascade`."""
        canonical = self._existing_name(name)
        gone = await self.registry.delete(self.kind, canonical, self.if_match(), cascade=self.flag("cascade"))
        return AdminAnswer(DeletedAnswer(f"{self.kind} {canonical}", gone.hosts, gone.tokens))

    def _existing_name(self, text: str) -> str:
        try:
            return read_name(self.kind, text, stored=True)
        except InvalidDocumentError as error:
            raise NotFoundError(f"there is no {self.kind} {text[:80]!r}") from error


class SourcesHandler(AdminHandler):
    """All sources."""

    @operation(Operation("Sources"))
    async def get(self) -> AdminAnswer:
        """List the sources: who has the name, what controls it, what waits for an operator."""
        return AdminAnswer(list((await self.registry.sources.list()).values()))


class TakeoverHandler(AdminHandler):
    """Gives a name to who has asked for it."""

    way = "takeover"

    @operation(Operation("TakenOverAnswer"))
    async def post(self, name: str) -> AdminAnswer:
        """Bind the name to the Namespace that has asked for it; whoever had it changes nothing any more."""
        bound = await self.registry.sources.takeover(name)
        return AdminAnswer(TakenOverAnswer(name, bound.uid))


class ReleaseHandler(AdminHandler):
    """Frees a name."""

    way = "release"

    @operation(Operation("ReleasedAnswer"))
    async def post(self, name: str) -> AdminAnswer:
        """Free the name; what was written under it stays, until somebody else writes or deletes it."""
        released = await self.registry.sources.release(name)
        left = (await self.registry.sources.list()).get(name)
        return AdminAnswer(ReleasedAnswer(name, released.uid, left.resources if left else Counts()))


class PruneHandler(AdminHandler):
    """Allows held deletions."""

    way = "prune"

    @operation(Operation("PrunedAnswer"))
    async def post(self, name: str) -> AdminAnswer:
        """Allow the deletions that the source's controller holds now; it does them soon."""
        return AdminAnswer(PrunedAnswer(name, await self.registry.sources.prune(name)))


class StatusHandler(AdminHandler):
    """Shows how the installation is doing."""

    @operation(Operation("Status"))
    async def get(self) -> AdminAnswer:
        """Show the installation, as this node knows it."""
        return AdminAnswer(await self.services.status())


_WAIT, _MAX_WAIT = 60, 600  # seconds


class WorkHandler(AdminHandler):
    """Asks for work on a zone and waits for its end."""

    writes = AdminScope.ZONES

    def initialize(self, services: Services, work: Work) -> None:  # type: ignore[override]
        """Keep which work it is."""
        super().initialize(services)
        self._work = work

    @operation(
        Operation(
            "WorkAnswer",
            query={
                "timeout": "seconds to wait for the leader",
                "adopt": "true: a takeover takes its hosts' names though the zone cannot be transferred",
            },
        )
    )
    async def post(self, name: str) -> AdminAnswer:
        """Ask the leader to check, repair, take over or forget a zone; wait until it has."""
        timeout = self.number("timeout", _WAIT, _MAX_WAIT)
        zone = _zone(name)
        id = await self.registry.work.request(zone, self._work, adopt=self.flag("adopt"))
        done = await self.registry.work.finished(id, timeout)
        if done is None:
            message = f"no leader has done it within {timeout} s; it stays asked for: see GET /api/v1/status"
            raise FailedError(504, Failure(message))
        if done.failure:
            raise FailedError(502, Failure(done.failure))
        return AdminAnswer(WorkAnswer(zone, self._work, done.findings))


def _zone(text: str) -> str:
    try:
        return read_name(Kind.ZONE, text)
    except InvalidDocumentError as error:
        raise NotFoundError(f"there is no Zone {text[:80]!r}") from error


_log = structlog.get_logger(__name__)

ROUTES = (
    *(
        route
        for kind in Kind
        for route in (
            Route(
                f"/api/v1/{kind.plural}", TokensHandler if kind is Kind.TOKEN else ListHandler, {"kind": kind}
            ),
            Route(f"/api/v1/{kind.plural}/{{name}}", ResourceHandler, {"kind": kind}),
        )
    ),
    *(Route(f"/api/v1/zones/{{name}}/{work}", WorkHandler, {"work": work}) for work in Work),
    Route("/api/v1/apply", ApplyHandler),
    Route("/api/v1/export", ExportHandler),
    Route("/api/v1/import", ImportHandler),
    Route("/api/v1/sources", SourcesHandler),
    Route("/api/v1/sources/{name}/takeover", TakeoverHandler),
    Route("/api/v1/sources/{name}/release", ReleaseHandler),
    Route("/api/v1/sources/{name}/prune", PruneHandler),
    Route("/api/v1/audit", AuditHandler),
    Route("/api/v1/history", HistoryHandler),
    Route("/api/v1/status", StatusHandler),
    Route("/api/v1/drain", DrainHandler),
    *openapi.ROUTES,
)


def make_admin_application(
    registry: Registry,
    audit_log: AuditLog,
    tokens: AdminTokens,
    status: Callable[[], Awaitable[Mapping[str, Any]]],
    retire: Callable[[float], Awaitable[None]],
    refused: Callable[[], Awaitable[Sequence[RefusedAttempt]]],
    metrics: Metrics,
    in_flight: InFlight,
) -> Application:
    """Return the application.

    `status` returns what `GET /api/v1/status` shows, ready for JSON; `retire` makes the node want no more
    traffic and returns so many seconds later; `refused` returns the attempts that it has refused lately;
    `in_flight` gets to know the requests that wait for their answer.
    """
    services = Services(
        registry, audit_log, tokens, status, retire, refused, metrics, openapi.describe(ROUTES), in_flight
    )
    return Application(
        [(route.pattern, route.handler, {"services": services, **route.arguments}) for route in ROUTES],
        default_handler_class=UnknownPathHandler,
        default_handler_args={"services": services},
        log_function=functools.partial(_record, metrics),
    )


def _record(metrics: Metrics, handler: RequestHandler) -> None:
    """Log and count one answer."""
    code, seconds = handler.get_status(), handler.request.request_time()
    result = "done" if code < 400 else "refused" if code < 500 else "failed"
    metrics.request("admin", result, seconds)
    method, path = _shown(handler.request, code)
    by = handler.caller.name if isinstance(handler, AdminHandler) and handler.caller else ""
    _log.info("admin.request", method=method, path=path, status=code, seconds=round(seconds, 4), by=by)


def _shown(request: HTTPServerRequest, status: int) -> tuple[str, str]:
    """Return the method and path as they may be logged, of what was refused only the route.

    Where a name belongs, somebody may have written a secret; so the query is never logged either.
    """
    method, path = request.method or "", request.path
    if status < 400:
        return method, path
    route = next((route.path for route in ROUTES if re.fullmatch(route.pattern, path)), HIDDEN)
    return method if method in RequestHandler.SUPPORTED_METHODS else HIDDEN, route
