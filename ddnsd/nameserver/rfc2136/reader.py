"""Messages from a nameserver. Hostile octets are expected: they end, in bounded time, in `MalformedError`."""

import struct
from functools import lru_cache
from typing import NamedTuple

import dns.name

from ddnsd.nameserver.rfc2136.wire import HEADER, MAX_LABEL, QUESTION, RECORD, Header

_TSIG = 250  # RFC 8945 §4.2
_MAX_DEPTH = 128  # labels and pointers of one name; 255 octets hold 127 labels


class MalformedError(ValueError):
    """The bytes are no DNS message, or not the answer to what was asked."""


class Record(NamedTuple):
    """A record as it stands in a message; its rdata are `length` octets from `start`."""

    name: str
    type: int
    rdclass: int
    ttl: int
    start: int
    length: int


class Message(NamedTuple):
    """A message that was read. `tsig` is its signature, which begins at `tsig_start`."""

    wire: bytes
    header: Header
    answers: list[Record]
    authorities: list[Record]
    tsig: Record | None
    tsig_start: int


def read_message(wire: bytes) -> Message:
    """Return what the bytes say.

    Raises:
        MalformedError: they are no message.
    """
    try:
        return _Reader(wire).message()
    except (IndexError, struct.error) as error:
        raise MalformedError("the message is cut off") from error


class _Reader:
    """Reads a message from front to back, each name once: later ones point to it."""

    def __init__(self, wire: bytes) -> None:
        self._wire = wire
        self._at = HEADER.size
        self._names: dict[int, str] = {}

    def message(self) -> Message:
        header = Header(*HEADER.unpack_from(self._wire))
        for _ in range(header.questions):
            self._name()
            self._at += QUESTION.size
        answers = [self._record() for _ in range(header.answers)]
        authorities = [self._record() for _ in range(header.authorities)]
        last_start, last = self._at, None
        for _ in range(header.additionals):
            last_start, last = self._at, self._record()
        if self._at != len(self._wire):
            raise MalformedError("the message does not end where its records do")
        tsig = last if last is not None and last.type == _TSIG else None
        return Message(self._wire, header, answers, authorities, tsig, last_start)

    def _record(self) -> Record:
        name = self._name()
        type, rdclass, ttl, length = RECORD.unpack_from(self._wire, self._at)
        start = self._at + RECORD.size
        self._at = start + length
        if self._at > len(self._wire):
            raise MalformedError("a record is longer than the message")
        return Record(name, type, rdclass, ttl, start, length)

    def _name(self) -> str:
        name, self._at = self._name_at(self._at, 0)
        return name

    def _name_at(self, offset: int, depth: int) -> tuple[str, int]:
        """Return the name at the offset, and where it ends. The root is ""."""
        length = self._wire[offset]
        if length == 0:
            return "", offset + 1
        if length >= 0xC0:
            return self._pointed(offset, depth), offset + 2
        end = offset + 1 + length
        if length > MAX_LABEL or depth > _MAX_DEPTH:
            raise MalformedError("not a name")
        rest, end = self._name_at(end, depth + 1)
        label = _label_text(self._wire[offset + 1 : offset + 1 + length])
        name = self._names[offset] = f"{label}.{rest}" if rest else label
        return name, end

    def _pointed(self, offset: int, depth: int) -> str:
        """Return the name that a pointer means; one that leads on and on, or in a circle, is none."""
        target = (self._wire[offset] & 0x3F) << 8 | self._wire[offset + 1]
        known = self._names.get(target)
        if known is not None:
            return known
        if depth > _MAX_DEPTH:
            raise MalformedError("a name has too many pointers")
        return self._name_at(target, depth + 1)[0]


@lru_cache(maxsize=65536)
def _label_text(label: bytes) -> str:
    """Return a label in lower case, with what is no plain character escaped (RFC 1035 §5.1)."""
    return dns.name.Name((label,)).to_text().lower()
