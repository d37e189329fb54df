"""`POST /api/v1/apply`: many documents."""

import asyncio
from typing import Any

from ...service.manifests import ManifestError, flatten, read_manifest
from .base import AdminHandler
from .failures import FailedError
from .operations import Answer, Operation, Route, operation
from .shapes import Failure


class ApplyHandler(AdminHandler):
    """Applies documents."""

    way = "apply"

    @operation(Operation("Applied", "Documents"))
    async def post(self) -> Answer:
        """Apply a JSON list or a YAML stream: all checked first, in one commit up to 100, else in chunks."""
        return Answer(await self.registry.apply(await self._documents()))

    async def _documents(self) -> list[Any]:
        if "yaml" in self.request.headers.get("Content-Type", "").lower():
            try:
                return await asyncio.to_thread(read_manifest, self.body())
            except ManifestError as error:
                raise FailedError(400, Failure(f"the body is no YAML: {error}")) from error
        raw = self.json_body()
        return flatten(raw if isinstance(raw, list) else [raw])


ROUTES = (Route("/api/v1/apply", ApplyHandler),)
