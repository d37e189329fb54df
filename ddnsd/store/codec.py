"""Stored bytes to typed values and back: JSON, each value with the version of its shape."""

from collections.abc import Callable
from operator import attrgetter
from typing import Any, NamedTuple

import msgspec

from ddnsd.model.records import (
    Candidacy,
    Committed,
    History,
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
)
from ddnsd.model.resources import AccountSpec, HostSpec, Kind, TokenSpec, ZoneSpec
from ddnsd.model.state import State, Table
from ddnsd.store import keys


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
