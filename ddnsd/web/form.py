"""Parameters for APIs whose answers have no word for "unreadable": whatever is sent, something is read.

What is no UTF-8, or too long, becomes a text that no name, address or token is, and is refused as such.
Lengths and numbers are bounded before anything is decoded: the client has shown no token yet.
"""

from collections.abc import Collection, Mapping
from typing import Any
from urllib.parse import unquote_to_bytes

from tornado.httputil import HTTPHeaders

from ddnsd.model.addresses import MAX_TEXT as MAX_ADDRESS

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
