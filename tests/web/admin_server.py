"""A real admin API on a loopback port, over a real registry."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from prometheus_client import CollectorRegistry
from tornado.httpclient import AsyncHTTPClient, HTTPResponse
from tornado.testing import bind_unused_port

from ddnsd.model.resources import digest
from ddnsd.service.audit import AuditLog
from ddnsd.service.limits import RefusedAttempt, RefusedAttempts
from ddnsd.telemetry.metrics import Metrics
from ddnsd.web.admin import AdminCredential, AdminScope, AdminServices, AdminTokens, make_admin_application
from ddnsd.web.connections import ConnectionLimits, Connections
from ddnsd.web.http import InFlight
from ddnsd.web.http_connection import HttpLimits
from ddnsd.web.http_server import HttpServer
from tests.service.registry_node import Node, single_node

ADMIN_TOKEN = "the-admin-token-of-this-test"
TOKENS = {
    "admin": (ADMIN_TOKEN, AdminScope.ALL),
    "monitor": ("the-token-that-may-read", AdminScope.READ),
    "dns-team": ("the-token-for-zones", AdminScope.ZONES),
    "ci": ("the-token-for-accounts", AdminScope.ACCOUNTS),
}


@dataclass
class AdminServer:
    """The server and a client for it."""

    node: Node
    port: int
    metrics: Metrics
    refused: RefusedAttempts

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def ask(self, method: str, path: str, body: Any = None, **headers: str) -> HTTPResponse:
        """Send one request; a body that is neither text nor bytes is sent as JSON. Headers: `If_Match=…`."""
        if body is not None and not isinstance(body, str | bytes):
            body = msgspec.json.encode(body)
        sent = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        return await AsyncHTTPClient().fetch(
            self.url + path,
            method=method,
            headers=sent,
            body=body,
            raise_error=False,
            allow_nonstandard_methods=True,
        )


@asynccontextmanager
async def admin_server(folder: Path, max_body: int = 65536) -> AsyncIterator[AdminServer]:
    """Serve until the block ends. `max_body` is the listener's own limit, as in config.yaml."""
    async with single_node(folder) as node:
        metrics = Metrics(CollectorRegistry())
        refused = RefusedAttempts()

        async def all_refused() -> Sequence[RefusedAttempt]:
            return refused.all()

        tokens = AdminTokens(
            [
                AdminCredential(name, digest(secret), frozenset({scope}))
                for name, (secret, scope) in TOKENS.items()
            ]
        )
        services = AdminServices(
            registry=node.registry,
            audit=AuditLog(node.store),
            tokens=tokens,
            status=_status,
            retire=asyncio.sleep,
            refused=all_refused,
            metrics=metrics,
            in_flight=InFlight(),
        )
        application = make_admin_application(services)
        socket, port = bind_unused_port()
        connections = Connections(ConnectionLimits(64, 64), lambda _: False, lambda _: None)
        server = HttpServer(application, HttpLimits(60, 60, 60, 65536, max_body), connections)
        server.add_sockets([socket])
        try:
            yield AdminServer(node, port, metrics, refused)
        finally:
            server.stop()
            await server.close()


async def _status() -> dict[str, Any]:
    return {"leader": {"name": "one"}, "zones": []}
