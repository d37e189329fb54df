"""The health listener, and clients that leave."""

import asyncio
import logging
import socket
import struct

import pytest
from tornado.testing import bind_unused_port

from ddnsd.web.connections import ConnectionLimits, Connections
from ddnsd.web.health import Readiness, make_health_application
from ddnsd.web.http_server import HttpServer
from tests.waiting import until
from tests.web.public_place import PATIENT

RESET = struct.pack("ii", 1, 0)  # SO_LINGER: close() resets the connection


async def always_ready() -> Readiness:
    return Readiness(True, ())


async def test_a_client_that_resets_while_it_gets_metrics_is_no_failure(
    caplog: pytest.LogCaptureFixture,
) -> None:
    asked, gone, answered = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def exposition() -> bytes:
        asked.set()
        await gone.wait()
        asyncio.get_running_loop().call_soon(answered.set)
        return b"x" * 10_000_000

    connections = Connections(ConnectionLimits(9, 9), lambda _: False, lambda _: None)
    server = HttpServer(make_health_application(always_ready, exposition), PATIENT, connections)
    listening, port = bind_unused_port()
    server.add_sockets([listening])
    with caplog.at_level(logging.INFO):
        client = socket.create_connection(("127.0.0.1", port))
        client.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        await asked.wait()
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        client.close()

        async def noticed() -> bool:
            return len(connections) == 0

        await until(noticed, 10, "the server sees the reset")
        gone.set()
        await answered.wait()
        await server.close()
    server.stop()
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []
