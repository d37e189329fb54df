"""A client's connection as a stream of octets in both directions, behind its PROXY header and its TLS.

The TLS is apart from the socket: asyncio's own cannot write once the other side has said that it sends no
more, and cannot begin behind a PROXY header on every event loop.
"""

import asyncio
import contextlib
import ssl
from collections.abc import Callable
from typing import Protocol, cast

import structlog

from ddnsd.web.proxy_protocol import PendingHeader, ProxyHeaderError

_log = structlog.get_logger(__name__)

_READ = 16384  # octets that are read at a time
_MOST_KEPT = 4096  # octets that wait for the connection's turn before no more is read
_PAUSE = 0.01  # seconds: each time that something is read keeps others waiting


class StreamOwner(Protocol):
    """Who works with a stream."""

    def identified(self, source: str, /) -> bool:
        """Take note of the source that the PROXY header names; return whether the connection may stay."""
        ...

    def received(self, octets: bytes, /) -> None:
        """Take plain text; none, if it is the connection's turn without it."""
        ...

    def ended(self) -> None:
        """Take note that the client sends no more, which does not say that it reads no more."""
        ...

    def filled(self) -> None:
        """Take note that the client does not take what is sent."""
        ...

    def drained(self) -> None:
        """Take note that all that was sent has gone out."""
        ...

    def lost(self) -> None:
        """Take note that the connection is closed."""
        ...


class ClientStream(asyncio.BufferedProtocol):
    """The stream of one connection."""

    def __init__(
        self,
        owner: StreamOwner,
        tls: ssl.SSLContext | None,
        header: PendingHeader | None,
        arrived: Callable[[], None],
    ) -> None:
        """`header` is what the connection begins with where its peer is a proxy that sends one.

        `arrived` is called when octets have come; `take` has to be called for it, now or later.
        """
        self.is_closed = False
        """Whether nothing is read or sent any more."""
        self.has_ended = False
        """Whether the client sends no more."""
        self.is_full = False
        """Whether what was sent has not all gone out."""
        self.is_paused = False
        """Whether what comes is left to the client's kernel."""
        self.handshake_since: float | None = None
        """Since when a part of a TLS handshake is here, not all of it."""
        self._owner = owner
        self._arrived = arrived
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._tls = _Tls(tls) if tls else None
        self._header = header
        self._kept = b""  # has come, and waits for the connection's turn
        self._kept_since = 0.0
        self._is_full_of_kept = False
        self._has_read_all = False  # whether the end has come, which may wait with what is kept
        self._resting: asyncio.TimerHandle | None = None  # until more is read

    @property
    def is_identified(self) -> bool:
        """Say whether it is known where the connection comes from."""
        return self._header is None

    # What the owner asks for.

    def take(self) -> None:
        """Work on what has come, if anything has: it is the connection's turn."""
        octets, self._kept = self._kept, b""
        if self.is_closed:
            return
        if self._is_full_of_kept:
            self._is_full_of_kept = False
            self.resume()
        if self._header and octets:
            octets = self._behind_header(octets)
        if self._tls and octets and not self.is_closed:
            octets = self._decrypted(octets)
        if not self.is_closed:
            self._owner.received(octets)
        if self._has_read_all or (self._tls and self._tls.is_ended):
            self._note_end()

    def waited_until(self, now: float) -> float:
        """Return until when the client was waited for: now, or what it has sent since waits itself."""
        return self._kept_since if self._kept else now

    def send(self, octets: bytes) -> None:
        """Send octets, or nothing on a connection that is closed."""
        if self.is_closed or self._transport is None:
            return
        if self._tls:
            self._tls.write(octets)
            octets = self._tls.to_send()
        self._transport.write(octets)

    def pause(self) -> None:
        """Leave what comes to the client's kernel."""
        if self._transport and not self.is_paused:
            self.is_paused = True
            self._transport.pause_reading()

    def resume(self) -> None:
        """Read again, unless it is to rest."""
        if self.is_paused and not (self._resting or self._is_full_of_kept):
            self.is_paused = False
            if self._transport and not (self._has_read_all or self.has_ended or self.is_closed):
                self._transport.resume_reading()

    def rest(self, then: Callable[[], None]) -> None:
        """Read nothing for a moment, and then call back."""
        self.pause()

        def go_on() -> None:
            self._resting = None
            if not self.is_closed:
                self.resume()
                then()

        if not self._resting:
            self._resting = self._loop.call_later(_PAUSE, go_on)

    @property
    def is_resting(self) -> bool:
        """Say whether nothing is read for a moment."""
        return self._resting is not None

    def end(self) -> None:
        """Say that nothing more is sent, and read on."""
        if self.is_closed or self._transport is None:
            return
        if self._tls and self._tls.end():
            self._send_tls()
        self._transport.write_eof()
        self.resume()

    def close(self) -> None:
        """Close the connection: in peace, unless the client does not take what was sent."""
        if self.is_full:
            self.abort()
        elif not self.is_closed:
            self.is_closed = True
            if self._tls and self._tls.end():
                self._send_tls()
            if self._transport:
                self._transport.close()

    def abort(self) -> None:
        """Close the connection at once."""
        self.is_closed = True
        if self._transport:
            self._transport.abort()

    def demand_header(self, now: float) -> None:
        """Close the connection if its PROXY header is late; `now` by the loop's clock."""
        if self._header and self._header.is_late(now):
            header, self._header = self._header, None
            header.refuse("late", "")
            self.abort()

    # What the event loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin (asyncio calls this)."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's are of classes of their own
        if self.is_closed:
            self._transport.abort()
        else:
            self._transport.set_write_buffer_limits(0)

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - asyncio's interface
        """Lend the buffer that all connections share: what is in it is taken before another one reads."""
        return _view

    def buffer_updated(self, nbytes: int) -> None:
        """Take what has come (asyncio calls this)."""
        octets = _view[:nbytes].tobytes()
        if not self._kept:
            self._kept, self._kept_since = octets, self._loop.time()
        else:
            self._kept += octets
        self._arrived()
        if len(self._kept) >= _MOST_KEPT:
            self.pause()
            self._is_full_of_kept = True

    def eof_received(self) -> bool:
        """Note that the client sends no more (asyncio calls this); the transport stays open."""
        self._has_read_all = True
        if not self._kept:
            self._note_end()
        return True

    def pause_writing(self) -> None:
        """Wait until the client takes what has been written (asyncio calls this)."""
        self.is_full = True
        self._owner.filled()

    def resume_writing(self) -> None:
        """Go on: the client has taken all (asyncio calls this)."""
        self.is_full = False
        self._loop.call_soon(self._tell_drained)  # asyncio's own loop cannot stand a close in here

    def _tell_drained(self) -> None:
        if not (self.is_full or self.is_closed):
            self._owner.drained()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget everything (asyncio calls this)."""
        self.is_closed = True
        self._kept = b""
        if self._resting:
            self._resting.cancel()
        if header := self._header:
            self._header = None
            header.end() if exc else header.drop()
        self._owner.lost()

    def _behind_header(self, octets: bytes) -> bytes:
        """Return what follows the PROXY header; b"" while it is not whole, or when it is none."""
        assert self._header
        try:
            taken = self._header.take(octets)
        except ProxyHeaderError:
            self._header = None
            self.abort()
            return b""
        if taken is None:
            return b""
        self._header = None
        source, rest = taken
        if not self._owner.identified(source):
            self.abort()
        return rest

    def _decrypted(self, octets: bytes) -> bytes:
        assert self._tls
        try:
            plain = self._tls.receive(octets)
        except ssl.SSLError as error:
            _log.debug("tls.failed", reason=error.reason)
            self._send_tls()  # the alert
            self.close()
            return b""
        self._send_tls()
        if self._tls.is_established:
            self.handshake_since = None
        elif self.handshake_since is None:
            self.handshake_since = self._loop.time()
        return plain

    def _note_end(self) -> None:
        if self.has_ended or self.is_closed:
            return
        self.has_ended = True
        if header := self._header:
            self._header = None
            header.end()
        self._owner.ended()

    def _send_tls(self) -> None:
        assert self._tls
        if (octets := self._tls.to_send()) and self._transport:
            self._transport.write(octets)


class _Tls:
    """The server's end of TLS: octets in, octets out."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self.is_established = False  # whether the handshake is done
        self.is_ended = False  # whether the client has said that it sends no more (RFC 8446 §6.1)
        self._has_ended = False  # whether the server has said so

    def receive(self, octets: bytes) -> bytes:
        """Return the plain text that these octets complete. There may be something to send, too.

        Raises:
            ssl.SSLError: they are no TLS, or not the TLS that is spoken here.
        """
        self._incoming.write(octets)
        parts = []
        with contextlib.suppress(ssl.SSLWantReadError):
            if not self.is_established:
                self._tls.do_handshake()
                self.is_established = True
            while part := self._read():
                parts.append(part)
            self.is_ended = True
        return b"".join(parts)

    def write(self, octets: bytes) -> None:
        """Encrypt octets that are to be sent."""
        self._tls.write(octets)

    def end(self) -> bool:
        """Say that nothing more is sent; return whether that is news."""
        if not self.is_established or self._has_ended:
            return False
        self._has_ended = True
        with contextlib.suppress(ssl.SSLError):  # as a rule: it would wait for the client to say the same
            self._tls.unwrap()
        return True

    def to_send(self) -> bytes:
        """Return, once, what has to be sent."""
        return self._outgoing.read()

    def _read(self) -> bytes:
        try:
            return self._tls.read(_READ)
        except ssl.SSLZeroReturnError:
            return b""


_view = memoryview(bytearray(_READ))
