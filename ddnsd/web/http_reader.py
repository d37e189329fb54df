"""Requests out of the octets of a connection, one after the other, and no octet of the next one too early.

The request line is taken apart here, by the grammar of RFC 9112 §3 and nothing beside it. Fields and chunks
are llhttp's (through httptools), without any of its leniencies. It is never given more than one message: what
follows is kept as octets until the answer has gone.
"""

import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser
from tornado.httputil import HTTPHeaders

MOST_FIELDS = 500
"""Header fields of one request: each costs about a microsecond."""

_REQUEST_LINE = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+) ([\x21-\x7e\x80-\xff]+) HTTP/1\.([01])\r\n")
_END = b"\r\n\r\n"
# What llhttp is told instead of the request line. It knows some methods only, takes raw UTF-8 in a target for
# a mistake, takes HTTP/0.9 and HTTP/2.0 for versions of its own, and treats CONNECT and SOURCE specially.
_LINES: Mapping[bytes, bytes] = {b"1": b"PUT / HTTP/1.1\r\n", b"0": b"PUT / HTTP/1.0\r\n"}
_VERSIONS: Mapping[bytes, str] = {b"1": "HTTP/1.1", b"0": "HTTP/1.0"}
_LONGEST_CHUNK_LINE = 1024  # octets, with extensions
_MOST_TRAILERS = 8192  # octets
_OVERFLOW = "Content-Length overflow"  # llhttp's word for a length beyond 64 bits
_BLANK = " \t"


class MalformedRequestError(ValueError):
    """What was received is no request: RFC 9112 wants 400, and the connection closed."""


class HeadTooLargeError(ValueError):
    """A head is larger than it may be."""


class BodyTooLargeError(ValueError):
    """A head announces a body of more octets than can be counted."""


class Head(NamedTuple):
    """A request's head. `target` holds octets as Latin-1 text."""

    method: str
    target: str
    version: str  # HTTP/1.0 or HTTP/1.1
    headers: HTTPHeaders
    length: int | None  # of the body, where the head says so; None in chunks
    keeps: bool  # whether the connection may be kept

    @property
    def expects_continue(self) -> bool:
        """Say whether the client waits for leave to send the body (RFC 9110 §10.1.1)."""
        return self.version == "HTTP/1.1" and self.headers.get("Expect", "").lower() == "100-continue"


class RequestReader:
    """Takes octets; after each `take` it shows what they came to."""

    def __init__(self, max_head: int) -> None:
        """`max_head` in octets: the request line and all fields."""
        self.head: Head | None = None
        """The head, from its end to the end of the request."""
        self.body = b""
        """The part of the body that was in what was taken last."""
        self.is_complete = False
        """Whether the request is here whole."""
        self._max_head = max_head
        self._parser = HttpRequestParser(self)
        self._take: Callable[[bytes], int] = self._take_start
        self._begin()

    def next(self) -> None:
        """Make ready for the request after the one that is complete."""
        self.head = None
        self.is_complete = False
        self._take = self._take_start
        self._begin()

    def take(self, octets: bytes) -> int:
        """Take the octets up to where something has come to its end; return how many, at least one.

        Raises:
            MalformedRequestError, HeadTooLargeError, BodyTooLargeError: there will be no more requests.
        """
        self.body = b""
        return self._take(octets)

    def _begin(self) -> None:
        self.size = 0
        """Octets of the next request's head, or of the empty lines before it, that are here."""
        self._line = b""  # the part of a line that is here
        self._tail = b""  # the last octets of the head so far
        self._start: tuple[bytes, ...] = ()  # the parts of the request line
        self._fields: list[tuple[bytes, bytes]] = []
        self._is_begun, self._is_whole = (
            False,
            False,
        )  # whether llhttp has seen the message's beginning, its end
        self._upgrades = False
        self._keeps = False
        self._left = 0  # octets of the body, or of a chunk with its end
        self._is_in_fields = True

    def _take_start(self, octets: bytes) -> int:
        """Take a whole head, as nearly always; or its first line."""
        end = octets.find(_END)
        if end < 0 or not (found := _REQUEST_LINE.match(octets)):
            self._take = self._take_line
            return self._take_line(octets)
        end += len(_END)
        if end > self._max_head:
            raise HeadTooLargeError
        self.size = end
        self._start = found.group(1, 2, 3)
        self._feed(_LINES[self._start[2]] + octets[found.end() : end])
        self._finish_head()
        return end

    def _take_line(self, octets: bytes) -> int:
        used = octets.find(b"\n") + 1 or len(octets)
        self._count(used)
        self._line += octets[:used]
        if self._line == b"\r\n":  # RFC 9112 §2.2: some clients send one after a body
            self._line = b""
        elif self._line.endswith(b"\n"):
            if not (found := _REQUEST_LINE.fullmatch(self._line)):
                raise MalformedRequestError("no request line")
            self._start, self._line = found.group(1, 2, 3), b""
            self._feed(_LINES[self._start[2]])
            self._tail = b"\r\n"
            self._take = self._take_fields
        return used

    def _take_fields(self, octets: bytes) -> int:
        seen = self._tail + octets
        end = seen.find(_END)
        used = len(octets) if end < 0 else end + len(_END) - len(self._tail)
        self._count(used)
        self._tail = seen[-len(_END) + 1 :]
        self._feed(octets[:used])
        if end >= 0:
            self._finish_head()
        return used

    def _count(self, more: int) -> None:
        self.size += more
        if self.size > self._max_head:
            raise HeadTooLargeError

    def _finish_head(self) -> None:
        """Say what the head is, and how the body is framed.

        Raises:
            MalformedRequestError: it has a field twice that is unique, or a framing that two programs could
                understand in two ways.
            HeadTooLargeError: it has more than `MOST_FIELDS`.
        """
        if self._is_in_fields:
            raise MalformedRequestError("a head without an end")
        method, target, version = self._start
        headers, framing = self._headers()
        length: int | None = int(framing.get(b"content-length", b"0"))
        if (coding := framing.get(b"transfer-encoding")) is not None:
            if coding.lower() != b"chunked" or version == b"0" or self._upgrades:  # RFC 9112 §6.1
                raise MalformedRequestError("a transfer coding that is not only `chunked`")
            length = None
        keeps = (
            self._keeps and method != b"CONNECT"
        )  # a tunnel could follow, where somebody thinks it is open
        self.head = Head(
            *(method.decode("latin-1"), target.decode("latin-1"), _VERSIONS[version]),
            *(headers, length, keeps),
        )
        self._left = length or 0
        self._take = self._take_chunk_line if length is None else self._take_body
        self._settle(length == 0)

    def _settle(self, is_complete: bool) -> None:
        """Note whether the request is whole, on which llhttp has to agree; but not where another protocol
        could follow, as it then takes the head for all."""
        if is_complete != self._is_whole and not self._upgrades:
            raise MalformedRequestError("a body of unclear length")
        self.is_complete = is_complete

    def _headers(self) -> tuple[HTTPHeaders, Mapping[bytes, bytes]]:
        """Return the fields, and those by which the body is framed."""
        headers, framing = HTTPHeaders(), dict[bytes, bytes]()
        for name, value in self._fields:
            text, lower = name.decode("latin-1"), name.lower()
            content = value.decode("latin-1").strip(_BLANK)
            if text not in headers:
                headers[text] = content
            elif lower == b"host":  # RFC 9112 §3.2
                raise MalformedRequestError("Host twice")
            else:
                headers.add(text, content)
            if lower in (b"content-length", b"transfer-encoding"):
                framing[lower] = value.strip()
        return headers, framing

    def _take_body(self, octets: bytes) -> int:
        used = min(self._left, len(octets))
        self._left -= used
        if self._upgrades:  # llhttp has taken leave: it believes that another protocol follows
            self.body = octets[:used]
        else:
            self._feed(octets[:used])
        self._settle(self._left == 0)
        return used

    def _take_chunk_line(self, octets: bytes) -> int:
        """Take the line before a chunk, or one of the trailers."""
        used = octets.find(b"\n") + 1 or len(octets)
        self._line += octets[:used]
        if len(self._line) > _LONGEST_CHUNK_LINE:
            raise MalformedRequestError("a chunk's line is too long")
        self._feed(octets[:used])
        if self._line.endswith(b"\n"):
            # llhttp has found the line to be right: what is read here decides only how much it is given next.
            self._left = int(self._line.partition(b";")[0], 16)
            self._line = b""
            if self._left:
                self._left += 2  # the chunk's own end of line
                self._take = self._take_chunk
            else:
                self.size = 0
                self._take = self._take_trailers
        return used

    def _take_chunk(self, octets: bytes) -> int:
        used = min(self._left, len(octets))
        self._left -= used
        self._feed(octets[:used])
        if not self._left:
            self._take = self._take_chunk_line
        return used

    def _take_trailers(self, octets: bytes) -> int:
        used = octets.find(b"\n") + 1 or len(octets)
        self.size += used
        if self.size > _MOST_TRAILERS:
            raise MalformedRequestError("too many trailers")
        self._feed(octets[:used])
        self.is_complete = self._is_whole
        return used

    def _feed(self, octets: bytes) -> None:
        """Let llhttp look at octets that belong to one message.

        Raises:
            MalformedRequestError, HeadTooLargeError: they are not what they should be.
        """
        try:
            self._parser.feed_data(octets)
        except HttpParserUpgrade as taken:
            self._upgrades = True
            if taken.args[0] != len(octets):
                raise MalformedRequestError("an upgrade in the midst of a message") from None
        except HttpParserError as error:
            if _OVERFLOW in str(error):
                raise BodyTooLargeError from None
            raise MalformedRequestError(str(error)) from None
        if len(self._fields) > MOST_FIELDS:
            raise HeadTooLargeError  # closed later: a client that opens another at once would cost more

    # What llhttp calls.

    def on_message_begin(self) -> None:
        """Note the message's beginning, and refuse that of another one."""
        if self._is_begun:
            raise MalformedRequestError("two messages in one")
        self._is_begun = True

    def on_header(self, name: bytes, value: bytes) -> None:
        """Note a field; a trailer is none."""
        if self._is_in_fields:
            self._fields.append((name, value))

    def on_headers_complete(self) -> None:
        """Note that what comes is the body, or trailers; and what is said of the connection."""
        self._is_in_fields = False
        self._keeps = self._parser.should_keep_alive()

    def on_body(self, body: bytes) -> None:
        """Note a part of the body."""
        self.body = self.body + body if self.body else body

    def on_message_complete(self) -> None:
        """Note the message's end."""
        self._is_whole = True
