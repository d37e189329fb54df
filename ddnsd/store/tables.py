"""The typed side of the store: stored bytes to values and back, and the commits that write them.

Values are JSON, each with the version of its shape. What newer versions of ddnsd have written and this one
cannot read, it must not destroy (docs/decisions/0007). A field that this version does not know is written
back whenever its key is rewritten. A value whose whole shape is of a later version makes a node outdated:
what it knows of the installation has a hole, so it answers and writes nothing until it is upgraded or the
value gone.
"""

from collections.abc import Callable, Iterator, Mapping
from operator import attrgetter
from typing import Any, NamedTuple, Self

import msgspec
import structlog

from ddnsd.model.records import (
    Candidacy,
    Committed,
    Entry,
    History,
    HistoryEntry,
    Installation,
    LastSeen,
    Member,
    PlacementState,
    PrefixHead,
    PrefixUpdate,
    Published,
    RegistryHead,
    Resource,
    Source,
    Stored,
    WorkRequest,
    extended,
    revision_of,
)
from ddnsd.model.resources import AccountSpec, HostSpec, Kind, TokenSpec, ZoneSpec
from ddnsd.model.state import State, Table
from ddnsd.store import keys
from ddnsd.store.interface import ConditionalWrite

_log = structlog.get_logger(__name__)

_REMEDY = "upgrade this node to the version of the others; until then it answers and writes nothing"


class UnreadableError(ValueError):
    """A stored value is not what this version can read."""


class NewerVersionError(UnreadableError):
    """A stored value is of a later version of its shape than this program knows."""

    def __init__(self, version: int, known: int) -> None:
        super().__init__(f"it is of version {version} of its shape, and this ddnsd reads up to {known}")


class _Version(msgspec.Struct):
    v: int = 0


class TableCodec(NamedTuple):
    """What lies under one prefix: how to read it, and which table of the state it fills."""

    decoder: msgspec.json.Decoder[Any]
    read_id: Callable[[str], Any]
    table: Callable[[State], Table[Any, Any]]
    version: int = 1  # of the shape; it stands in each value under `v`


SHELVES: dict[str, TableCodec] = {
    Kind.ZONE.plural: TableCodec(msgspec.json.Decoder(Resource[ZoneSpec]), str, attrgetter("zones")),
    Kind.ACCOUNT.plural: TableCodec(msgspec.json.Decoder(Resource[AccountSpec]), str, attrgetter("accounts")),
    Kind.HOST.plural: TableCodec(msgspec.json.Decoder(Resource[HostSpec]), str, attrgetter("hosts")),
    Kind.TOKEN.plural: TableCodec(msgspec.json.Decoder(Resource[TokenSpec]), str, attrgetter("tokens")),
    keys.ADDRESSES: TableCodec(msgspec.json.Decoder(Committed), keys.read_record, attrgetter("addresses")),
    keys.PUBLISHED: TableCodec(msgspec.json.Decoder(Published), keys.read_record, attrgetter("published")),
    keys.SEEN: TableCodec(msgspec.json.Decoder(LastSeen), str, attrgetter("seen")),
    keys.HISTORY: TableCodec(msgspec.json.Decoder(History), str, attrgetter("history")),
    keys.PREFIXES: TableCodec(msgspec.json.Decoder(PrefixUpdate), str, attrgetter("prefixes")),
    keys.PREFIX_HEADS: TableCodec(msgspec.json.Decoder(PrefixHead), str, attrgetter("prefix_heads")),
    keys.PLACEMENTS: TableCodec(
        msgspec.json.Decoder(PlacementState), keys.read_placement, attrgetter("placements")
    ),
    keys.REQUESTS: TableCodec(msgspec.json.Decoder(WorkRequest), str, attrgetter("requests")),
    keys.REGISTRY: TableCodec(msgspec.json.Decoder(RegistryHead), str, attrgetter("registry")),
    keys.INSTALLATION: TableCodec(msgspec.json.Decoder(Installation), str, attrgetter("installation")),
    keys.MEMBERS: TableCodec(msgspec.json.Decoder(Member), str, attrgetter("members")),
    keys.ELECTION: TableCodec(msgspec.json.Decoder(Candidacy), str, attrgetter("candidates")),
    keys.SOURCES: TableCodec(msgspec.json.Decoder(Source), str, attrgetter("sources")),
    keys.CONTROLLERS: TableCodec(msgspec.json.Decoder(Candidacy), str, attrgetter("controllers")),
}

_MALFORMED = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)  # the last: nested too deep

_version = msgspec.json.Decoder(_Version)


encode: Callable[[Stored], bytes] = msgspec.json.Encoder().encode
"""Returns the stored form of a value."""


def decode(shelf: TableCodec, value: bytes) -> Any:
    """Return the value stored on a shelf.

    Raises:
        NewerVersionError: of a version that this program does not know yet.
        UnreadableError: not of the shape, or no JSON.
    """
    try:
        return shelf.decoder.decode(value)
    except _MALFORMED as error:
        version = _version_of(value)
        if version > shelf.version:
            raise NewerVersionError(version, shelf.version) from error
        raise UnreadableError(str(error)) from error


def _version_of(value: bytes) -> int:
    try:
        return _version.decode(value).v
    except _MALFORMED:
        return 0


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
        self._newer: dict[str, NewerVersionError] = {}  # by key
        self.obstacle = ""  # why this node may answer and write nothing: something stored is too new for it

    def read(self, key: str, shelf: TableCodec, value: bytes) -> Any:
        """Return the value stored under a key; remember what of it cannot be read.

        Raises:
            UnreadableError: as of `decode`.
        """
        self._unknown.pop(key, None)
        try:
            read = decode(shelf, value)
        except NewerVersionError as error:
            self._note_newer(key, error)
            raise
        if self._newer:
            self._note_gone(key)
        if encode(read) != value and (unknown := _unknown(value, read)) != _NOTHING:
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

    def _note_newer(self, key: str, error: NewerVersionError) -> None:
        if not self._newer:  # one line: there may be a hundred thousand more of them
            _log.error("store.newer_version", key=key, reason=str(error), remedy=_REMEDY)
        self._newer[key] = error
        self._find_obstacle()

    def _note_gone(self, key: str) -> None:
        if self._newer.pop(key, None):
            self._find_obstacle()
            if not self._newer:
                _log.info("store.readable_again", key=key)

    def _find_obstacle(self) -> None:
        key, error = next(iter(self._newer.items()), ("", None))
        self.obstacle = f"{key} cannot be read: {error}: {_REMEDY}" if error else ""


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


class Transaction:
    """One commit in the making: it does all of its writes, or, if a key has moved, none."""

    def __init__(self, expects: Mapping[str, int] | None = None) -> None:
        """`expects`: the revisions of keys, 0 for absent ones."""
        self.expects: dict[str, int] = dict(expects or {})
        self.puts: dict[str, bytes] = {}
        self.deletes: set[str] = set()

    def expect(self, key: str, entry: Entry[Any] | None) -> Self:
        """Depend on the key's being what was read: this entry, or absent."""
        self.expects[key] = revision_of(entry)
        return self

    def put(self, key: str, value: Stored) -> Self:
        """Write a value of the key's table. Of several writes of one key the last one counts."""
        self.deletes.discard(key)
        self.puts[key] = encode(value)
        return self

    def replace(self, key: str, entry: Entry[Any] | None, value: Stored) -> Self:
        """Write a value in the place of what was read."""
        return self.expect(key, entry).put(key, value)

    def delete(self, *keys: str) -> Self:
        """Delete keys; absent ones do no harm."""
        for key in keys:
            self.puts.pop(key, None)
            self.deletes.add(key)
        return self

    def append_history(self, state: State, host: str, *entries: HistoryEntry) -> Self:
        """Add newer entries to a host's history, on the condition that it has not moved."""
        before = state.history.get(host)
        return self.replace(keys.history(host), before, extended(before.value if before else None, *entries))

    def update(self) -> ConditionalWrite:
        """Return what the store commits.

        Raises:
            ValueError: it compares or writes more than `MAX_KEYS_PER_UPDATE` keys.
        """
        return ConditionalWrite(self.expects, self.puts, frozenset(self.deletes))
