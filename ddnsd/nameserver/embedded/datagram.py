"""DNS over UDP (RFC 1035 §4.2.1)."""

import asyncio
from collections.abc import Callable
from typing import Any


class DatagramProtocol(asyncio.DatagramProtocol):
    """Answers each datagram at once. While the socket takes no more answers, queries are dropped:
    a resolver asks again, a queue would only make everybody's answer late.
    """

    def __init__(self, respond: Callable[[bytes], bytes | None]) -> None:
        self._respond = respond
        self._transport: asyncio.DatagramTransport
        self._congested = False

    # asyncio's own datagram transport is no subclass of DatagramTransport; it only has its methods.
    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]
        """Remember where to answer."""
        self._transport = transport

    def pause_writing(self) -> None:
        """Drop queries from now on."""
        self._congested = True

    def resume_writing(self) -> None:
        """Answer again."""
        self._congested = False

    def datagram_received(self, data: bytes, addr: tuple[str | Any, int]) -> None:
        """Answer the query."""
        if self._congested:
            return
        response = self._respond(data)
        if response is not None:
            self._transport.sendto(response, addr)

    def error_received(self, exc: Exception) -> None:
        """Ignore that an answer could not be sent, or did not arrive: the address may be forged."""
