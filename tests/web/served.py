"""A public listener with the endpoints of a test, and a client of it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from prometheus_client import CollectorRegistry
from tornado.testing import bind_unused_port

from ddnsd.telemetry.metrics import Metrics
from ddnsd.web.public import PublicListener, Routes
from ddnsd.web.server import PublicServer
from tests.system.http import Client


@asynccontextmanager
async def served(routes: Routes) -> AsyncIterator[Client]:
    """Serve the routes on a free port."""
    server = PublicServer(
        PublicListener(routes, 1000, Metrics(CollectorRegistry())), idle_connection_timeout=60
    )
    listening, port = bind_unused_port()
    server.add_socket(listening)
    client = Client(f"127.0.0.1:{port}")
    yield client
    await client.close()
    server.stop()
    await server.close_all_connections()
