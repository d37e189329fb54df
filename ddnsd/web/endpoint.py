"""What the endpoints of all update APIs share."""

from typing import ClassVar

from ddnsd.model.request import Api
from ddnsd.service.update import UpdateService
from ddnsd.telemetry.metrics import Metrics
from ddnsd.web.access_log import AccessLog
from ddnsd.web.client_address import SourceFinder
from ddnsd.web.http import HttpRequest


class UpdateApiEndpoint:
    """Reads a call of one API, has it decided, writes the answer in that API's words."""

    api: ClassVar[Api]

    def __init__(self, service: UpdateService, sources: SourceFinder, metrics: Metrics) -> None:
        self._service = service
        self._sources = sources
        self._access_log = AccessLog(self.api, metrics)

    def _is_late(self, exchange: HttpRequest, source: str) -> bool:
        """Charge the client for a call that could not be decided; say whether its answer is delayed."""
        return self._service.conduct.malformed(source or exchange.peer)

    def _note_unreadable(self, exchange: HttpRequest, reason: str, source: str, started: float) -> bool:
        """Log and charge a call that cannot be read; return whether its answer is delayed."""
        late = self._is_late(exchange, source)
        self._access_log.note_unreadable(reason, source, started)
        return late
