"""Stored bytes to typed values and back: JSON, each value with the version of its shape."""

from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

from ..model.records import Committed, Footprint, Published, RegistryHead, Resource, Stored, WorkRequest
from ..model.resources import AccountSpec, HostSpec, Kind, TokenSpec, ZoneSpec
from ..model.state import State, Table
from . import keys


class UnreadableError(ValueError):
    """A stored value is not what this version can read."""


class Shelf(NamedTuple):
    """What lies under one prefix: how to read it, and which table of the state it fills."""

    decoder: msgspec.json.Decoder[Any]
    read_id: Callable[[str], Any]
    table: Callable[[State], Table[Any, Any]]


SHELVES: dict[str, Shelf] = {
    Kind.ZONE.plural: Shelf(msgspec.json.Decoder(Resource[ZoneSpec]), str, lambda state: state.zones),
    Kind.ACCOUNT.plural: Shelf(
        msgspec.json.Decoder(Resource[AccountSpec]), str, lambda state: state.accounts
    ),
    Kind.HOST.plural: Shelf(msgspec.json.Decoder(Resource[HostSpec]), str, lambda state: state.hosts),
    Kind.TOKEN.plural: Shelf(msgspec.json.Decoder(Resource[TokenSpec]), str, lambda state: state.tokens),
    keys.ADDRESSES: Shelf(msgspec.json.Decoder(Committed), keys.read_record, lambda state: state.addresses),
    keys.PUBLISHED: Shelf(msgspec.json.Decoder(Published), keys.read_record, lambda state: state.published),
    keys.FOOTPRINTS: Shelf(msgspec.json.Decoder(Footprint), keys.read_site, lambda state: state.footprints),
    keys.REQUESTS: Shelf(msgspec.json.Decoder(WorkRequest), str, lambda state: state.requests),
    keys.REGISTRY: Shelf(msgspec.json.Decoder(RegistryHead), str, lambda state: state.registry),
}

_encoder = msgspec.json.Encoder()


def encode(value: Stored) -> bytes:
    """Return the stored form of a value."""
    return _encoder.encode(value)


def decode(shelf: Shelf, value: bytes) -> Any:
    """Return the value stored on a shelf.

    Raises:
        UnreadableError: not of the shape, of a version that this program does not know, or no JSON.
    """
    try:
        return shelf.decoder.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:  # the last: nested too deep
        raise UnreadableError(str(error)) from error
