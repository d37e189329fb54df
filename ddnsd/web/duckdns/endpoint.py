"""The endpoint for DuckDNS' clients."""

import time
from collections.abc import Sequence

from ...model.answers import Answer, Limited, Refusal
from ...model.challenges import is_challenge
from ...model.request import Api
from ...service.labels import Labels
from ...service.update import MOST_REQUESTS, UpdateService
from ...telemetry.metrics import Metrics
from ..exchange import Exchange
from ..form import Parameters, read_parameters
from ..journal import Journal
from ..source import SourceFinder
from .call import FOLDER, Call, read_call, read_path
from .words import KO, text_of

_TEXT = "text/plain; charset=utf-8"


class DuckDnsEndpoint:
    """Reads the call, has it decided as a whole, writes the answer."""

    def __init__(
        self, service: UpdateService, labels: Labels, sources: SourceFinder, metrics: Metrics
    ) -> None:
        self._service = service
        self._labels = labels
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
        elif call.text and not is_challenge(call.text):
            self._refuse(exchange, "a txt that is no ACME challenge", source, started)
        else:
            self._submit(exchange, call, source, started)

    def _submit(self, exchange: Exchange, call: Call, source: str, started: float) -> None:
        domains = call.domains or ("",)

        def answer(answer: Answer) -> None:
            _send(exchange, text_of(answer, verbose=call.verbose), late=isinstance(answer, Limited))
            self._journal.note(domains[:1], [answer], source, started)

        def submit(names: Sequence[str] | None) -> None:
            if names is None:
                answer(Refusal.STORE_FAILED)
            else:
                self._service.submit(call.requests(names, source), answer)

        self._labels.expand(call.token, domains, submit)

    def _refuse(self, exchange: Exchange, reason: str, source: str, started: float) -> None:
        late = self._service.conduct.malformed(source)
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
