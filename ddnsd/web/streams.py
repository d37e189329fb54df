"""The public listener's connections as streams: Tornado's, with a cheap way to find the end of a head.

Tornado searches for it by a regular expression, all over again with each octet that comes: half a millisecond
for a head of 16 KiB. And a head that is too large it closes at once, so that the next one comes at once.
"""

import socket
from collections.abc import Callable
from typing import Any

from tornado.iostream import IOStream, SSLIOStream

_SMALL = 1024  # octets, in which Tornado's own search is the faster one; no limit of a head is less
_OVERLAP = 2  # octets that may be the beginning of what ends a head


def head_length(octets: bytes | bytearray, searched: int = 0) -> int | None:
    """Return how long the head is that these begin with: to the end of its empty line; None if it goes on.

    A line may end without CR (RFC 9112 §2.2). It did not end in the first `searched` octets.
    """
    start = max(0, searched - _OVERLAP)
    usual, bare = octets.find(b"\n\r\n", start), octets.find(b"\n\n", start)
    if bare < 0 or 0 <= usual < bare:
        return usual + 3 if usual >= 0 else None
    return bare + 2


class Stream(IOStream):
    """A connection without TLS."""

    def __init__(
        self, connection: socket.socket, give_up: Callable[[IOStream], None], *arguments: Any, **settings: Any
    ) -> None:
        """`give_up` is told, once, that a head is too large; no more of it is read."""
        super().__init__(connection, *arguments, **settings)
        self._give_up = give_up
        self._is_given_up = False
        self._searched = 0  # octets in which no head ends

    def cut_off(self) -> None:
        """Close the connection, and let what has come by it, and is not looked at yet, be nothing.

        Else Tornado would go on with the requests that have come before.
        """
        self._read_buffer.clear()
        self._read_buffer_size = 0
        self.close()

    def _find_read_pos(self) -> int | None:
        """Return where what is waited for ends, None if that is not here yet (Tornado calls this)."""
        if self._read_regex is None:  # it is no head
            return super()._find_read_pos()
        if not self._searched and self._read_buffer_size <= _SMALL:  # as nearly always
            found = super()._find_read_pos()
            self._searched = 0 if found else self._read_buffer_size
            return found
        length = head_length(self._read_buffer, self._searched)
        self._searched = 0 if length else self._read_buffer_size
        most = self._read_max_bytes
        if most is None or (length or self._read_buffer_size) <= most:
            return length
        if not self._is_given_up:
            self._is_given_up = True
            self.reading = _never  # type: ignore[method-assign] # Tornado asks whether more is to be read
            self._give_up(self)
        return None


def _never() -> bool:
    return False


class SecureStream(SSLIOStream, Stream):
    """A connection with TLS."""
