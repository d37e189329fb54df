"""One stream of events on standard error: structlog's and the standard library's, rendered alike."""

import json
import logging
import sys
from types import TracebackType
from typing import Any, Literal

import structlog
from structlog.typing import Processor

from ddnsd.telemetry.printable import printable_event, printable_json
from ddnsd.telemetry.redaction import redact_event

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
    # Below a warning it only quotes malformed requests, and so whatever secret stands in one.
    logging.getLogger("tornado.general").setLevel(max(root.level, logging.WARNING))
    logging.getLogger("grpc").setLevel(max(root.level, logging.INFO))  # it tells of every turn of the loop
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
