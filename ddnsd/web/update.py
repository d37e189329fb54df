"""`GET|POST|DELETE /api/ddns/update`, the contract that clients in the field already use.

And what the endpoints of all update APIs share with it: how a call is charged, counted and logged.
"""

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, ClassVar

import structlog

from ddnsd.model.names import label_count
from ddnsd.model.ratelimit import Rate, full
from ddnsd.model.request import (
    Api,
    HostResult,
    Limited,
    Moved,
    Refusal,
    Skipped,
    Unchanged,
    Updated,
    UpdateResult,
    is_change,
    result_of,
)
from ddnsd.service.update import UpdateService
from ddnsd.telemetry.logging import HIDDEN
from ddnsd.telemetry.metrics import Metrics
from ddnsd.web import replies
from ddnsd.web.client_address import SourceFinder
from ddnsd.web.forms import UnreadableRequestError, read_request
from ddnsd.web.http import HttpRequest

_log = structlog.get_logger(__name__)

_SHOWN = Rate(10, 100)
"""Refusals in the log of one API: so many a second; the next one that is shown says how many were not."""

_debugs = partial(logging.getLogger(__name__).isEnabledFor, logging.DEBUG)
_SUCCESSES = ("updated", "unchanged")


class AccessLog:
    """Counts and logs the answers of one API."""

    def __init__(self, api: Api, metrics: Metrics, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` in seconds."""
        self._api = api
        self._metrics = metrics
        self._clock = clock
        self._shown = full(_SHOWN, clock())
        self._left_out = 0

    def note(
        self, names: Sequence[str], answers: Sequence[UpdateResult], source: str, started: float
    ) -> None:
        """Note one HTTP request and the answers to what it asked for; `started` by `time.perf_counter`.

        `names` are canonical, or "" where there is none, or none was read. It counts once: as what failed
        first, if anything did.
        """
        result = result_of(answers[0]) if len(answers) == 1 else _gravest(answers)
        self._metrics.request(self._api, result, time.perf_counter() - started)
        if result == "unchanged" and not _debugs():
            return
        for name, answer in zip(names, answers, strict=True):
            self._record(name, answer, source)

    def note_unreadable(self, reason: str, source: str, started: float) -> None:
        """Note a request that asked for nothing that could be decided."""
        self._metrics.request(self._api, "malformed", time.perf_counter() - started)
        if self._is_shown():
            _log.info("update.unreadable", api=self._api, source=source, reason=reason, **self._others())

    def _record(self, name: str, answer: UpdateResult, source: str) -> None:
        """Log an answer; "unchanged" only when debugging, because nearly all are."""
        if isinstance(answer, Limited):  # they come by the thousand, of whom the log has told before
            _log.debug("update.limited", api=self._api, source=source)
            return
        if isinstance(answer, Refusal):
            if self._is_shown():
                told = {"domain": _shown(name), "result": result_of(answer), "source": source}
                _log.info("update.refused", api=self._api, **told, **self._others())
            return
        for result in answer:
            match result:
                case Unchanged():
                    name, ip, type = result  # named one by one: nearly always in vain
                    _log.debug("update.unchanged", api=self._api, name=name, ip=ip, type=type, source=source)
                case Updated():
                    _log.info("update.done", api=self._api, **result._asdict(), source=source)
                case Moved():
                    _log.info("update.moved", api=self._api, **result._asdict(), source=source)
                case Skipped():
                    name, ip, type, reason = result
                    left_out = {"name": name, "ip": ip, "type": type, "reason": reason.name.lower()}
                    _log.info("update.skipped", api=self._api, **left_out, source=source)

    def _is_shown(self) -> bool:
        now = self._clock()
        if self._shown.wait(_SHOWN, now):
            self._left_out += 1
            return False
        self._shown = self._shown.taken(_SHOWN, now)
        return True

    def _others(self) -> dict[str, int]:
        """Return how many refusals were not shown since the last one that was."""
        others, self._left_out = self._left_out, 0
        return {"left_out": others} if others else {}


def _gravest(answers: Sequence[UpdateResult]) -> str:
    results = [result_of(answer) for answer in answers]
    failed = (result for result in results if result not in _SUCCESSES)
    return next(failed, "updated" if "updated" in results else "unchanged")


def _shown(name: str) -> str:
    """Return the name as it may be logged: a single label may be a token in the wrong parameter."""
    return name if label_count(name) > 1 else HIDDEN


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


class UpdateEndpoint(UpdateApiEndpoint):
    """Reads the request, has it decided, writes the answer."""

    api = Api.UPDATE

    def __call__(self, exchange: HttpRequest) -> None:
        """Answer one update."""
        started = time.perf_counter()
        source = self._sources.source(exchange.peer, exchange.headers)
        try:
            request = read_request(
                *(exchange.query, exchange.headers, exchange.body, source, exchange.peer),
                withdraws=exchange.method == "DELETE",
            )
        except UnreadableRequestError as error:
            late = self._note_unreadable(exchange, str(error), source, started)
            exchange.reply(400, replies.failure(replies.BAD_REQUEST), late)
            return

        def answer(answer: UpdateResult, name: str) -> None:
            status, content = body(answer)
            if isinstance(answer, Limited):
                exchange.reply(status, content, True, **replies.headers(answer))
            else:
                exchange.reply(status, content)
            self._access_log.note((name,), (answer,), source, started)

        self._service.submit((request,), answer, waits=exchange.note_publishing)


_RECORDS = (Updated, Unchanged)  # results that are about one record
_REFUSALS: Mapping[Refusal, bytes] = {refusal: replies.failure(refusal.message) for refusal in Refusal}


def body(answer: UpdateResult) -> tuple[int, bytes]:
    """Return the status and the body of an answer to an update.

    That of a success is about the first record that was changed, else the first one. Where more was asked
    for, it also has what became of each record and of the prefix, and what was left out.
    """
    if isinstance(answer, Refusal):
        return answer.status, _REFUSALS[answer]
    if isinstance(answer, Limited):
        return 429, replies.failure(replies.LIMITED)
    lead = answer[0]
    if len(answer) > 1:
        lead = next((result for result in answer if is_change(result)), lead)
    changed = is_change(lead)
    ip = lead.ip if isinstance(lead, _RECORDS) else ""
    data: dict[str, Any] = {"domain": lead.name, "ip": ip}
    if isinstance(lead, Updated):
        data |= {"record_type": lead.type, "old_ip": lead.old_ip}
    data["updated"] = changed
    if len(answer) > 1 or isinstance(lead, Moved):
        data |= _parts(answer)
    return 200, replies.encode(
        {"success": True, "message": replies.UPDATED if changed else replies.UNCHANGED, "data": data}
    )


def _parts(results: tuple[HostResult, ...]) -> dict[str, Any]:
    data: dict[str, Any] = {}
    data["records"] = [_record(result) for result in results if isinstance(result, _RECORDS)]
    for result in results:
        if isinstance(result, Moved):
            data["prefix"] = {"prefix": result.prefix, "hosts": result.hosts, "moved": result.moved}
    if skipped := [_skip(result) for result in results if isinstance(result, Skipped)]:
        data["skipped"] = skipped
    return data


def _skip(result: Skipped) -> dict[str, Any]:
    return {"record_type": result.type, "ip": result.ip, "error": result.reason.message}


def _record(result: Updated | Unchanged) -> dict[str, Any]:
    old_ip = result.old_ip if isinstance(result, Updated) else result.ip
    return {"record_type": result.type, "ip": result.ip, "old_ip": old_ip, "updated": is_change(result)}
