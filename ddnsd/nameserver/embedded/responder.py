"""The way of one message: answered, counted, and nothing it does gets out."""

import time
from collections import Counter
from collections.abc import Callable, Mapping

import structlog

from ddnsd.nameserver.embedded.answer import View, Zones
from ddnsd.nameserver.embedded.cookies import Cookies
from ddnsd.nameserver.embedded.message import LIMITED, NOBODY, Peer, Policy, Transport, fail, respond
from ddnsd.nameserver.embedded.ratelimit import ResponseRates

_log = structlog.get_logger(__name__)
_QUIET = 60.0  # seconds between two log lines about faults


class Responder:
    """Answers messages from the zones, which may change between any two."""

    def __init__(
        self,
        zones: Zones,
        rates: ResponseRates | None = None,
        addresses: tuple[str, ...] | None = None,
        hidden: Callable[[str], str] = lambda _zone: "",
    ) -> None:
        """`addresses` and `hidden` are a `View`'s; None: the address that was asked."""
        self._zones = zones
        self._rates = rates
        self._cookies = Cookies()
        self._addresses = addresses
        self._hidden = hidden
        self._answers: Counter[str] = Counter()
        self._logged = -_QUIET  # monotonic seconds

    @property
    def answers(self) -> Mapping[str, int]:
        """How many messages were answered since the start, by code; ``dropped``: not at all, ``limited``:
        not, as the client got too many, ``fault``: a bug, which was answered SERVFAIL.
        """
        return self._answers

    def respond(self, wire: bytes, transport: Transport, peer: Peer = NOBODY) -> bytes | None:
        """Return the response, None if there shall be none. Raises nothing."""
        try:
            policy = Policy(self._view(peer.asked), self._cookies, self._rates)
            response = respond(self._zones, wire, transport, peer, policy)
        except Exception:  # noqa: BLE001 - whatever a stranger sends, the others are still answered
            self._answers["fault"] += 1
            self._report(wire)
            response = fail(wire)
        if response is LIMITED:
            self._answers["limited"] += 1
            return None
        self._answers["dropped" if response is None else response.rcode.name] += 1
        return None if response is None else response.wire

    def _view(self, asked: str) -> View:
        if self._addresses is not None:
            return View(self._addresses, self._hidden)
        return View((asked,) if asked and not asked.startswith("fe80:") else (), self._hidden)

    def _report(self, wire: bytes) -> None:
        """Log the fault that is being handled, but do not let a stranger fill the log."""
        now = time.monotonic()
        if now - self._logged >= _QUIET:
            self._logged = now
            _log.exception("a DNS message met a bug", message=wire[:512].hex(), faults=self._answers["fault"])
