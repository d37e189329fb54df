"""`GET|POST|DELETE /api/ddns/update`: the contract that clients in the field already use."""

import time

from ddnsd.model.request import Answer, Api, Limited
from ddnsd.service.update import UpdateService
from ddnsd.telemetry.metrics import Metrics
from ddnsd.web import replies
from ddnsd.web.access_log import Journal
from ddnsd.web.client_address import SourceFinder
from ddnsd.web.forms import UnreadableRequestError, read_request
from ddnsd.web.http import Exchange


class UpdateEndpoint:
    """Reads the request, has it decided, writes the answer."""

    def __init__(self, service: UpdateService, sources: SourceFinder, metrics: Metrics) -> None:
        self._service = service
        self._sources = sources
        self._journal = Journal(Api.UPDATE, metrics)

    def __call__(self, exchange: Exchange) -> None:
        """Answer one update."""
        started = time.perf_counter()
        source = self._sources.source(exchange.peer, exchange.headers)
        try:
            request = read_request(
                *(exchange.query, exchange.headers, exchange.body, source, exchange.peer),
                withdraws=exchange.method == "DELETE",
            )
        except UnreadableRequestError as error:
            late = self._service.conduct.malformed(source or exchange.peer)
            self._journal.note_unreadable(str(error), source, started)
            exchange.reply(400, replies.failure(replies.BAD_REQUEST), late)
            return

        def answer(answer: Answer, name: str) -> None:
            status, body = replies.body(answer)
            exchange.reply(status, body, isinstance(answer, Limited), **replies.headers(answer))
            self._journal.note((name,), (answer,), source, started)

        self._service.submit((request,), answer, waits=exchange.note_publishing)
