"""`GET /api/v1/export` and `POST /api/v1/import`: everything at once, out and in."""

from collections.abc import Awaitable

from ddnsd.service.archive import ArchiveReader
from ddnsd.web.admin.base import AdminHandler, Answer, Operation, Route, Services, operation
from ddnsd.web.http_connection import HttpConnection

_BODY_SECONDS = 600.0  # for a body that is checked while it arrives


class ExportHandler(AdminHandler):
    """Writes an archive."""

    @operation(Operation("Archive"))
    async def get(self) -> Answer:
        """Write all resources and their addresses, consistent at one revision, as a stream of YAML."""
        return Answer((await self.registry.export()).parts())


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
    async def post(self) -> Answer:
        """Put an archive into this installation, which is empty, or has a part of that very archive."""
        self.demand_fitting()
        return Answer(await self.registry.restore(self._reader.finish()))


ROUTES = (Route("/api/v1/export", ExportHandler), Route("/api/v1/import", ImportHandler))
