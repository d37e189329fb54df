"""The admin listener's application: its routes, its log, its metrics."""

import functools
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

import structlog
from tornado.httputil import HTTPServerRequest
from tornado.web import Application, RequestHandler

from ddnsd.service.audit import AuditLog
from ddnsd.service.limits import RefusedAttempt
from ddnsd.service.registry import Registry
from ddnsd.telemetry.logging import HIDDEN
from ddnsd.telemetry.metrics import Metrics
from ddnsd.web.admin import apply, archive, audit, drain, history, openapi, resources, sources, status, work
from ddnsd.web.admin.base import AdminHandler, AdminTokens, Services, UnknownPathHandler
from ddnsd.web.http import InFlight

_log = structlog.get_logger(__name__)

ROUTES = (
    *(*resources.ROUTES, *work.ROUTES, *apply.ROUTES, *archive.ROUTES, *sources.ROUTES),
    *(*audit.ROUTES, *history.ROUTES, *status.ROUTES, *drain.ROUTES, *openapi.ROUTES),
)


def make_admin_application(
    registry: Registry,
    audit_log: AuditLog,
    tokens: AdminTokens,
    status: Callable[[], Awaitable[Mapping[str, Any]]],
    retire: Callable[[float], Awaitable[None]],
    refused: Callable[[], Awaitable[Sequence[RefusedAttempt]]],
    metrics: Metrics,
    in_flight: InFlight,
) -> Application:
    """Return the application.

    `status` returns what `GET /api/v1/status` shows, ready for JSON; `retire` makes the node want no more
    traffic and returns so many seconds later; `refused` returns the attempts that it has refused lately;
    `in_flight` gets to know the requests that wait for their answer.
    """
    services = Services(
        registry, audit_log, tokens, status, retire, refused, metrics, openapi.describe(ROUTES), in_flight
    )
    return Application(
        [(route.pattern, route.handler, {"services": services, **route.arguments}) for route in ROUTES],
        default_handler_class=UnknownPathHandler,
        default_handler_args={"services": services},
        log_function=functools.partial(_record, metrics),
    )


def _record(metrics: Metrics, handler: RequestHandler) -> None:
    """Log and count one answer."""
    code, seconds = handler.get_status(), handler.request.request_time()
    result = "done" if code < 400 else "refused" if code < 500 else "failed"
    metrics.request("admin", result, seconds)
    method, path = _shown(handler.request, code)
    by = handler.caller.name if isinstance(handler, AdminHandler) and handler.caller else ""
    _log.info("admin.request", method=method, path=path, status=code, seconds=round(seconds, 4), by=by)


def _shown(request: HTTPServerRequest, status: int) -> tuple[str, str]:
    """Return the method and path as they may be logged, of what was refused only the route.

    Where a name belongs, somebody may have written a secret; so the query is never logged either.
    """
    method, path = request.method or "", request.path
    if status < 400:
        return method, path
    route = next((route.path for route in ROUTES if re.fullmatch(route.pattern, path)), HIDDEN)
    return method if method in RequestHandler.SUPPORTED_METHODS else HIDDEN, route
