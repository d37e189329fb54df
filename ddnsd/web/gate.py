"""Where connections of trusted proxies show their PROXY header, before TLS and HTTP begin."""

import asyncio
import socket
from collections.abc import Callable, Iterable
from typing import Any

import structlog

from ddnsd.web.proxy_header import LONGEST, ProxyHeaderError, header_length, header_source

_log = structlog.get_logger(__name__)

PATIENCE = 5.0
"""Seconds in which a header must be here: the specification wants 3 or more, for a segment that was lost."""

Address = tuple[Any, ...]  # as ip(7) and ipv6(7) have it
Admit = Callable[[socket.socket, Address], None]  # the connection, and the address that it counts as


class ProxyGate:
    """Takes the header from each connection of a proxy, and not an octet of what follows it."""

    def __init__(self, trusts: Callable[[str], bool], refused: Callable[[str], None], timeout: float) -> None:
        """`trusts` says whether a peer is a proxy; `refused` counts by reason (`PROXY_HEADER_FAILURES`)."""
        self.expects = trusts
        self._refused = refused
        self._timeout = timeout
        self._arrivals: set[_Arrival] = set()

    @property
    def waiting(self) -> int:
        """How many connections have yet to show their header."""
        return len(self._arrivals)

    def receive(self, connection: socket.socket, address: Address, admit: Admit) -> None:
        """Admit a connection once its header is here, from the header's source; close it if none comes.

        Where the header tells of no source it is admitted from its own address: a trusted proxy's, which
        is never published.
        """
        connection.setblocking(False)
        arrival = _Arrival(self, connection, address, admit)
        self._arrivals.add(arrival)
        arrival.begin(self._timeout)

    def waited_since(self) -> Iterable[float]:
        """Yield since when, by the loop's clock, each header is waited for."""
        return (arrival.since for arrival in self._arrivals)

    def close(self) -> None:
        """Close the connections that have shown no header yet."""
        for arrival in tuple(self._arrivals):
            arrival.close()

    def forget(self, arrival: "_Arrival") -> None:
        """Note that a connection waits here no longer."""
        self._arrivals.discard(arrival)

    def refuse(self, peer: object, reason: str, why: str) -> None:
        """Note that a connection is closed."""
        self._refused(reason)
        _log.debug("proxy_header.refused", peer=peer, reason=reason, why=why)


class _Arrival:
    """A connection that has yet to show its header."""

    def __init__(self, gate: ProxyGate, connection: socket.socket, address: Address, admit: Admit) -> None:
        self._loop = asyncio.get_running_loop()
        self.since = self._loop.time()
        self._gate = gate
        self._connection = connection
        self._address = address
        self._admit = admit
        self._header = b""

    def begin(self, timeout: float) -> None:
        """Wait for the header; as a rule it is here already."""
        self._timer = self._loop.call_later(timeout, self._refuse, "late", "")
        self._loop.add_reader(self._connection, self._read)
        self._read()

    def close(self) -> None:
        """Close the connection."""
        self._leave()
        self._connection.close()

    def _leave(self) -> None:
        self._loop.remove_reader(self._connection)
        self._timer.cancel()
        self._gate.forget(self)

    def _refuse(self, reason: str, why: str) -> None:
        self.close()
        self._gate.refuse(self._address[0], reason, why)

    def _read(self) -> None:
        try:
            source = header_source(self._header) if self._take() else ""
        except BlockingIOError:
            return
        except ProxyHeaderError as error:
            self._refuse("malformed", str(error))
        except (OSError, EOFError):
            if self._header:
                self._refuse("incomplete", "")
            else:  # a look whether the port is open
                self.close()
        else:
            if source != "":
                self._leave()
                self._admit(self._connection, (source, *self._address[1:]) if source else self._address)

    def _take(self) -> bool:
        """Take what belongs to the header and is here; return whether it is whole.

        Raises:
            ProxyHeaderError: it is none.
            EOFError, OSError: there comes no more.
        """
        seen = self._connection.recv(LONGEST - len(self._header), socket.MSG_PEEK)
        if not seen:
            raise EOFError
        length = header_length(self._header + seen)
        self._header += self._connection.recv(len(seen) if length is None else length - len(self._header))
        return len(self._header) == length
