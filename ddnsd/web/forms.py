"""The parameters of an update: query string, form or JSON body, and the Authorization header.

Some APIs have no answer for "unreadable": something is read of any call. Text that is not UTF-8,
or too long, becomes text that no name, address or token equals, and is refused as such. Lengths are bounded
before anything is decoded, as are numbers: the client has shown no token yet.
"""

import base64
import binascii
from collections.abc import Collection, Mapping
from typing import Any, TypeVar
from urllib.parse import unquote_plus, unquote_to_bytes

import msgspec
from tornado.httputil import HTTPHeaders

from ddnsd.model.addresses import MAX_TEXT as MAX_ADDRESS
from ddnsd.model.addresses import Family
from ddnsd.model.request import Request

MAX_TEXT = 65536
"""Octets of a query string, or of a body: no setting allows an update more."""
MAX_VALUE = 4096
"""Octets of one parameter as it is sent: 20 names of 200."""
MAX_ESCAPES = 4096
"""Octets of a query string, or of a form, that may be percent-encoded."""
MAX_FIELDS = 64
"""Parameters in a query string, or in a form."""
NOTHING = "\ufffd"
"""A text that no name, address or token is."""

_FORM = "application/x-www-form-urlencoded"

Parameters = Mapping[str, str]
"""Values by name, without the blanks around them; "" where a parameter is there and says nothing."""


def read_parameters(query: str, headers: HTTPHeaders, body: bytes) -> Parameters:
    """Return the parameters of a query string and of a form in the body, which wins where it says something.

    `query` holds octets as Latin-1 text, as Tornado hands it over. Of a parameter given twice the first that
    says something counts. A body of another type is not read, nor what comes after `MAX_FIELDS` parameters,
    nor a form with more octets than `MAX_TEXT`, or more escapes than `MAX_ESCAPES`.
    """
    values = _read_form(query)
    if body and media_type(headers) in ("", _FORM):
        for name, value in _read_form(body.decode("latin-1")).items():
            values[name] = value or values.get(name, "")
    return values


def media_type(headers: HTTPHeaders) -> str:
    """Return the body's type in lower case without its parameters, "" where none is given."""
    return headers.get("Content-Type", "").partition(";")[0].strip().lower()


def is_too_large(text: str) -> bool:
    """Say whether a query string or a form is more than anybody has a use for: it is not decoded."""
    return len(text) > MAX_TEXT or text.count("%") > MAX_ESCAPES


def decoded(text: str) -> str:
    """Return a text without its percent-encoding, and without the blanks around it; `NOTHING` if too long."""
    if len(text) > MAX_VALUE:
        return NOTHING
    return unquote_to_bytes(text.encode("latin-1", "replace")).decode("utf-8", "replace").strip()


def strays(parameters: Mapping[str, Any], known: Collection[str]) -> tuple[str, ...]:
    """Return what stands under names that an API does not know, and may be an address, or a prefix.

    It is not read here: the limits are asked first.
    """
    others = (value for name, value in parameters.items() if name not in known)
    return tuple(dict.fromkeys(value for value in others if _may_be_address(value)))


def _may_be_address(value: Any) -> bool:
    return isinstance(value, str) and 2 <= len(value) <= MAX_ADDRESS and (":" in value or "." in value)


def listed(text: str) -> tuple[str, ...]:
    """Return the items of a list with commas, without the blanks around them; empty ones are none."""
    return tuple(item for part in text.split(",") if (item := part.strip()))


def _read_form(text: str) -> dict[str, str]:
    values: dict[str, str] = {}
    if is_too_large(text):
        return values
    for field in text.split("&", MAX_FIELDS)[:MAX_FIELDS]:
        name, _, value = field.replace("+", " ").partition("=")
        if len(name) <= MAX_VALUE and (name := decoded(name)):
            values[name] = values.get(name) or decoded(value)
    return values


_MAX_HEADER = 8192  # characters; a token has at most 1024


def token_of(headers: HTTPHeaders) -> str:
    """Return the token, "" where there is none: that of `Bearer`, the password of `Basic` (RFC 7617).

    Whatever stands as the user counts for nothing: clients send an account, a host or a mail address.
    """
    scheme, credentials = _authorization(headers)
    return _password(credentials) if scheme == "basic" else bearer_of(headers)


def is_basic(headers: HTTPHeaders) -> bool:
    """Say whether there are Basic credentials, which a browser remembers and sends by itself."""
    return _authorization(headers)[0] == "basic"


def bearer_of(headers: HTTPHeaders) -> str:
    """Return the token of `Bearer` (RFC 6750 §2.1), "" where there is none."""
    scheme, credentials = _authorization(headers)
    return credentials if scheme == "bearer" else ""


def _authorization(headers: HTTPHeaders) -> tuple[str, str]:
    """Return the scheme in lower case, and what follows it; nothing of a header that is too long."""
    header = headers.get("Authorization", "")
    scheme, _, credentials = header.partition(" ") if len(header) <= _MAX_HEADER else ("", "", "")
    return scheme.lower(), credentials.strip()


def _password(encoded: str) -> str:
    try:
        octets = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except (binascii.Error, ValueError):  # the latter: not ASCII
        return ""
    return octets.partition(b":")[2].decode("utf-8", "replace").strip()


_NAMES = ("domain", "ip", "token", "ipv6", "ip6lanprefix", "record_type", "clear")
_MAX_NAME = 3 * max(map(len, _NAMES))  # if each of its letters is percent-encoded
_LONG_VALUE = f"a parameter of more than {MAX_VALUE} octets"
_FAMILIES: Mapping[str, tuple[Family, ...]] = {"": tuple(Family), **{each: (each,) for each in Family}}
_TRUE = ("true", "1", "yes")

_JSON = "application/json"
_Json = TypeVar("_Json")


class UnreadableRequestError(ValueError):
    """The request is not what its headers say, or not UTF-8."""


class _JsonBody(msgspec.Struct):
    domain: str | None = None
    ip: str | None = None
    token: str | None = None
    ipv6: str | None = None
    ip6lanprefix: str | None = None
    record_type: str | None = None
    clear: bool | str | None = None


_json_body = msgspec.json.Decoder(_JsonBody)
_json_object: msgspec.json.Decoder[dict[str, Any]] = msgspec.json.Decoder(dict[str, Any])


def read_request(
    query: str, headers: HTTPHeaders, body: bytes, source: str, peer: str = "", *, withdraws: bool = False
) -> Request:
    """Return what the client asked for.

    `query` holds octets as Latin-1 text, as Tornado hands it over: clients send UTF-8 in it, percent-
    encoded or as it is. A parameter of the body wins over one of the query string, a `token` over the
    header. Of a parameter given twice the first counts; a blank one is absent; a `%` that begins no
    octet stands for itself (https://url.spec.whatwg.org/#percent-decode). `source` is the client's own
    address, `peer` that of its connection.
    With `withdraws`, as with a true parameter `clear`, it asks to withdraw addresses.

    Raises:
        UnreadableRequestError: bad UTF-8, bad JSON, an unknown content type, too many parameters or too long
            ones (`web.form`); or to withdraw what is no address.
    """
    values = _read_parameters(query)
    others = bool(body) or query.count("&") >= len(values) > 0  # there may be parameters of other names
    if body:
        values |= _read_body(headers, body)
    token = values.get("token") or bearer_of(headers)
    ip, ipv6, prefix = values.get("ip", ""), values.get("ipv6", ""), values.get("ip6lanprefix", "")
    request = Request(values.get("domain", ""), ip, token, source, ipv6, prefix=prefix, peer=peer)
    if withdraws or values.get("clear", "").lower() in _TRUE:
        return request._replace(clear=_withdrawn(values))
    if others and not (ip or ipv6 or prefix):
        return request._replace(strays=_strays(query, headers, body))
    return request


def _strays(query: str, headers: HTTPHeaders, body: bytes) -> tuple[str, ...]:
    """Return what may be an address under a name that is none of ours."""
    sent = read_parameters(query, headers, body)
    in_json = _decoded(_json_object, body) if body and media_type(headers) == _JSON else {}
    return strays({**sent, **in_json}, _NAMES)


def _withdrawn(values: Mapping[str, str]) -> tuple[Family, ...]:
    """Return the families to withdraw: `record_type` names one, without it they are both."""
    families = _FAMILIES.get(values.get("record_type", "").upper())
    if families is None:
        raise UnreadableRequestError("a record_type that is neither A nor AAAA")
    return families


def _read_body(headers: HTTPHeaders, body: bytes) -> dict[str, str]:
    content_type = headers.get("Content-Type", _FORM).partition(";")[0].strip().lower()
    if content_type == _JSON:
        return _read_json(body)
    if content_type == _FORM:
        return _read_parameters(body.decode("latin-1"))
    raise UnreadableRequestError("a content type that is neither a form nor JSON")


def _read_json(body: bytes) -> dict[str, str]:
    decoded = _decoded(_json_body, body)
    if isinstance(decoded.clear, bool):
        decoded.clear = str(decoded.clear)
    sent = {name: value.strip() for name, value in msgspec.structs.asdict(decoded).items() if value}
    if any(len(value) > MAX_VALUE for value in sent.values()):
        raise UnreadableRequestError(_LONG_VALUE)
    return {name: value for name, value in sent.items() if value}


def _decoded(decoder: msgspec.json.Decoder[_Json], body: bytes) -> _Json:
    try:
        return decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:  # the last: nested too deep
        raise UnreadableRequestError("not a JSON object with text in domain, ip and token") from error


def _read_parameters(text: str) -> dict[str, str]:
    """Read `application/x-www-form-urlencoded` (https://url.spec.whatwg.org/#urlencoded-parsing)."""
    if is_too_large(text) or text.count("&") >= MAX_FIELDS:
        raise UnreadableRequestError("too many parameters, or too long ones")
    values: dict[str, str] = {}
    for field in text.split("&"):
        name, _, value = field.partition("=")
        if name not in _NAMES and len(name) <= _MAX_NAME:
            name = unquote_plus(name, "latin-1")
        if name not in _NAMES:
            continue
        if len(value) > MAX_VALUE:
            raise UnreadableRequestError(_LONG_VALUE)
        if "%" in value or "+" in value:  # nearly no text is encoded
            value = unquote_plus(value, "latin-1")
        if not value.isascii():
            try:
                value = value.encode("latin-1").decode("utf-8")
            except UnicodeError as error:
                raise UnreadableRequestError("parameters that are not UTF-8") from error
        if value:
            values.setdefault(name, value.strip())
    return {name: value for name, value in values.items() if value}
