"""What newer versions of ddnsd have written that this one cannot read, and so must not destroy.

Two things (docs/decisions/0007). A field that this version does not know is written back whenever its
key is rewritten. A value whose whole shape is of a later version makes a node outdated: what it knows
of the installation has a hole, so it answers and writes nothing until it is upgraded or the value gone.
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import msgspec
import structlog

from ddnsd.store import codec
from ddnsd.store.interface import ConditionalWrite, UnavailableError

_log = structlog.get_logger(__name__)

_REMEDY = "upgrade this node to the version of the others; until then it answers and writes nothing"


class UnknownFields(NamedTuple):
    """The fields of one JSON object that this version does not know; `within` are those of its objects."""

    fields: Mapping[str, msgspec.Raw]
    within: Mapping[str, "UnknownFields"]


_Object = msgspec.json.Decoder(dict[str, msgspec.Raw])
_NOTHING = UnknownFields({}, {})


class Preserved:
    """Reads stored values, keeps what it cannot read of them, and puts it into what is written."""

    def __init__(self) -> None:
        self._unknown: dict[str, UnknownFields] = {}  # by key; only of those that have some
        self._newer: dict[str, codec.NewerVersionError] = {}  # by key

    @property
    def obstacle(self) -> UnavailableError | None:
        """Why this node may answer and write nothing: something stored is too new for it."""
        for key, error in self._newer.items():
            return UnavailableError(f"{key} cannot be read: {error}: {_REMEDY}")
        return None

    def read(self, key: str, shelf: codec.TableCodec, value: bytes) -> Any:
        """Return the value stored under a key; remember what of it cannot be read.

        Raises:
            UnreadableError: as of `codec.decode`.
        """
        self._unknown.pop(key, None)
        try:
            read = codec.decode(shelf, value)
        except codec.NewerVersionError as error:
            self._note_newer(key, error)
            raise
        if self._newer:
            self._note_gone(key)
        if codec.encode(read) != value and (unknown := _unknown(value, read)) != _NOTHING:
            self._unknown[key] = unknown
        return read

    def forget(self, key: str) -> None:
        """Note that nothing is stored under the key any more."""
        self._unknown.pop(key, None)
        if self._newer:
            self._note_gone(key)

    def restore(self, update: ConditionalWrite) -> ConditionalWrite:
        """Return the update with the unknown fields of the values that it replaces.

        They are those that this node has seen last. If the key has moved since the update was decided
        on, its compares fail.
        """
        if self._unknown.keys().isdisjoint(update.puts):
            return update
        puts = {key: self._restored(key, value) for key, value in update.puts.items()}
        return ConditionalWrite(update.expects, puts, update.deletes)

    def _restored(self, key: str, value: bytes) -> bytes:
        unknown = self._unknown.get(key)
        return _merged(value, unknown) if unknown else value

    def _note_newer(self, key: str, error: codec.NewerVersionError) -> None:
        if not self._newer:  # one line: there may be a hundred thousand more of them
            _log.error("store.newer_version", key=key, reason=str(error), remedy=_REMEDY)
        self._newer[key] = error

    def _note_gone(self, key: str) -> None:
        if self._newer.pop(key, None) and not self._newer:
            _log.info("store.readable_again", key=key)


def _unknown(value: bytes, read: msgspec.Struct) -> UnknownFields:
    """Compare stored JSON with what was read of it."""
    known = dict(_known(read))
    fields: dict[str, msgspec.Raw] = {}
    within: dict[str, UnknownFields] = {}
    for name, raw in _Object.decode(value).items():
        part = known.get(name)
        if name not in known:
            fields[name] = raw.copy()  # by itself it would keep the whole value
        elif isinstance(part, msgspec.Struct) and (inner := _unknown(bytes(raw), part)) != _NOTHING:
            within[name] = inner
    return UnknownFields(fields, within)


def _known(read: msgspec.Struct) -> Iterator[tuple[str, object]]:
    """Yield the names of the fields as they are stored, with their values."""
    if tag_field := read.__struct_config__.tag_field:
        yield tag_field, None
    for field in msgspec.structs.fields(read):
        yield field.encode_name, getattr(read, field.name)


def _merged(value: bytes, unknown: UnknownFields) -> bytes:
    """Return the JSON object with the unknown fields; those of an object that it lacks are dropped."""
    fields = _Object.decode(value)
    for name, inner in unknown.within.items():
        if bytes(fields.get(name, b"")).startswith(b"{"):
            fields[name] = msgspec.Raw(_merged(bytes(fields[name]), inner))
    added = {name: raw for name, raw in unknown.fields.items() if name not in fields}
    return msgspec.json.encode(fields | added)
