"""The admin listener's application: its routes, its log, its metrics."""

from collections.abc import Callable, Mapping
from typing import Any

import structlog
from tornado.web import Application, RequestHandler

from ...service.registry import Registry
from ...telemetry.metrics import Metrics
from . import apply, openapi, resources, status, work
from .base import Services, UnknownPathHandler

_log = structlog.get_logger(__name__)

ROUTES = (*resources.ROUTES, *work.ROUTES, *apply.ROUTES, *status.ROUTES, *openapi.ROUTES)


def make_admin_application(
    registry: Registry,
    token_digest: str,
    status: Callable[[], Mapping[str, Any]],
    metrics: Metrics,
) -> Application:
    """Return the application.

    `token_digest` is the hex SHA-256 of the admin token; `status` returns what `GET /api/v1/status`
    shows, ready for JSON.
    """
    services = Services(registry, token_digest, status, metrics, openapi.describe(ROUTES))
    handlers = [(route.pattern, route.handler, {"services": services, **route.arguments}) for route in ROUTES]

    def record(handler: RequestHandler) -> None:
        _record(metrics, handler)

    return Application(
        handlers,
        default_handler_class=UnknownPathHandler,
        default_handler_args={"services": services},
        log_function=record,
    )


def _record(metrics: Metrics, handler: RequestHandler) -> None:
    """Log and count one answer; the path without its query, where a secret might stand by mistake."""
    code, seconds = handler.get_status(), handler.request.request_time()
    result = "done" if code < 400 else "refused" if code < 500 else "failed"
    metrics.request("admin", result, seconds)
    method, path = handler.request.method, handler.request.path
    _log.info("admin.request", method=method, path=path, status=code, seconds=round(seconds, 4))
