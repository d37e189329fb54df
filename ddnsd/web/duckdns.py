"""`GET /update` and `GET /update/<domains>/<token>[/<ip>]`: DuckDNS (https://www.duckdns.org/spec.jsp).

The answers are `OK` and `KO`, both with status 200, as its clients read no status.
"""

import time
from collections.abc import Sequence
from typing import NamedTuple

from ddnsd.model.addresses import Challenge, Family, RRType
from ddnsd.model.request import (
    Api,
    HostResult,
    Limited,
    Refusal,
    Request,
    Unchanged,
    Updated,
    UpdateResult,
    is_change,
)
from ddnsd.service.update import MOST_REQUESTS
from ddnsd.web import replies
from ddnsd.web.forms import Parameters, decoded, listed, read_parameters, strays
from ddnsd.web.http import HttpRequest
from ddnsd.web.update import UpdateApiEndpoint

FOLDER = "/update/"

_ADDRESSES = ("ip", "ipv6", "ip6lanprefix")
_KNOWN = frozenset(("domains", "token", "verbose", "clear", "txt", *_ADDRESSES))
_IN_PATH = ("domains", "token", "ip")  # in their order


class DuckDnsCall(NamedTuple):
    """One call: what is asked of all its names, done for all or for none. What is absent is empty."""

    domains: tuple[str, ...]
    token: str
    ip: str
    ipv6: str
    prefix: str
    text: str  # the value of a TXT record
    clear: tuple[RRType, ...]
    verbose: bool
    strays: tuple[str, ...] = ()  # under names that nobody knows

    def requests(self, source: str, peer: str) -> tuple[Request, ...]:
        """Return a request for each domain, or the one that has none; a single label stands for a host."""
        return tuple(
            Request(
                *(name, self.ip, self.token, source),
                ipv6=self.ipv6,
                prefix=self.prefix,
                clear=self.clear,
                text=self.text,
                moves=not number,
                strays=self.strays,
                short=True,
                peer=peer,
                api=Api.DUCKDNS,
            )
            for number, name in enumerate(self.domains or ("",))
        )


def read_call(parameters: Parameters) -> DuckDnsCall:
    """Read the parameters that mean something here; all others are ignored.

    `clear=true` clears the addresses and sets none; beside a `txt`, also an empty one, it clears the TXT
    record: so lego and acme.sh take their challenge away. With a `txt` that says something no address is
    touched.
    """
    clears, text = _is_true(parameters, "clear"), parameters.get("txt", "")
    cleared: tuple[RRType, ...] = (Challenge.TXT,) if "txt" in parameters else tuple(Family)
    sets_address = not clears and not text
    asks = any(parameters.get(name) for name in _ADDRESSES)
    return DuckDnsCall(
        domains=listed(parameters.get("domains", "")),
        token=parameters.get("token", ""),
        ip=parameters.get("ip", "") if sets_address else "",
        ipv6=parameters.get("ipv6", "") if sets_address else "",
        prefix=parameters.get("ip6lanprefix", "") if sets_address else "",
        text="" if clears else text,
        clear=cleared if clears else (),
        verbose=_is_true(parameters, "verbose"),
        strays=() if asks or not sets_address else strays(parameters, _KNOWN),
    )


def read_path(path: str) -> Parameters | None:
    """Return the parameters in a path below `/update/`; None if it has more than can be meant."""
    segments = path.removeprefix(FOLDER).split("/")
    while segments and not segments[-1]:
        segments.pop()
    if len(segments) > len(_IN_PATH):
        return None
    return dict(zip(_IN_PATH, map(decoded, segments), strict=False))


def _is_true(parameters: Parameters, name: str) -> bool:
    return parameters.get(name, "").lower() == "true"


OK, KO = "OK", "KO"
_UPDATED, _NO_CHANGE = "UPDATED", "NOCHANGE"


def text_of(answer: UpdateResult, *, verbose: bool) -> str:
    """Return the words for an answer.

    A `verbose` one goes on with the two addresses of the first name, or its TXT value, a line each, which is
    empty for what was not asked for; and with whether anything changed.
    """
    if isinstance(answer, Refusal | Limited):
        return KO
    if not verbose:
        return OK
    last = _UPDATED if any(map(is_change, answer)) else _NO_CHANGE
    return "\n".join((OK, *(_value(answer, type) for type in _types(answer)), last))


def _types(results: Sequence[HostResult]) -> tuple[RRType, ...]:
    challenged = any(isinstance(each, Updated | Unchanged) and each.type is Challenge.TXT for each in results)
    return (Challenge.TXT,) if challenged else tuple(Family)


def _value(results: Sequence[HostResult], type: RRType) -> str:
    values = (each.ip for each in results if isinstance(each, Updated | Unchanged) and each.type is type)
    return next(values, "")


class DuckDnsEndpoint(UpdateApiEndpoint):
    """Reads the call, has it decided as a whole, writes the answer."""

    api = Api.DUCKDNS

    def __call__(self, exchange: HttpRequest) -> None:
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

    def _submit(self, exchange: HttpRequest, call: DuckDnsCall, source: str, started: float) -> None:
        def answer(answer: UpdateResult, name: str) -> None:
            _send(exchange, text_of(answer, verbose=call.verbose), late=isinstance(answer, Limited))
            self._access_log.note([name], [answer], source, started)

        self._service.submit(call.requests(source, exchange.peer), answer, waits=exchange.note_publishing)

    def _refuse(self, exchange: HttpRequest, reason: str, source: str, started: float) -> None:
        late = self._note_unreadable(exchange, reason, source, started)
        _send(exchange, KO, late=late)


def _parameters(exchange: HttpRequest) -> Parameters | None:
    """Return the parameters in the path, the query and the body; None for a path that means nothing."""
    sent = read_parameters(exchange.query, exchange.headers, exchange.body)
    if not exchange.path.startswith(FOLDER):
        return sent
    in_path = read_path(exchange.path)
    return None if in_path is None else {**sent, **in_path}


def _send(exchange: HttpRequest, text: str, *, late: bool) -> None:
    exchange.reply(200, text.encode(), late, **{"Content-Type": replies.TEXT_TYPE})
