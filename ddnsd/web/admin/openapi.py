"""`GET /api/v1/openapi.json`: derived from the routes, the methods and the shapes, so it cannot drift."""

from collections.abc import Iterable
from typing import Any

import msgspec

from ddnsd import __version__
from ddnsd.service.registry import Applied, Restored
from ddnsd.service.source_status import SourceStatus
from ddnsd.web.admin import base
from ddnsd.web.admin.base import Operation, Route

_REFERENCE = "#/components/schemas/{name}"
_TYPES = (
    *base.DOCUMENTS.values(),
    *base.LISTS.values(),
    base.NewToken,
    base.CreatedToken,
    base.DeletedAnswer,
    base.TakenOverAnswer,
    base.ReleasedAnswer,
    base.PrunedAnswer,
    SourceStatus,
    base.WorkAnswer,
    base.AuditList,
    base.HistoryList,
    base.RefusedList,
    base.Drain,
    base.DrainedAnswer,
    base.Failure,
    Applied,
    Restored,
)


def describe(routes: Iterable[Route]) -> dict[str, Any]:
    """Return the OpenAPI 3.1 document of the routes."""
    return {
        "openapi": "3.1.0",
        "info": {"title": "ddnsd admin API", "version": __version__},
        "security": [{"admin": []}],
        "paths": {route.path: _path(route) for route in routes},
        "components": {
            "securitySchemes": {"admin": {"type": "http", "scheme": "bearer"}},
            "schemas": _schemas(),
        },
    }


def _schemas() -> dict[str, Any]:
    _, schemas = msgspec.json.schema_components(_TYPES, ref_template=_REFERENCE)
    return schemas | {
        "Documents": {"type": "array", "items": _any_of(*(kind.value for kind in base.DOCUMENTS))},
        "History": _any_of("HistoryList", "RefusedList"),
        "Status": {"type": "object"},
        "Sources": {"type": "array", "items": {"$ref": _REFERENCE.format(name="SourceStatus")}},
        "Archive": {"type": "string", "description": "a stream of YAML documents: docs/admin/reference.md"},
        "OpenApi": {"type": "object"},
    }


def _any_of(*names: str) -> dict[str, Any]:
    return {"anyOf": [{"$ref": _REFERENCE.format(name=name)} for name in names]}


def _path(route: Route) -> dict[str, Any]:
    path: dict[str, Any] = {}
    for method in route.handler.SUPPORTED_METHODS:
        if method in route.operations:
            path[method.lower()] = _method(route, method, route.operations[method])
    if "{name}" in route.path:
        path["parameters"] = [_parameter("name", "path", "the resource's name", required=True)]
    return path


def _method(route: Route, method: str, shown: Operation) -> dict[str, Any]:
    answer = _content(shown.answer)
    described: dict[str, Any] = {
        "summary": shown.summary,
        "operationId": f"{method.lower()}{route.path.replace('/', '_').replace('{name}', 'name')}",
        "parameters": [_parameter(name, "query", text) for name, text in shown.query.items()],
        "responses": {
            **{str(status): {"description": "done", "content": answer} for status in shown.statuses},
            "default": {"description": "not done", "content": _content("Failure")},
        },
    }
    if shown.match:
        described["parameters"].append(_parameter("If-Match", "header", "the ETag it must have"))
    if shown.body:
        described["requestBody"] = {"required": True, "content": _content(shown.body)}
    return described


def _content(name: str) -> dict[str, Any]:
    media = "application/yaml" if name == "Archive" else "application/json"
    return {media: {"schema": {"$ref": _REFERENCE.format(name=name)}}}


def _parameter(name: str, place: str, text: str, *, required: bool = False) -> dict[str, Any]:
    described = {"name": name, "in": place, "description": text, "schema": {"type": "string"}}
    return described | ({"required": True} if required else {})
