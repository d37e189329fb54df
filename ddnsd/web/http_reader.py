"""Requests out of the octets of a connection, one after the other, and no octet of the next one too early.

The request line is taken apart here, by the grammar of RFC 9112 §3 and nothing beside it. Fields and chunks
are llhttp's (through httptools), without any of its leniencies. It is never given more than one message: what
follows is kept as octets until the answer has gone.
"""

import re
from collections.abc import Callable, Mapping

from httptools import HttpParserError, HttpParserUpgrade, HttpRequestParser
from tornado.httputil import HTTPHeaders, RequestStartLine

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
_NO_HEADERS = HTTPHeaders()


class MalformedRequestError(ValueError):
    """What was received is no request: RFC 9112 wants 400, and the connection closed."""


class HeadTooLargeError(ValueError):
    """A head is larger than it may be."""


class BodyTooLargeError(ValueError):
    """A head announces a body of more octets than can be counted."""


class RequestReader:
    """Takes octets; after each `take` it shows what they came to."""

    def __init__(self, max_head: int) -> None:
        """`max_head` in octets: the request line and all fields."""
        self._max_head = max_head
        self._parser = HttpRequestParser(self)
        self.next()

    def next(self) -> None:
        """Make ready for a request: the first one, or the one after that which is complete."""
        self.start_line: RequestStartLine | None = None
        """There from the end of the head on, as are the next three. Its path holds octets as Latin-1 text."""
        self.headers = _NO_HEADERS
        self.length: int | None = 0
        """Octets of the body, as the head says; None in chunks."""
        self.keeps = False
        """Whether the connection may be kept."""
        self.body = b""
        """The part of the body that was in what was taken last."""
        self.is_complete = False
        """Whether the request is here whole."""
        self.size = 0
        """Octets of the next request's head, or of the empty lines before it, that are here."""
        self._take: Callable[[bytes], int] = self._take_start
        self._line = b""  # the part of a line that is here
        self._tail = b""  # the last octets of the head so far
        self._start: tuple[bytes, ...] = ()  # the parts of the request line
        self._fields: list[tuple[bytes, bytes]] = []
        self._is_begun = False  # whether llhttp has seen the message's beginning
        self._is_whole = False  # whether it has seen the message's end
        self._upgrades = False
        self._left = 0  # octets of the body, or of a chunk with its end
        self._is_in_fields = True

    def take(self, octets: bytes) -> int:
        """Take the octets up to where something has come to its end; return how many, at least one.

        Raises:
            MalformedRequestError, HeadTooLargeError, BodyTooLargeError: there will be no more requests.
        """
        self.body = b""
        used = self._take(octets)
        # llhttp has to agree where the request ends. But not where another protocol could follow, as it then
        # takes the head for all.
        if self.is_complete != self._is_whole and not self._upgrades:
            raise MalformedRequestError("a body of unclear length")
        return used

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
        self.headers = HTTPHeaders()
        last: dict[bytes, bytes] = {}  # the last value of each field, by its name in lower case
        for name, value in self._fields:
            lower, content = name.lower(), value.decode("latin-1").strip(_BLANK)
            if lower not in last:
                self.headers[name.decode("latin-1")] = content
            elif lower == b"host":  # RFC 9112 §3.2
                raise MalformedRequestError("Host twice")
            else:
                self.headers.add(name.decode("latin-1"), content)
            last[lower] = value
        self.length = self._left = int(last.get(b"content-length", b"0"))
        self._take = self._take_body
        if (coding := last.get(b"transfer-encoding")) is not None:
            if coding.strip().lower() != b"chunked" or version == b"0" or self._upgrades:  # RFC 9112 §6.1
                raise MalformedRequestError("a transfer coding that is not only `chunked`")
            self.length, self._left = None, 0
            self._take = self._take_chunk_line
        if method == b"CONNECT":  # a tunnel could follow, where somebody thinks it is open
            self.keeps = False
        self.start_line = RequestStartLine(
            method.decode("latin-1"), target.decode("latin-1"), _VERSIONS[version]
        )
        self.is_complete = self.length == 0

    def _take_body(self, octets: bytes) -> int:
        used = min(self._left, len(octets))
        self._left -= used
        if self._upgrades:  # llhttp has taken leave: it believes that another protocol follows
            self.body = octets[:used]
        else:
            self._feed(octets[:used])
        self.is_complete = not self._left
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
        self.keeps = self._parser.should_keep_alive()

    def on_body(self, body: bytes) -> None:
        """Note a part of the body."""
        self.body = self.body + body if self.body else body

    def on_message_complete(self) -> None:
        """Note the message's end."""
        self._is_whole = True
