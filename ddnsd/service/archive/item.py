"""One resource of an archive: a document and, of a host, the addresses in its `status`."""

from collections.abc import Collection, Iterator, Mapping
from datetime import UTC
from typing import Any, NamedTuple

import msgspec

from ddnsd.config.reader import Problem, did_you_mean, shown
from ddnsd.model.addresses import Family, InvalidAddressError, read_address
from ddnsd.model.records import is_name_in_use
from ddnsd.model.resources import HostSpec, Instant
from ddnsd.service.documents import Document, InvalidDocumentError, read_document, write_document
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


_FIELDS = ("ip", "previous", "changed")
# As `ddnsd get` shows them: an import publishes everything anew, and leaves challenges where they are.
_IGNORED = ("published", "error")
_IGNORED_STATUS = tuple(
    field.encode_name for field in msgspec.structs.fields(HostStatus) if field.name not in Family.__members__
)
_INSTANT = 'write an instant such as "2026-12-01T00:00:00Z"'


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
    try:
        document = read_document(raw, stored=True)
    except InvalidDocumentError as error:
        problems += error.problems
    families = _families(document)
    try:
        addresses = _read_status({} if status is None else status, families)
    except InvalidDocumentError as error:
        problems += error.problems
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
        raise InvalidDocumentError(Problem("status", f"{shown(status)} is no group of fields"))
    problems: list[Problem] = []
    addresses: dict[Family, Address] = {}
    for key, raw in status.items():
        if key in _IGNORED_STATUS:
            continue
        if key not in families:
            message = "the document has no address of this kind: see spec.families of a Host"
            problems.append(Problem(f"status.{str(key)[:60]}", message))
            continue
        try:
            addresses[Family(key)] = _read_address(Family(key), raw)
        except InvalidDocumentError as error:
            problems += error.problems
    if problems:
        raise InvalidDocumentError(*problems)
    return addresses


def _read_address(family: Family, raw: object) -> Address:
    path = f"status.{family}"
    if not isinstance(raw, dict):
        raise InvalidDocumentError(Problem(path, f"{shown(raw)} is no group of fields"))
    problems = list(_problems(family, path, raw))
    if problems:
        raise InvalidDocumentError(*problems)
    changed = msgspec.convert(raw["changed"], Instant).astimezone(UTC)
    error = str(raw.get("error", ""))
    error = error if is_name_in_use(error) else ""
    return Address(_canonical(raw["ip"]), _canonical(raw.get("previous", "")), changed, error)


def _problems(family: Family, path: str, raw: Mapping[Any, object]) -> Iterator[Problem]:
    for key in raw:
        if key not in _FIELDS and key not in _IGNORED:
            word = str(key)[:60]
            yield Problem(f"{path}.{word}", f"unknown field; {did_you_mean(word, _FIELDS)}")
    ip, previous = raw.get("ip"), raw.get("previous", "")
    if not _is_of(family, ip):
        yield Problem(f"{path}.ip", f"{shown(ip)} is no address of family {family}")
    if previous != "" and not _is_of(family, previous):
        yield Problem(f"{path}.previous", f'{shown(previous)} is no address of family {family}; none is ""')
    try:
        msgspec.convert(raw.get("changed"), Instant).astimezone(UTC)
    except (msgspec.ValidationError, OverflowError):
        yield Problem(f"{path}.changed", f"{shown(raw.get('changed'))}: {_INSTANT}")


def _is_of(family: Family, text: object) -> bool:
    try:
        return isinstance(text, str) and read_address(text).family is family
    except InvalidAddressError:
        return False


def _canonical(text: str) -> str:
    return read_address(text).ip if text else ""
