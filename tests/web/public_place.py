"""A public listener of the real parts, without a node behind it: the endpoints are the test's."""

import asyncio
import socket
import ssl
from functools import partial
from typing import Self

from prometheus_client import CollectorRegistry
from tornado.testing import bind_unused_port

from ddnsd.config import IPNetwork
from ddnsd.model.ratelimit import Rate
from ddnsd.service.limits import FairUse, FairUseLimits
from ddnsd.telemetry.metrics import Metrics
from ddnsd.web.client_address import SourceFinder
from ddnsd.web.connections import ConnectionLimits, Connections
from ddnsd.web.http import UNBOUNDED, PublicListener, Routes, source_fails_too_often
from ddnsd.web.http_connection import HttpLimits
from ddnsd.web.http_server import HttpServer
from ddnsd.web.proxy_protocol import ProxyProtocol

ROOM = ConnectionLimits(total=1000, per_source=1000)
MAX_BODY = 100
PATIENT = HttpLimits(idle=60, head=60, body=60, max_head=65536, max_body=MAX_BODY)
_ONE = Rate(1, 1)
_BUFFER = 131072  # bytes; else the kernel lets it grow, in places above the size of any message here


def unlimited(failures: Rate | None = None) -> FairUseLimits:
    """Return limits on failures alone, or none at all."""
    return FairUseLimits(failures is not None, _ONE, _ONE, _ONE, _ONE, source_failures=failures or _ONE)


class Bystander:
    """A connection, as `Connections` and `Tarpit` want to see it."""

    def __init__(self) -> None:
        self.abandoned = False
        self.turns = 0

    def abandon(self) -> None:
        self.abandoned = True

    def take_turn(self) -> None:
        self.turns += 1


class PublicPlace:
    """A server that listens on a free port of every IPv4 address of this machine."""

    def __init__(
        self,
        routes: Routes,
        limits: ConnectionLimits = ROOM,
        patience: HttpLimits = PATIENT,
        proxy: ProxyProtocol | None = None,
        failures: Rate | None = None,
        trusted: tuple[IPNetwork, ...] = (),
        max_body: int = MAX_BODY,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.closed: list[str] = []
        sources = SourceFinder(trusted)
        self.fair_use = FairUse(unlimited(failures))
        self.registry = CollectorRegistry()
        metrics = Metrics(self.registry)
        counted = partial(source_fails_too_often, self.fair_use, sources)
        self.connections = Connections(limits, sources.trusts, self.closed.append)
        self.listener = PublicListener(routes, max_body, metrics, counted, self.connections)
        self.server = HttpServer(
            *(self.listener, patience._replace(max_body=UNBOUNDED), self.connections),
            too_large=self.listener.too_large,
            proxy=proxy,
            tls=tls,
        )
        listening, self.port = bind_unused_port(address="0.0.0.0")
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
        self.server.add_sockets([listening])
        self._writers: list[asyncio.StreamWriter] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        for writer in self._writers:
            writer.transport.abort()  # what a server that has gone does not take would keep it open
        self.server.stop()
        await self.server.close()

    async def connect(self, host: str = "127.0.0.1") -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect from an address of this machine."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, local_addr=(host, 0))
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _BUFFER)
        self._writers.append(writer)
        return reader, writer
