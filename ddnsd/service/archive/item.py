"""One resource of an archive: a document and, of a host, the addresses in its `status`."""

import contextlib
from collections.abc import Collection, Mapping
from typing import Annotated, Any, NamedTuple

import msgspec

from ddnsd.config.reader import Problem, shown
from ddnsd.model.addresses import Family, InvalidAddressError, read_address
from ddnsd.model.note import Note, Parse
from ddnsd.model.records import is_name_in_use
from ddnsd.model.resources import HostSpec, Instant
from ddnsd.service.documents import (
    Document,
    InvalidDocumentError,
    gathered,
    read_document,
    read_struct,
    write_document,
)
from ddnsd.service.status import HostStatus


class Address(msgspec.Struct, frozen=True, omit_defaults=True):
    """A committed address; `previous` is "" if it is the host's first.

    `error` is only that of an address that is not published, as a name of it is somebody else's.
    """

    ip: str
    previous: str
    changed: Instant
    error: str = ""


class Item(NamedTuple):
    """A resource, its place in the archive from 1, and its addresses."""

    place: int
    document: Document
    addresses: Mapping[Family, Address]


class _Committed(msgspec.Struct, frozen=True):
    """An address as `ddnsd get` shows it; an import publishes everything again."""

    ip: Annotated[str, Note(parse="ip")]
    changed: Instant
    previous: Annotated[str, Note(parse="previous", remedy='write an address, or "" for none')] = ""
    published: Any = None
    error: Any = ""


# An import leaves challenges where they are.
_IGNORED_STATUS = tuple(
    field.encode_name for field in msgspec.structs.fields(HostStatus) if field.name not in Family.__members__
)


def write_item(document: Document, addresses: Mapping[Family, Address]) -> dict[str, Any]:
    """Return the item as plain JSON values."""
    written = write_document(document)
    if addresses:
        written["status"] = {family.value: msgspec.to_builtins(addresses[family]) for family in addresses}
    return written


def read_item(raw: object, place: int) -> Item:
    """Read an item, strictly.

    Raises:
        InvalidDocumentError: with all of its problems.
    """
    status = raw.get("status") if isinstance(raw, dict) else None
    problems: list[Problem] = []
    document, addresses = None, {}
    with gathered(problems):
        document = read_document(raw, stored=True)
    with gathered(problems):
        addresses = _read_status({} if status is None else status, _families(document))
    if problems or document is None:
        raise InvalidDocumentError(*problems)
    return Item(place, document, addresses)


def _families(document: Document | None) -> Collection[Family]:
    """Return those that the document may have addresses of: all, as long as it is not known what it is."""
    if document is None:
        return tuple(Family)
    return document.spec.families if isinstance(document.spec, HostSpec) else ()


def _read_status(status: object, families: Collection[Family]) -> dict[Family, Address]:
    if not isinstance(status, dict):
        raise InvalidDocumentError(Problem("status", f"{shown(status)}: write a group of fields"))
    problems: list[Problem] = []
    addresses: dict[Family, Address] = {}
    for key, raw in status.items():
        if key in _IGNORED_STATUS:
            continue
        if key not in families:
            message = "the document has no address of this kind: see spec.families of a Host"
            problems.append(Problem(f"status.{str(key)[:60]}", message))
            continue
        with gathered(problems):
            addresses[Family(key)] = _read_address(Family(key), raw)
    if problems:
        raise InvalidDocumentError(*problems)
    return addresses


def _read_address(family: Family, raw: object) -> Address:
    parsers: Mapping[str, Parse] = {
        "ip": lambda text: _parse_ip(family, text),
        "previous": lambda text: text and _parse_ip(family, text, '; none is ""'),
    }
    found = read_struct(_Committed, raw, f"status.{family}", parsers=parsers)
    error = str(found.error)
    return Address(found.ip, found.previous, found.changed, error if is_name_in_use(error) else "")


def _parse_ip(family: Family, text: str, hint: str = "") -> str:
    with contextlib.suppress(InvalidAddressError):
        address = read_address(text)
        if address.family is family:
            return address.ip
    raise ValueError(f"not an address of family {family}{hint}")
