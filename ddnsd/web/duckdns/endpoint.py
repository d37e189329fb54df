"""The endpoint for DuckDNS' clients."""

import time

from ddnsd.model.request import Answer, Api, Limited
from ddnsd.service.update import MOST_REQUESTS, UpdateService
from ddnsd.telemetry.metrics import Metrics
from ddnsd.web.duckdns.call import FOLDER, Call, read_call, read_path
from ddnsd.web.duckdns.words import KO, text_of
from ddnsd.web.form import Parameters, read_parameters
from ddnsd.web.http import Exchange
from ddnsd.web.journal import Journal
from ddnsd.web.source import SourceFinder

_TEXT = "text/plain; charset=utf-8"


class DuckDnsEndpoint:
    """Reads the call, has it decided as a whole, writes the answer."""

    def __init__(self, service: UpdateService, sources: SourceFinder, metrics: Metrics) -> None:
        self._service = service
        self._sources = sources
        self._journal = Journal(Api.DUCKDNS, metrics)

    def __call__(self, exchange: Exchange) -> None:
        """Answer one call."""
        started = time.perf_counter()
        source = self._sources.source(exchange.peer, exchange.headers)
        parameters = _parameters(exchange)
        call = read_call(parameters or {})
        if parameters is None:
            self._refuse(exchange, "a path with more than domains, token and ip", source, started)
        elif len(call.domains) > MOST_REQUESTS:
            self._refuse(exchange, f"more than {MOST_REQUESTS} domains", source, started)
        else:
            self._submit(exchange, call, source, started)

    def _submit(self, exchange: Exchange, call: Call, source: str, started: float) -> None:
        def answer(answer: Answer, name: str) -> None:
            _send(exchange, text_of(answer, verbose=call.verbose), late=isinstance(answer, Limited))
            self._journal.note([name], [answer], source, started)

        self._service.submit(call.requests(source, exchange.peer), answer, waits=exchange.note_publishing)

    def _refuse(self, exchange: Exchange, reason: str, source: str, started: float) -> None:
        late = self._service.conduct.malformed(source or exchange.peer)
        self._journal.note_unreadable(reason, source, started)
        _send(exchange, KO, late=late)


def _parameters(exchange: Exchange) -> Parameters | None:
    """Return the parameters in the path, the query and the body; None for a path that means nothing."""
    sent = read_parameters(exchange.query, exchange.headers, exchange.body)
    if not exchange.path.startswith(FOLDER):
        return sent
    in_path = read_path(exchange.path)
    return None if in_path is None else {**sent, **in_path}


def _send(exchange: Exchange, text: str, *, late: bool) -> None:
    exchange.reply(200, text.encode(), late, **{"Content-Type": _TEXT})
