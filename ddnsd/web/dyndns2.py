"""`GET|POST /nic/update`: dyndns2, which nearly every router and client speaks (docs/dyndns2.md).

Each host of a call becomes one call to the update service, all at the same time. The words of the answers are
those of https://help.dyn.com/return-codes.html. A client understands the word or the status, seldom both.
ddclient takes every status but 2xx as a failure and reads no further. inadyn ends for good on `911`, `dnserr`
or `abuse` with status 200, and on a 429; on a 503 it comes again. So what may be better next time is a 503,
and what a person has to mend is a 200 with its word.
"""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

from tornado.httputil import HTTPHeaders

from ddnsd.model.addresses import Family
from ddnsd.model.request import (
    Api,
    HostResult,
    Limited,
    Moved,
    Refusal,
    Request,
    Unchanged,
    Updated,
    UpdateResult,
    is_change,
)
from ddnsd.service.limits import Ticket
from ddnsd.service.update import MOST_REQUESTS, UpdateService, Waits
from ddnsd.web import replies
from ddnsd.web.client_address import is_forged
from ddnsd.web.forms import NOTHING, Parameters, listed, read_parameters, strays, token_of
from ddnsd.web.http import HttpRequest
from ddnsd.web.update import UpdateApiEndpoint

_MOST_ADDRESSES = 8
# Names that clients give an address, of either family, in the order in which they are read: Dyn's, those of
# No-IP and deSEC (https://desec.readthedocs.io/en/latest/dyndns/update-api.html).
_ADDRESSES = ("myip", "myipv4", "ip", "ipv4", "myipv6", "ipv6")
# A prefix: AVM's placeholder (FritzBox), and dynv6's (https://dynv6.com/docs/apis).
_PREFIXES = ("ip6lanprefix", "ipv6prefix")
_KNOWN = frozenset(("hostname", "username", "password", "offline", *_ADDRESSES, *_PREFIXES))


class Dyndns2Call(NamedTuple):
    """One call: what is asked of all its hosts. What is absent is empty."""

    hosts: tuple[str, ...]
    token: str
    addresses: tuple[str, ...]  # of either family
    prefix: str
    offline: bool
    strays: tuple[str, ...] = ()  # under names that nobody knows

    def requests(self, source: str, peer: str) -> tuple[Request, ...]:
        """Return a request for each host, in their order."""
        return tuple(self._request(host, source, peer) for host in self.hosts)

    def _request(self, host: str, source: str, peer: str) -> Request:
        if self.offline:
            clear = tuple(Family)
            return Request(host, "", self.token, source, clear=clear, peer=peer, api=Api.DYNDNS2)
        first, more = (self.addresses[0], self.addresses[1:]) if self.addresses else ("", ())
        return Request(
            *(host, first, self.token, source),
            more=more,
            strays=self.strays,
            prefix=self.prefix,
            peer=peer,
            api=Api.DYNDNS2,
        )


def read_call(parameters: Parameters, headers: HTTPHeaders) -> Dyndns2Call:
    """Read the parameters that mean something here; all others, such as `wildcard` and `mx`, are ignored.

    A `password` parameter wins over the header, as a `token` does in the update API. More addresses than
    anybody has are left as one text, which is the address of nothing.
    """
    texts = (item for name in _ADDRESSES for item in listed(parameters.get(name, "")))
    addresses = tuple(dict.fromkeys(texts))
    prefix = next(filter(None, (parameters.get(name) for name in _PREFIXES)), "")
    offline = parameters.get("offline", "").lower() == "yes"
    return Dyndns2Call(
        hosts=listed(parameters.get("hostname", "")),
        token=parameters.get("password") or token_of(headers),
        addresses=addresses if len(addresses) <= _MOST_ADDRESSES else (NOTHING,),
        prefix=prefix,
        offline=offline,
        strays=() if addresses or prefix or offline else strays(parameters, _KNOWN),
    )


OnDyndns2Answers = Callable[[Sequence[UpdateResult], Sequence[str]], None]
"""Takes the answers, and the names that they are for."""


class Submission:
    """Has each host's request decided, and gathers the answers in their order.

    Each is done or not by itself. A prefix is for all hosts that follow it, so that one of the requests
    moves them: the first that is not refused. All others know the prefix, too, so that a host that follows
    it takes its address from there, and not the router's own.
    """

    def __init__(
        self,
        service: UpdateService,
        requests: Sequence[Request],
        done: OnDyndns2Answers,
        waits: Waits = lambda: None,
    ) -> None:
        """`done` is called once; `waits` when those that are not answered wait for a nameserver alone."""
        self._service = service
        self._requests = requests
        self._done = done
        self._waits = waits
        self._waiting: set[int] = set()  # those that wait for a nameserver
        self._answers: dict[int, UpdateResult] = {}
        self._names = [""] * len(requests)
        self._ticket = Ticket()
        self._mover = 0
        self._before: tuple[HostResult, ...] = ()  # what the mover's request had come to without the prefix

    def start(self) -> None:
        """Submit all."""
        for index, request in enumerate(self._requests):
            self._submit(index, request._replace(moves=index == self._mover))

    def _submit(self, index: int, request: Request) -> None:
        self._waiting.discard(index)
        self._service.submit(
            (request,), partial(self._take, index), self._ticket, partial(self._note_waiting, index)
        )

    def _note_waiting(self, index: int) -> None:
        self._waiting.add(index)
        self._tell_waiting()

    def _tell_waiting(self) -> None:
        if len(self._waiting | self._answers.keys()) == len(self._requests):
            self._waits()

    def _take(self, index: int, answer: UpdateResult, name: str) -> None:
        self._answers[index] = answer
        self._names[index] = name
        if len(self._answers) < len(self._requests):
            self._tell_waiting()
            return
        if self._before and not isinstance(answer, Refusal | Limited):
            moves = (result for result in answer if isinstance(result, Moved))
            self._answers[index] = (*self._before, *moves)
        if not self._moves_again():
            self._done([self._answers[index] for index in range(len(self._requests))], self._names)

    def _moves_again(self) -> bool:
        """If the request that should have moved the hosts was refused, let the next one do it."""
        refused = self._answers[self._mover]
        if not self._requests[0].prefix or not isinstance(refused, Refusal) or refused.status >= 500:
            return False
        for index in range(self._mover + 1, len(self._requests)):
            answer = self._answers[index]
            if not isinstance(answer, Refusal | Limited):
                self._mover, self._before = index, answer
                del self._answers[index]
                self._submit(index, self._requests[index])
                return True
        return False


BAD_AUTH, ABUSE, NO_HOST, NOT_FQDN, NUM_HOST, BAD_IP = (
    "badauth",
    "abuse",
    "nohost",
    "notfqdn",
    "numhost",
    "badip",
)
DNS_ERROR, TROUBLE = "dnserr", "911"
_TEMPORARY = (DNS_ERROR, TROUBLE)

WORDS: Mapping[Refusal, str] = {
    Refusal.MISSING_TOKEN: BAD_AUTH,
    Refusal.UNKNOWN_TOKEN: BAD_AUTH,
    Refusal.BANNED: ABUSE,
    Refusal.SUSPENDED: TROUBLE,
    Refusal.NOT_FOUND: NO_HOST,
    Refusal.RECORD_DISABLED: NO_HOST,
    Refusal.ZONE_DISABLED: NO_HOST,
    Refusal.FIRST_LEVEL: NOT_FQDN,
    Refusal.MISSING_DOMAIN: NUM_HOST,
    Refusal.INVALID_IP: BAD_IP,
    Refusal.FAMILY_MISMATCH: BAD_IP,
    Refusal.NAMESERVER_FAILED: DNS_ERROR,
    Refusal.STORE_FAILED: TROUBLE,
}


class Dyndns2Reply(NamedTuple):
    """An answer as it is sent."""

    status: int
    body: bytes
    headers: Mapping[str, str] = {}


FORGED = Dyndns2Reply(403, BAD_AUTH.encode())
"""What another site's page is told: no browser asks for credentials at a 403."""


def reply_to(answers: Sequence[UpdateResult]) -> Dyndns2Reply:
    """Return the answer to a call: a line for each host, in their order.

    What a prefix has moved counts for every one.
    """
    waits = [answer.retry_after for answer in answers if isinstance(answer, Limited)]
    done = (answer for answer in answers if not isinstance(answer, Refusal | Limited))
    moves = [result for results in done for result in results if isinstance(result, Moved)]
    return reply_of([line(answer, moves) for answer in answers], retry_after=max(waits, default=0))


def reply_of(lines: Sequence[str], *, retry_after: float = 0) -> Dyndns2Reply:
    """Return the answer with these lines; `retry_after` in seconds, 0: when the client likes.

    Wrong credentials are wrong for all hosts, and said once.
    """
    if any(word in _TEMPORARY for word in lines):
        later = {"Retry-After": str(math.ceil(retry_after))} if retry_after > 0 else {}
        return Dyndns2Reply(503, "\n".join(lines).encode(), later)
    if BAD_AUTH in lines:
        return Dyndns2Reply(401, BAD_AUTH.encode(), {"WWW-Authenticate": 'Basic realm="ddnsd"'})
    return Dyndns2Reply(200, "\n".join(lines).encode())


def line(answer: UpdateResult, moves: Sequence[Moved]) -> str:
    """Return what one host is told: a word, and after `good` and `nochg` its addresses.

    A host that has none any more is told the word alone, which is what clients look at: none takes an
    address from there that it has sent itself. Where only a prefix was sent, that stands there.
    """
    if isinstance(answer, Refusal):
        return WORDS[answer]
    if isinstance(answer, Limited):
        return TROUBLE
    word = "good" if any(map(is_change, (*answer, *moves))) else "nochg"
    addresses = [result.ip for result in answer if isinstance(result, Updated | Unchanged)]
    told = ",".join(filter(None, addresses or [move.prefix for move in moves]))
    return f"{word} {told}" if told else word


class Dyndns2Endpoint(UpdateApiEndpoint):
    """Reads the call, has each host's request decided, writes a line for each."""

    api = Api.DYNDNS2

    def __call__(self, exchange: HttpRequest) -> None:
        """Answer one call."""
        started = time.perf_counter()
        source = self._sources.source(exchange.peer, exchange.headers)
        parameters = read_parameters(exchange.query, exchange.headers, exchange.body)
        if not parameters.get("password") and is_forged(exchange.headers):
            self._refuse(exchange, FORGED, "sent for another site's page", source, started)
            return
        call = read_call(parameters, exchange.headers)

        def answer(answers: Sequence[UpdateResult], names: Sequence[str], late: bool) -> None:
            _send(exchange, reply_to(answers), late=late)
            self._access_log.note(names, answers, source, started)

        def settle(answers: Sequence[UpdateResult], names: Sequence[str]) -> None:
            answer(answers, names, any(isinstance(each, Limited) for each in answers))

        def refuse(refusal: Refusal) -> None:
            answer([refusal], [""], self._is_late(exchange, source))

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

    def _refuse(
        self, exchange: HttpRequest, reply: Dyndns2Reply, reason: str, source: str, started: float
    ) -> None:
        late = self._note_unreadable(exchange, reason, source, started)
        _send(exchange, reply, late=late)


def _send(exchange: HttpRequest, reply: Dyndns2Reply, *, late: bool) -> None:
    exchange.reply(reply.status, reply.body, late, **{"Content-Type": replies.TEXT_TYPE, **reply.headers})
