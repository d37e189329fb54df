"""`POST /api/v1/zones/<zone>/{check,repair,takeover,forget}`: work that the leader does."""

from ddnsd.model.records import Work
from ddnsd.model.resources import Kind
from ddnsd.service.problems import InvalidDocumentError
from ddnsd.service.registry import NotFoundError
from ddnsd.service.specs import read_name
from ddnsd.web.admin.base import (
    AdminHandler,
    AdminScope,
    Answer,
    FailedError,
    Operation,
    Route,
    Services,
    operation,
)
from ddnsd.web.admin.shapes import Failure, WorkAnswer

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
    async def post(self, name: str) -> Answer:
        """Ask the leader to check, repair, take over or forget a zone; wait until it has."""
        timeout = self.number("timeout", _WAIT, _MAX_WAIT)
        zone = _zone(name)
        id = await self.registry.request_work(zone, self._work, adopt=self.flag("adopt"))
        done = await self.registry.await_work(id, timeout)
        if done is None:
            message = f"no leader has done it within {timeout} s; it stays asked for: see GET /api/v1/status"
            raise FailedError(504, Failure(message))
        if done.failure:
            raise FailedError(502, Failure(done.failure))
        return Answer(WorkAnswer(zone, self._work, done.findings))


def _zone(text: str) -> str:
    try:
        return read_name(Kind.ZONE, text)
    except InvalidDocumentError as error:
        raise NotFoundError(f"there is no Zone {text[:80]!r}") from error


ROUTES = tuple(Route(f"/api/v1/zones/{{name}}/{work}", WorkHandler, {"work": work}) for work in Work)
