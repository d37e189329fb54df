"""The parameters of an update: query string, form or JSON body, and the Authorization header."""

from urllib.parse import parse_qs

import msgspec
from tornado.httputil import HTTPHeaders

from ..model.decision import Request

_MAX_FIELDS = 64
_FORM = "application/x-www-form-urlencoded"
_JSON = "application/json"


class UnreadableRequestError(ValueError):
    """The request is not what its headers say, or not UTF-8."""


class _JsonBody(msgspec.Struct):
    domain: str | None = None
    ip: str | None = None
    token: str | None = None


_json_body = msgspec.json.Decoder(_JsonBody)


def read_request(query: str, headers: HTTPHeaders, body: bytes, source: str) -> Request:
    """Return what the client asked for.

    A parameter of the body wins over one of the query string, a `token` over the header. Of a
    parameter given twice the first counts. `source` is the client's own address.

    Raises:
        UnreadableRequestError: bad percent-encoding, bad UTF-8, bad JSON, an unknown content type.
    """
    values = _read_form(query)
    if body:
        values |= _read_body(headers, body)
    token = values.get("token") or _bearer(headers)
    return Request(values.get("domain", ""), values.get("ip", ""), token, source)


def _read_body(headers: HTTPHeaders, body: bytes) -> dict[str, str]:
    content_type = headers.get("Content-Type", _FORM).partition(";")[0].strip().lower()
    if content_type == _JSON:
        return _read_json(body)
    if content_type == _FORM:
        try:
            return _read_form(body.decode("ascii"))
        except UnicodeDecodeError as error:
            raise UnreadableRequestError("a form with bytes outside ASCII") from error
    raise UnreadableRequestError("a content type that is neither a form nor JSON")


def _read_json(body: bytes) -> dict[str, str]:
    try:
        decoded = _json_body.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UnreadableRequestError("not a JSON object with text in domain, ip and token") from error
    values = {"domain": decoded.domain, "ip": decoded.ip, "token": decoded.token}
    return {name: value.strip() for name, value in values.items() if value}


def _read_form(text: str) -> dict[str, str]:
    """Return the first value of each parameter; an empty one counts as absent."""
    try:
        fields = parse_qs(text, encoding="utf-8", errors="strict", max_num_fields=_MAX_FIELDS)
    except ValueError as error:  # UnicodeDecodeError is one
        raise UnreadableRequestError("parameters that are not UTF-8, or too many") from error
    return {name: values[0].strip() for name, values in fields.items()}


def _bearer(headers: HTTPHeaders) -> str:
    scheme, _, credentials = headers.get("Authorization", "").partition(" ")
    return credentials.strip() if scheme.lower() == "bearer" else ""
