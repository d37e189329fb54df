"""`/api/v1/<kind>` and `/api/v1/<kind>/<name>`."""

from datetime import UTC, datetime
from typing import Any

import msgspec

from ddnsd.model.records import Entry, Resource
from ddnsd.model.resources import API_VERSION, MADE_SECRET_LENGTH, SHORTEST_MADE_SECRET, Kind, Spec
from ddnsd.service.documents import Document, document_of, read_document, write_document
from ddnsd.service.problems import InvalidDocumentError, Problem
from ddnsd.service.registry import ANY, NotFoundError, Precondition, Written
from ddnsd.service.specs import read_name
from ddnsd.service.status import host_status
from ddnsd.web.admin.base import (
    SCOPE_OF,
    AdminHandler,
    Answer,
    FailedError,
    Operation,
    Route,
    Services,
    operation,
)
from ddnsd.web.admin.shapes import DeletedAnswer, Failure

_PAGE, _MAX_PAGE = 500, 1000  # items
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
    async def get(self) -> Answer:
        """List, page by page, in the order of the names."""
        limit = self.number("limit", _PAGE, _MAX_PAGE)
        page = await self.registry.list(self.kind, limit, self.get_query_argument("continue", ""))
        items = [self._item(name, entry) for name, entry in page.items]
        metadata = {"continue": page.cursor}
        return Answer(
            {"apiVersion": API_VERSION, "kind": f"{self.kind}List", "metadata": metadata, "items": items}
        )

    def _item(self, name: str, entry: Entry[Resource[Spec]]) -> dict[str, Any]:
        return self.shown(name, entry)


class TokensHandler(ListHandler):
    """All tokens, and a place to make one."""

    way = "create"

    @operation(Operation("CreatedToken", "NewToken", (201,), query={"length": _LENGTH}))
    async def post(self) -> Answer:
        """Make a token; without `sha256` its secret is made too, and shown in this answer only."""
        length = self.number("length", MADE_SECRET_LENGTH, MADE_SECRET_LENGTH, SHORTEST_MADE_SECRET)
        created = await self.registry.create_token(self.json_body(), length)
        shown = self.rendered(created.document)
        if created.secret:
            shown["secret"] = created.secret
        return Answer(shown, 201, created.revision)


class ResourceHandler(KindHandler):
    """One resource."""

    @operation(Operation("{kind}"))
    async def get(self, name: str) -> Answer:
        """Show it; the ETag is its revision."""
        canonical = self._existing_name(name)
        entry = await self.registry.get(self.kind, canonical)
        return Answer(self.shown(canonical, entry), 200, entry.revision)

    @operation(Operation("{kind}", "{kind}", (200, 201), match=True))
    async def put(self, name: str) -> Answer:
        """Create or change it."""
        document = read_document(self.json_body())
        if document.kind is not self.kind or document.name != read_name(self.kind, name):
            raise InvalidDocumentError(Problem("", f"{document.title} is not what the URL names"))
        written, revision, warning = await self.registry.put(document, self.if_match())
        status = 201 if written is Written.CREATED else 200
        return Answer(self.rendered(document), status, revision, warning)

    @operation(Operation("DeletedAnswer", query={"cascade": "true: its hosts go too"}, match=True))
    async def delete(self, name: str) -> Answer:
        """Delete it; an account or zone that has hosts only with `cascade`."""
        canonical = self._existing_name(name)
        gone = await self.registry.delete(self.kind, canonical, self.if_match(), cascade=self.flag("cascade"))
        return Answer(DeletedAnswer(f"{self.kind} {canonical}", gone.hosts, gone.tokens))

    def _existing_name(self, text: str) -> str:
        try:
            return read_name(self.kind, text, stored=True)
        except InvalidDocumentError as error:
            raise NotFoundError(f"there is no {self.kind} {text[:80]!r}") from error


ROUTES = tuple(
    route
    for kind in Kind
    for route in (
        Route(f"/api/v1/{kind.plural}", TokensHandler if kind is Kind.TOKEN else ListHandler, {"kind": kind}),
        Route(f"/api/v1/{kind.plural}/{{name}}", ResourceHandler, {"kind": kind}),
    )
)
