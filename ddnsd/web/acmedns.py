"""`POST /update` as https://github.com/joohoi/acme-dns has it: a value for a host's ACME challenges."""

import time
from collections.abc import Mapping

import msgspec
from tornado.httputil import HTTPHeaders

from ddnsd.model.request import Api, Limited, Refusal, Request, UpdateResult
from ddnsd.web import replies
from ddnsd.web.forms import media_type
from ddnsd.web.http import HttpRequest
from ddnsd.web.update import UpdateApiEndpoint

USER, KEY = "X-Api-User", "X-Api-Key"
FORBIDDEN, MALFORMED, BAD_SUBDOMAIN, BAD_TXT = (
    "forbidden",
    "malformed_json_payload",
    "bad_subdomain",
    "bad_txt",
)
DNS_ERROR, STORE_ERROR, LIMITED = "dns_error", "db_error", "too_many_requests"

ERRORS: Mapping[Refusal, tuple[int, str]] = {
    Refusal.MISSING_DOMAIN: (400, BAD_SUBDOMAIN),
    Refusal.FIRST_LEVEL: (400, BAD_SUBDOMAIN),
    Refusal.INVALID_IP: (400, BAD_TXT),
    Refusal.NAMESERVER_FAILED: (500, DNS_ERROR),
    Refusal.STORE_FAILED: (500, STORE_ERROR),
}
"""What a client is told; of all other refusals 401 `forbidden`."""


class _Body(msgspec.Struct):
    subdomain: str = ""
    txt: str = ""


_decode = msgspec.json.Decoder(_Body).decode


def is_acme_dns(headers: HTTPHeaders) -> bool:
    """Say whether a `POST /update` is meant for this API, and not DuckDNS' form."""
    return USER in headers or KEY in headers or media_type(headers) == "application/json"


def read_request(headers: HTTPHeaders, body: bytes, source: str, peer: str = "") -> Request | tuple[int, str]:
    """Return what the client asks for, or the status and the word for why it asks for nothing.

    `source` is its own address, `peer` that of its connection. The name and the value are not looked at yet.
    """
    user, key = headers.get(USER, "").strip(), headers.get(KEY, "").strip()
    if not user or not key:
        return 401, FORBIDDEN
    try:
        asked = _decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return 400, MALFORMED
    if not asked.txt:
        return 400, BAD_TXT
    return Request(asked.subdomain, "", key, source, text=asked.txt, user=user, peer=peer, api=Api.ACME_DNS)


class AcmeDnsEndpoint(UpdateApiEndpoint):
    """Reads the request, has it decided, writes the answer."""

    api = Api.ACME_DNS

    def __call__(self, exchange: HttpRequest) -> None:
        """Answer one request."""
        started = time.perf_counter()
        source = self._sources.source(exchange.peer, exchange.headers)
        request = read_request(exchange.headers, exchange.body, source, exchange.peer)
        if not isinstance(request, Request):
            status, error = request
            late = self._note_unreadable(exchange, error, source, started)
            _send(exchange, status, {"error": error}, late=late)
            return

        def answer(answer: UpdateResult, name: str) -> None:
            _reply(exchange, answer, name, request.text)
            self._access_log.note([name], [answer], source, started)

        self._service.submit((request,), answer, waits=exchange.note_publishing)


def error_of(refusal: Refusal, name: str) -> tuple[int, str]:
    """Return the status and the word for a refusal; `name` is "" where no such name can exist."""
    if refusal is Refusal.NOT_FOUND and not name:
        return 400, BAD_SUBDOMAIN
    return ERRORS.get(refusal, (401, FORBIDDEN))


def _reply(exchange: HttpRequest, answer: UpdateResult, name: str, value: str) -> None:
    if isinstance(answer, Limited):
        _send(exchange, 429, {"error": LIMITED}, late=True, **replies.headers(answer))
    elif isinstance(answer, Refusal):
        status, error = error_of(answer, name)
        _send(exchange, status, {"error": error})
    else:
        _send(exchange, 200, {"txt": value})


def _send(
    exchange: HttpRequest, status: int, document: Mapping[str, str], *, late: bool = False, **headers: str
) -> None:
    body, headers = msgspec.json.encode(document), {"Content-Type": replies.CONTENT_TYPE, **headers}
    exchange.reply(status, body, late, **headers)
