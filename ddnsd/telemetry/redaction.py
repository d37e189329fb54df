"""No secret in a log: what could be one is replaced before anything is written.

It rather hides too much than too little: a log line may lose a harmless word, never show a token.
"""

import re
from collections.abc import Mapping, MutableMapping
from functools import lru_cache
from typing import Any

HIDDEN = "***"
_WORDS = ("token", "secret", "password", "passwd", "authorization", "cookie", "key")


def _letter(letter: str) -> str:
    """Match a letter as it is or percent-encoded, also more than once (`%2574`)."""
    return f"(?:{letter}|%(?:25)*(?:{ord(letter):02x}|{ord(letter.upper()):02x}))"


# Any name that ends with such a word: token, access_token, X-Api-Key, %74oken.
_NAME = "(?:" + "|".join("".join(map(_letter, word)) for word in _WORDS) + ")"
_NAME_END = re.compile(rf"{_NAME}\Z", re.IGNORECASE)
_HEADER = "(?:" + "|".join("".join(map(_letter, word)) for word in ("authorization", "cookie")) + ")"
_EQUALS = r"(?:=|:|%(?:25)*3[AD])"

_ERRNO = r"\[Errno \d{1,3}\] "  # of an OSError, which may follow a file's name: admin-token: [Errno 13] …

_QUOTED = re.compile(  # "token": "…", 'token': b'…', ("token", "…"), \"token\":\"…\", token='…'
    rf"({_NAME}\\*[\"']?\s*(?:{_EQUALS}|,)\s*[a-z]?)(\\*[\"'])(?:(?!\2)(?:\\.|.))*+",
    re.IGNORECASE | re.DOTALL,
)
_HEADER_LINE = re.compile(rf"({_HEADER}\\*[\"']?\s*{_EQUALS})(?!\s*[a-z]?\\*[\"'])[^\r\n]++", re.IGNORECASE)
_PLAIN = re.compile(  # …?token=…&, token: …; ends where a query's parameter ends
    rf"({_NAME}\\*[\"']?\s*{_EQUALS}\s*)(?!{_ERRNO})(?![\s\"'])(?![a-z]?\\*[\"'])[^&\s]++", re.IGNORECASE
)
_SCHEME = re.compile(r"\b(Bearer|Basic|Digest)((?:\s|%20|\+)+)[^\s\"'&]++", re.IGNORECASE)
_FOLDER = "/update/"
_BELOW = re.compile(rf"({_FOLDER}[^/\s]*/)[^/\s?\"'<>]++")  # DuckDNS: /update/<domains>/<token>/<ip>
_AFTER_SCHEME = re.compile(r"(?<=://)[^\s?\"'<>]++")
# What none of these can match, because it has nothing that separates a name from a value, or no letters
# for a name: names, IPv4 addresses, events; times, IPv6 addresses. Nearly all that is logged is such.
_HARMLESS = re.compile(r"[A-Za-z0-9._/-]*+|[0-9A-Fa-fTZ.:+-]*+")


def redact_text(text: str) -> str:
    """Hide the values of secret parameters, fields and headers, credentials, user parts of URLs, and
    the tokens in DuckDNS' paths."""
    return text if _HARMLESS.fullmatch(text) and _FOLDER not in text else search_text(text)


def search_text(text: str) -> str:
    """Do what `redact_text` does, and look at harmless texts too."""
    text = _QUOTED.sub(rf"\1\2{HIDDEN}", text)
    text = _HEADER_LINE.sub(rf"\1 {HIDDEN}", text)
    text = _PLAIN.sub(rf"\1{HIDDEN}", text)
    text = _SCHEME.sub(rf"\1\2{HIDDEN}", text)
    text = _BELOW.sub(rf"\1{HIDDEN}", text)
    return _AFTER_SCHEME.sub(_without_user, text)


def _without_user(match: re.Match[str]) -> str:
    _, at, rest = match[0].rpartition("@")
    return f"{HIDDEN}@{rest}" if at else rest


def redact_value(value: object) -> object:
    """Hide what is secret in a value of any depth; what is no plain value is taken by its repr."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        return redact_text(value)
    if isinstance(value, bytes | bytearray):
        return redact_text(bytes(value).decode(errors="backslashreplace"))
    if isinstance(value, Mapping):
        return {redact_text(str(name)): redact_field(str(name), inner) for name, inner in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [redact_value(inner) for inner in value]
    return redact_text(repr(value))


def redact_field(name: str, value: object) -> object:
    """Hide a field's value whole if its name says that it is secret."""
    return HIDDEN if _is_secret(name) else redact_value(value)


@lru_cache(maxsize=1024)
def _is_secret(name: str) -> bool:
    return _NAME_END.search(name) is not None


def redact_event(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Redact a structlog event; to run after exceptions have become text."""
    return {name: redact_field(name, value) for name, value in event.items()}
