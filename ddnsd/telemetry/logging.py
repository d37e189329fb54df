"""One stream of events on standard error: structlog's and the standard library's, rendered alike.

No secret is in it: what could be one is replaced before anything is written. That rather hides too much than
too little: a log line may lose a harmless word, never show a token.

Text of others is made fit for a terminal or a line. A terminal obeys what no reader sees: ESC and the C1
controls (ECMA-48 §5.3; U+009B alone is CSI) move the cursor, change colours or titles; U+2028, NEL and such
end a line for some programs; bidirectional controls turn text around. A client that names a host or sends a
header could forge lines with them. They are shown as escapes.
"""

import json
import logging
import re
import sys
from collections.abc import Mapping, MutableMapping
from functools import lru_cache
from types import TracebackType
from typing import Any, Literal

import structlog
from structlog.typing import Processor

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
    """Hide what is secret in a value of any depth; any other object is taken by its repr."""
    if value is None or isinstance(value, bool | int | float):
        return value
    if isinstance(value, str):
        return redact_text(value)
    if isinstance(value, bytes | bytearray):
        return redact_text(bytes(value).decode(errors="backslashreplace"))
    if isinstance(value, Mapping):
        return {
            redact_text(str(name)): HIDDEN if _is_secret(str(name)) else redact_value(inner)
            for name, inner in value.items()
        }
    if isinstance(value, list | tuple | set | frozenset):
        return [redact_value(inner) for inner in value]
    return redact_text(repr(value))


@lru_cache(maxsize=1024)
def _is_secret(name: str) -> bool:
    """Say whether a field's name tells that its value is to be hidden whole."""
    return _NAME_END.search(name) is not None


def redact_event(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Redact a structlog event; to run after exceptions have become text."""
    return {name: HIDDEN if _is_secret(name) else redact_value(value) for name, value in event.items()}


_MULTILINE = ("exception", "stack")  # fields of an event that are texts of several lines
_INDENT = "  "  # of their lines, so that none can pass for an event of its own


def printable(text: str) -> str:
    """Return the text on one line, with what does not show as an escape: `\\x1b`, `\\u2028`."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else _escape(each) for each in text)


def printable_lines(text: str) -> str:
    """Return a text of several lines, each indented and printable; tabs stay."""
    return "\n".join(_INDENT + "\t".join(map(printable, line.split("\t"))) for line in text.split("\n"))


def printable_event(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Make a structlog event fit for a console; values of other types are shown by their repr, which is."""
    return {name: _shown(name, value) if isinstance(value, str) else value for name, value in event.items()}


def printable_json(text: str) -> str:
    """Return JSON of the same meaning in which everything shows; JSON itself escapes no more than U+001F."""
    return text if text.isprintable() else _HIDDEN.sub(_json_escape, text)


# What may be unprintable; each hit is looked at. ASCII, and so nearly everything, is not searched further.
_HIDDEN = re.compile(r"[^\x20-\x7e]")


def _json_escape(match: re.Match[str]) -> str:
    return match[0] if match[0].isprintable() else json.dumps(match[0])[1:-1]


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


def _shown(name: str, value: str) -> str:
    return printable_lines(value) if name in _MULTILINE else printable(value)


_COMMON: tuple[Processor, ...] = (
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
)


class _Logger(structlog.make_filtering_bound_logger("debug")):  # type: ignore[misc]
    """The class of every logger. Its base is the one that does nothing below the level of now."""


def configure(format: Literal["console", "json"], level: str) -> None:
    """Send every event of at least `level` to standard error, without secrets.

    Called at start, and when one of these changes. Tracebacks are plain text without local variables, also
    of what nobody caught.
    """
    _Logger.__bases__ = (structlog.make_filtering_bound_logger(level),)  # what is below it costs nothing
    structlog.configure(
        processors=[
            *_COMMON,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=_Logger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_formatter(format))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    # Below a warning it only quotes malformed requests, with any secret in them.
    logging.getLogger("tornado.general").setLevel(max(root.level, logging.WARNING))
    logging.getLogger("httpx2").setLevel(max(root.level, logging.WARNING))  # it reports every request
    logging.getLogger("httpcore2").setLevel(max(root.level, logging.WARNING))  # ... and of each step of it
    logging.getLogger("grpc").setLevel(max(root.level, logging.INFO))  # it reports every turn of the loop
    sys.excepthook = _log_uncaught


def _formatter(format: Literal["console", "json"]) -> logging.Formatter:
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=_COMMON,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.StackInfoRenderer(),
            structlog.processors.format_exc_info,
            redact_event,
            *_renderers(format),
        ],
    )


def _renderers(format: Literal["console", "json"]) -> tuple[Processor, ...]:
    if format == "json":
        return (structlog.processors.JSONRenderer(_dump),)
    # The default formatter of exceptions would show local variables.
    plain = structlog.dev.plain_traceback
    console = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=plain)
    return printable_event, console


def _dump(event: object, **options: Any) -> str:
    return printable_json(json.dumps(event, ensure_ascii=False, **options))


def _log_uncaught(type: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    if issubclass(type, KeyboardInterrupt):
        sys.__excepthook__(type, error, traceback)
        return
    logging.getLogger("ddnsd").critical("uncaught", exc_info=(type, error, traceback))
