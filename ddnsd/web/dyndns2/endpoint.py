"""`GET|POST /nic/update`: dyndns2."""

import time
from collections.abc import Sequence

from ddnsd.model.request import Answer, Api, Limited, Refusal
from ddnsd.service.update import MOST_REQUESTS, UpdateService
from ddnsd.telemetry.metrics import Metrics
from ddnsd.web.dyndns2.call import read_call
from ddnsd.web.dyndns2.submission import Submission
from ddnsd.web.dyndns2.words import FORGED, NUM_HOST, Reply, reply_of, reply_to
from ddnsd.web.form import read_parameters
from ddnsd.web.http import Exchange
from ddnsd.web.journal import Journal
from ddnsd.web.origin_check import is_forged
from ddnsd.web.source import SourceFinder

_TEXT = "text/plain; charset=utf-8"


class Dyndns2Endpoint:
    """Reads the call, has each host's request decided, writes a line for each."""

    def __init__(self, service: UpdateService, sources: SourceFinder, metrics: Metrics) -> None:
        self._service = service
        self._sources = sources
        self._journal = Journal(Api.DYNDNS2, metrics)

    def __call__(self, exchange: Exchange) -> None:
        """Answer one call."""
        started = time.perf_counter()
        source = self._sources.source(exchange.peer, exchange.headers)
        parameters = read_parameters(exchange.query, exchange.headers, exchange.body)
        if not parameters.get("password") and is_forged(exchange.headers):
            self._refuse(exchange, FORGED, "sent for another site's page", source, started)
            return
        call = read_call(parameters, exchange.headers)

        def answer(answers: Sequence[Answer], names: Sequence[str], late: bool) -> None:
            _send(exchange, reply_to(answers), late=late)
            self._journal.note(names, answers, source, started)

        def settle(answers: Sequence[Answer], names: Sequence[str]) -> None:
            answer(answers, names, any(isinstance(each, Limited) for each in answers))

        def refuse(refusal: Refusal) -> None:
            answer([refusal], [""], self._service.conduct.malformed(source or exchange.peer))

        if not call.token:  # first, as some clients send their credentials only when they are asked for them
            refuse(Refusal.MISSING_TOKEN)
        elif not call.hosts:
            refuse(Refusal.MISSING_DOMAIN)
        elif len(call.hosts) > MOST_REQUESTS:
            self._refuse(exchange, reply_of([NUM_HOST]), f"more than {MOST_REQUESTS} hosts", source, started)
        else:
            Submission(
                self._service, call.requests(source, exchange.peer), settle, exchange.note_publishing
            ).start()

    def _refuse(self, exchange: Exchange, reply: Reply, reason: str, source: str, started: float) -> None:
        late = self._service.conduct.malformed(source or exchange.peer)
        self._journal.note_unreadable(reason, source, started)
        _send(exchange, reply, late=late)


def _send(exchange: Exchange, reply: Reply, *, late: bool) -> None:
    exchange.reply(reply.status, reply.body, late, **{"Content-Type": _TEXT, **reply.headers})
