"""`GET|POST /api/ddns/update`: the contract that clients in the field already use."""

import time

import structlog

from ..model.answers import Answer, Limited, Moved, Refusal, Result, Unchanged, Updated, result_of
from ..model.names import InvalidNameError, label_count, parse_name
from ..service.update import UpdateService
from ..telemetry.metrics import Metrics
from ..telemetry.redaction import HIDDEN
from . import replies
from .parameters import UnreadableRequestError, read_request, withdrawal
from .public import Exchange
from .source import SourceFinder

_log = structlog.get_logger(__name__)


class UpdateEndpoint:
    """Reads the request, has it decided, writes the answer."""

    def __init__(self, service: UpdateService, sources: SourceFinder, metrics: Metrics) -> None:
        self._service = service
        self._sources = sources
        self._metrics = metrics

    def __call__(self, exchange: Exchange) -> None:
        """Answer one update."""
        started = time.perf_counter()
        source = self._sources.source(exchange.peer, exchange.headers)
        try:
            request = read_request(exchange.query, exchange.headers, exchange.body, source)
            if exchange.method == "DELETE":
                request = withdrawal(request)
        except UnreadableRequestError as error:
            _log.info("update.unreadable", source=source, reason=str(error))
            self._metrics.request("update", "malformed", time.perf_counter() - started)
            self._service.conduct.malformed(source)
            exchange.reply(400, replies.failure(replies.BAD_REQUEST))
            return

        def answer(answer: Answer) -> None:
            status, body = replies.body(answer)
            exchange.reply(status, body, **replies.headers(answer))
            self._metrics.request("update", result_of(answer), time.perf_counter() - started)
            _record(answer, request.domain, source)

        self._service.submit((request,), answer)


def _record(answer: Answer, domain: str, source: str) -> None:
    """Log the answer; "unchanged" only when debugging, because nearly all are."""
    match answer:
        case Refusal() | Limited():
            _log.info("update.refused", domain=_shown(domain), result=result_of(answer), source=source)
        case _:
            for result in answer:
                _record_result(result, source)


def _record_result(result: Result, source: str) -> None:
    match result:
        case Unchanged():
            _log.debug("update.unchanged", name=result.name, type=result.type, ip=result.ip, source=source)
        case Updated():
            _log.info("update.done", **result._asdict(), source=source)
        case Moved():
            _log.info("update.moved", **result._asdict(), source=source)


def _shown(domain: str) -> str:
    """Return the name as it may be logged: what is none may be a token in the wrong parameter."""
    try:
        name = parse_name(domain)
    except InvalidNameError:
        return HIDDEN
    return name if label_count(name) > 1 else HIDDEN
