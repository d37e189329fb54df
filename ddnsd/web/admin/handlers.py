"""The admin API: what each of its operations does, its routes and application (docs/admin/reference.md)."""

import asyncio
import functools
import re
import time
from collections.abc import Awaitable, Mapping
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
from ddnsd.service.documents import (
    Document,
    InvalidDocumentError,
    document_of,
    read_document,
    read_name,
    write_document,
)
from ddnsd.service.limits import concerning, newest
from ddnsd.service.manifests import flatten, read_manifest
from ddnsd.service.registry import NotFoundError, Result
from ddnsd.service.status import host_name, host_status, resource_changes
from ddnsd.telemetry.logging import HIDDEN
from ddnsd.telemetry.metrics import Metrics
from ddnsd.web.admin import openapi
from ddnsd.web.admin.base import (
    SCOPE_OF,
    AdminAnswer,
    AdminHandler,
    AdminScope,
    AdminServices,
    AuditList,
    DeletedAnswer,
    Drain,
    DrainedAnswer,
    FailedError,
    HistoryList,
    ListMetadata,
    PrunedAnswer,
    RefusedList,
    ReleasedAnswer,
    Route,
    TakenOverAnswer,
    WorkAnswer,
    operation,
)
from ddnsd.web.http_connection import HttpConnection


@operation("Applied", "Documents", way="apply")
async def apply(handler: AdminHandler) -> AdminAnswer:
    """Apply a JSON list or a YAML stream: all checked first, in one commit up to 100, else in chunks."""
    if not any(map(handler.holder.may, SCOPE_OF.values())):
        handler.demand(AdminScope.ALL, "change anything")
    documents = await _documents(handler)
    kinds = [raw.get("kind") for raw in documents if isinstance(raw, dict)]  # what is none is refused later
    for kind, scope in SCOPE_OF.items():
        if kind.value in kinds:
            handler.demand(scope, f"change {kind.plural}")
    return AdminAnswer(await handler.registry.apply(documents))


async def _documents(handler: AdminHandler) -> list[Any]:
    if "yaml" in handler.request.headers.get("Content-Type", "").lower():
        try:
            return await asyncio.to_thread(read_manifest, handler.body())
        except YamlError as error:
            raise FailedError(400, f"the body is no YAML: {error}") from error
    raw = handler.json_body()
    return flatten(raw if isinstance(raw, list) else [raw])


@operation("Archive")
async def export(handler: AdminHandler) -> AdminAnswer:
    """Write all resources and their addresses, consistent at one revision, as a stream of YAML."""
    return AdminAnswer((await handler.registry.export()).parts())


_BODY_SECONDS = 600.0  # for a body that is checked while it arrives


class ImportHandler(AdminHandler):
    """Reads an archive as it arrives."""

    max_body = 1 << 30  # bytes; some 3,000,000 hosts

    def initialize(self, services: AdminServices, route: Route) -> None:
        """Prepare to read."""
        super().initialize(services, route)
        self.reader = ArchiveReader()

    def prepare(self) -> None:
        """Let a long body take its time."""
        super().prepare()
        if isinstance(self.request.connection, HttpConnection):
            self.request.connection.set_body_timeout(_BODY_SECONDS)

    def take(self, chunk: bytes) -> Awaitable[None]:
        """Read a part of the archive."""
        return self.reader.feed(chunk)


@operation("Restored", "Archive", way="import")
async def restore(handler: ImportHandler) -> AdminAnswer:
    """Put an archive into this installation, which is empty, or has a part of that very archive."""
    handler.demand_fitting()
    return AdminAnswer(await handler.registry.restore(handler.reader.finish()))


_AUDIT_PAGE, _MAX_AUDIT_PAGE = 100, 1000  # items
_PAGE, _MAX_PAGE = 500, 1000  # items
_PAGED = {"limit": "items on the page", "continue": "of the last page"}


@operation("AuditList", query=_PAGED)
async def audit(handler: AdminHandler) -> AdminAnswer:
    """List changes of resources, one item for each commit and one for each import; the newest first."""
    limit = handler.number("limit", _AUDIT_PAGE, _MAX_AUDIT_PAGE)
    page = await handler.services.audit.page(limit, handler.get_query_argument("continue", ""))
    return AdminAnswer(AuditList(ListMetadata(page.cursor), page.items))


_HISTORY_QUERY = {
    "of": "a host's name, or an account's for all of its hosts; absent: all",
    "refused": "true: the attempts that the answering node has refused lately",
    **_PAGED,
}


@operation("History", query=_HISTORY_QUERY)
async def history(handler: AdminHandler) -> AdminAnswer:
    """List changes of hosts' records, with those of a host's document, or refused attempts.

    The newest first.
    """
    who, limit = handler.get_query_argument("of", ""), handler.number("limit", _PAGE, _MAX_PAGE)
    if handler.flag("refused"):
        attempts = concerning(handler.registry.state, who, await handler.services.refused())
        return AdminAnswer(RefusedList(ListMetadata(""), tuple(newest(attempts, limit))))
    host = host_name(who)
    of_host = await handler.services.audit.of_host(host) if host else []
    cursor = handler.get_query_argument("continue", "")
    page = await handler.registry.history(who, limit, cursor, audit=resource_changes(host, of_host))
    return AdminAnswer(HistoryList(ListMetadata(page.cursor), page.items))


@operation("Status")
async def status(handler: AdminHandler) -> AdminAnswer:
    """Show the installation, as this node knows it."""
    return AdminAnswer(await handler.services.status())


@operation("DrainedAnswer", "Drain")
async def drain(handler: AdminHandler) -> AdminAnswer:
    """Make the node unready, serve on, and answer when the delay is over or the node is stopped."""
    try:
        delay = msgspec.convert(handler.json_body(), Drain).delay
    except msgspec.ValidationError as error:
        raise FailedError(422, f"{error}: the delay is 0 to 3600 seconds") from error
    begun = time.monotonic()
    await handler.services.retire(delay)
    return AdminAnswer(DrainedAnswer(round(time.monotonic() - begun, 1)))


@operation("OpenApi")
async def describe(_handler: AdminHandler) -> AdminAnswer:
    """Describe this API."""
    return AdminAnswer(_description())


@functools.cache
def _description() -> Mapping[str, Any]:
    return openapi.describe(ROUTES)


def _rendered(handler: AdminHandler, document: Document) -> dict[str, Any]:
    """Return a document as it is shown, a host with its status."""
    shown = write_document(document)
    if document.kind is Kind.HOST:
        shown["status"] = msgspec.to_builtins(
            host_status(handler.registry.state, document.name, datetime.now(UTC))
        )
    return shown


def _shown(handler: AdminHandler, kind: Kind, name: str, entry: Entry[Resource[Spec]]) -> dict[str, Any]:
    """Return a stored document as it is shown, with its being held."""
    shown = _rendered(handler, document_of(kind, name, entry.value))
    if entry.value.held:
        shown["metadata"]["held"] = True
    return shown


def _existing_name(kind: Kind, text: str, *, stored: bool = True) -> str:
    """Return the one spelling of a name; what no resource can be called is not found."""
    try:
        return read_name(kind, text, stored=stored)
    except InvalidDocumentError as error:
        raise NotFoundError(f"there is no {kind} {text[:80]!r}") from error


@operation("{kind}List", query=_PAGED)
async def list_resources(kind: Kind, handler: AdminHandler) -> AdminAnswer:
    """List, page by page, in the order of the names."""
    limit = handler.number("limit", _PAGE, _MAX_PAGE)
    page = await handler.registry.list(kind, limit, handler.get_query_argument("continue", ""))
    items = [_shown(handler, kind, name, entry) for name, entry in page.items]
    metadata = {"continue": page.cursor}
    return AdminAnswer(
        {"apiVersion": API_VERSION, "kind": f"{kind}List", "metadata": metadata, "items": items}
    )


_LENGTH = f"of the secret, in characters: {SHORTEST_MADE_SECRET} to {MADE_SECRET_LENGTH}"


@operation("CreatedToken", "NewToken", statuses=(201,), query={"length": _LENGTH}, way="create")
async def create_token(handler: AdminHandler) -> AdminAnswer:
    """Make a token; without `sha256` its secret is made too, and shown in this answer only."""
    length = handler.number("length", MADE_SECRET_LENGTH, MADE_SECRET_LENGTH, SHORTEST_MADE_SECRET)
    document, revision, secret = await handler.registry.create_token(handler.json_body(), length)
    shown = _rendered(handler, document)
    if secret:
        shown["secret"] = secret
    return AdminAnswer(shown, 201, revision)


@operation("{kind}")
async def get_resource(kind: Kind, handler: AdminHandler, name: str) -> AdminAnswer:
    """Show it; the ETag is its revision."""
    canonical = _existing_name(kind, name)
    entry = await handler.registry.get(kind, canonical)
    return AdminAnswer(_shown(handler, kind, canonical, entry), 200, entry.revision)


@operation("{kind}", "{kind}", statuses=(200, 201), match=True)
async def put_resource(kind: Kind, handler: AdminHandler, name: str) -> AdminAnswer:
    """Create or change it."""
    document = read_document(handler.json_body())
    if document.kind is not kind or document.name != read_name(kind, name):
        raise InvalidDocumentError(Problem("", f"{document.title} is not what the URL names"))
    result, revision, warning = await handler.registry.put(document, handler.if_match())
    status = 201 if result is Result.CREATED else 200
    return AdminAnswer(_rendered(handler, document), status, revision, warning)


@operation("DeletedAnswer", query={"cascade": "true: its hosts go too"}, match=True)
async def delete_resource(kind: Kind, handler: AdminHandler, name: str) -> AdminAnswer:
    """Delete it; an account or zone that has hosts only with `cascade`."""
    canonical = _existing_name(kind, name)
    cascade = handler.flag("cascade")
    gone = await handler.registry.delete(kind, canonical, handler.if_match(), cascade=cascade)
    return AdminAnswer(DeletedAnswer(f"{kind} {canonical}", gone.hosts, gone.tokens))


@operation("Sources")
async def list_sources(handler: AdminHandler) -> AdminAnswer:
    """List the sources: who has the name, what controls it, what waits for an operator."""
    return AdminAnswer(list((await handler.registry.sources.list()).values()))


@operation("TakenOverAnswer", way="takeover")
async def take_source_over(handler: AdminHandler, name: str) -> AdminAnswer:
    """Bind the name to the Namespace that has asked for it; whoever had it changes nothing any more."""
    bound = await handler.registry.sources.takeover(name)
    return AdminAnswer(TakenOverAnswer(name, bound.uid))


@operation("ReleasedAnswer", way="release")
async def release_source(handler: AdminHandler, name: str) -> AdminAnswer:
    """Free the name; what was written under it stays, until somebody else writes or deletes it."""
    released = await handler.registry.sources.release(name)
    left = (await handler.registry.sources.list()).get(name)
    return AdminAnswer(ReleasedAnswer(name, released.uid, left.resources if left else Counts()))


@operation("PrunedAnswer", way="prune")
async def prune_source(handler: AdminHandler, name: str) -> AdminAnswer:
    """Allow the deletions that the source's controller holds now; it does them soon."""
    return AdminAnswer(PrunedAnswer(name, await handler.registry.sources.prune(name)))


_WAIT, _MAX_WAIT = 60, 600  # seconds


@operation(
    "WorkAnswer",
    query={
        "timeout": "seconds to wait for the leader",
        "adopt": "true: a takeover takes its hosts' names though the zone cannot be transferred",
    },
)
async def work_on_zone(work: Work, handler: AdminHandler, name: str) -> AdminAnswer:
    """Ask the leader to check, repair, take over or forget a zone; wait until it has."""
    timeout = handler.number("timeout", _WAIT, _MAX_WAIT)
    zone = _existing_name(Kind.ZONE, name, stored=False)
    id = await handler.registry.work.request(zone, work, adopt=handler.flag("adopt"))
    done = await handler.registry.work.finished(id, timeout)
    if done is None:
        message = f"no leader has done it within {timeout} s; it stays asked for: see GET /api/v1/status"
        raise FailedError(504, message)
    if done.failure:
        raise FailedError(502, done.failure)
    return AdminAnswer(WorkAnswer(zone, work, done.findings))


_log = structlog.get_logger(__name__)


def _routes_of(kind: Kind) -> tuple[Route, Route]:
    listing = {"GET": list_resources.of(kind)} | ({"POST": create_token} if kind is Kind.TOKEN else {})
    one = {"GET": get_resource.of(kind), "PUT": put_resource.of(kind), "DELETE": delete_resource.of(kind)}
    path, scope = f"/api/v1/{kind.plural}", SCOPE_OF[kind]
    return Route(path, listing, scope), Route(f"{path}/{{name}}", one, scope)


ROUTES = (
    *(route for kind in Kind for route in _routes_of(kind)),
    *(
        Route(f"/api/v1/zones/{{name}}/{work}", {"POST": work_on_zone.of(work)}, AdminScope.ZONES)
        for work in Work
    ),
    Route("/api/v1/apply", {"POST": apply}, writes=None),  # it depends on the documents
    Route("/api/v1/export", {"GET": export}),
    Route("/api/v1/import", {"POST": restore}, handler=ImportHandler),
    Route("/api/v1/sources", {"GET": list_sources}),
    Route("/api/v1/sources/{name}/takeover", {"POST": take_source_over}),
    Route("/api/v1/sources/{name}/release", {"POST": release_source}),
    Route("/api/v1/sources/{name}/prune", {"POST": prune_source}),
    Route("/api/v1/audit", {"GET": audit}),
    Route("/api/v1/history", {"GET": history}),
    Route("/api/v1/status", {"GET": status}),
    Route("/api/v1/drain", {"POST": drain}),
    Route("/api/v1/openapi.json", {"GET": describe}),
)


def make_admin_application(services: AdminServices) -> Application:
    """Return the application."""
    return Application(
        [(route.pattern, route.handler, {"services": services, "route": route}) for route in ROUTES],
        default_handler_class=AdminHandler,
        default_handler_args={"services": services, "route": Route("", {})},
        log_function=functools.partial(_record, services.metrics),
    )


def _record(metrics: Metrics, handler: RequestHandler) -> None:
    """Log and count one answer."""
    code, seconds = handler.get_status(), handler.request.request_time()
    result = "done" if code < 400 else "refused" if code < 500 else "failed"
    metrics.request("admin", result, seconds)
    method, path = _logged(handler.request, code)
    by = handler.caller.name if isinstance(handler, AdminHandler) and handler.caller else ""
    _log.info("admin.request", method=method, path=path, status=code, seconds=round(seconds, 4), by=by)


def _logged(request: HTTPServerRequest, status: int) -> tuple[str, str]:
    """Return the method and path as they may be logged, of what was refused only the route.

    Where a name belongs, somebody may have written a secret; so the query is never logged either.
    """
    method, path = request.method or "", request.path
    if status < 400:
        return method, path
    route = next((route.path for route in ROUTES if re.fullmatch(route.pattern, path)), HIDDEN)
    return method if method in RequestHandler.SUPPORTED_METHODS else HIDDEN, route
