"""A YAML stream, cut into its documents as it arrives."""

import re
from collections.abc import Iterator

# A line that begins a document (YAML 1.1 §9.2). No scalar can hold one.
_BEGIN = re.compile(rb"^---(?=[ \t\r\n])", re.MULTILINE)
_OVERLAP = len(b"\n--- ")  # of what was searched before that a marker may begin in

MAX_DOCUMENT = 8 << 20  # bytes


class TooLongError(ValueError):
    """A document is longer than any that makes sense."""


class DocumentStream:
    """Takes bytes, gives the text of each document once it is whole."""

    def __init__(self) -> None:
        self._rest = b""
        self._searched = 0

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """Yield the documents that this chunk completes. To be iterated to its end.

        Raises:
            TooLongError: one is longer than `MAX_DOCUMENT`.
        """
        text = self._rest + chunk
        begin = 0
        for marker in _BEGIN.finditer(text, max(self._searched - _OVERLAP, 0)):
            if marker.start() > begin:
                yield text[begin : marker.start()]
                begin = marker.start()
        self._rest = text[begin:]
        self._searched = len(self._rest)
        if len(self._rest) > MAX_DOCUMENT:
            raise TooLongError(f"a document of more than {MAX_DOCUMENT} bytes")

    def finish(self) -> bytes:
        """Return the last document."""
        rest, self._rest = self._rest, b""
        return rest
