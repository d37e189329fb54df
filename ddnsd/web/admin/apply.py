"""`POST /api/v1/apply`: many documents."""

import asyncio
from typing import Any

from ddnsd.config.loader import YamlError
from ddnsd.service.manifests import flatten, read_manifest
from ddnsd.web.admin.base import (
    SCOPE_OF,
    AdminHandler,
    AdminScope,
    Answer,
    FailedError,
    Operation,
    Route,
    operation,
)
from ddnsd.web.admin.shapes import Failure


class ApplyHandler(AdminHandler):
    """Applies documents."""

    writes = None  # it depends on the documents
    way = "apply"

    @operation(Operation("Applied", "Documents"))
    async def post(self) -> Answer:
        """Apply a JSON list or a YAML stream: all checked first, in one commit up to 100, else in chunks."""
        self._demand_any()
        documents = await self._documents()
        self._demand_all(documents)
        return Answer(await self.registry.apply(documents))

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


ROUTES = (Route("/api/v1/apply", ApplyHandler),)
