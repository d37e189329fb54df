"""The way of one message: answered, counted, and nothing it does gets out."""

import time
from collections import Counter
from collections.abc import Mapping

import structlog

from .answer import Zones
from .message import Transport, fail, respond

_log = structlog.get_logger(__name__)
_QUIET = 60.0  # seconds between two log lines about faults


class Responder:
    """Answers messages from the zones, which may change between any two."""

    def __init__(self, zones: Zones) -> None:
        self._zones = zones
        self._answers: Counter[str] = Counter()
        self._logged = -_QUIET  # monotonic seconds

    @property
    def answers(self) -> Mapping[str, int]:
        """How many messages were answered since the start, by code; ``dropped``: not at all, ``fault``: a
        bug, which was answered SERVFAIL.
        """
        return self._answers

    def respond(self, wire: bytes, transport: Transport) -> bytes | None:
        """Return the response, None if there shall be none. Raises nothing."""
        try:
            response = respond(self._zones, wire, transport)
        except Exception:  # noqa: BLE001 - whatever a stranger sends, the others are still answered
            self._answers["fault"] += 1
            self._report(wire)
            response = fail(wire)
        self._answers["dropped" if response is None else response.rcode.name] += 1
        return None if response is None else response.wire

    def _report(self, wire: bytes) -> None:
        """Log the fault that is being handled, but do not let a stranger fill the log."""
        now = time.monotonic()
        if now - self._logged >= _QUIET:
            self._logged = now
            _log.exception("a DNS message met a bug", message=wire[:512].hex(), faults=self._answers["fault"])
