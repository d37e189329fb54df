"""What one item of an archive may be, given what is there already. Pure: judges and fills a draft."""

import ipaddress
from collections import Counter
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import NamedTuple

from ddnsd.model.addresses import Family
from ddnsd.model.records import RecordKey, Resource
from ddnsd.model.resources import Kind, TokenSpec, is_previous
from ddnsd.model.special_addresses import is_reachable, is_usable
from ddnsd.service.archive import Address, Item
from ddnsd.service.problems import InvalidDocumentError, Problem
from ddnsd.service.registry import rules
from ddnsd.service.registry.draft import Draft
from ddnsd.service.registry.errors import RefusedError

# Keys that the put of one item compares or writes, at most: of a host also what it has published.
PUT_COST = rules.PUT_COST + len(Family)


class Came(NamedTuple):
    """What came of one item: whether it is new, how many of its addresses are, how many were kept.

    Of the new addresses `unusable` and `unreachable` are counted apart (`model.special_addresses`).
    """

    kind: Kind
    created: bool
    addresses: int
    kept: int
    unusable: int
    unreachable: int


def put_item(draft: Draft, item: Item, *, exported: datetime, nameservers: Collection[str]) -> Came:
    """Put one item into the draft; `exported` is when the archive was made.

    Raises:
        InvalidDocumentError: it refers to what is not there; with the item's place.
        RefusedError: something else is there already; with the item's place.
    """
    title = item.document.title
    try:
        return _put(draft, item, exported, nameservers)
    except InvalidDocumentError as error:
        raise InvalidDocumentError(*(problem.of(item.place, title) for problem in error.problems)) from error
    except RefusedError as error:
        problem = Problem("", str(error), item.place, title)
        hosts = int(item.document.kind is Kind.HOST)
        raise RefusedError(str(problem), count=hosts, problems=(problem,)) from error


def _put(draft: Draft, item: Item, exported: datetime, nameservers: Collection[str]) -> Came:
    kind, name, spec, origin = item.document
    old = draft.of_kind(kind).get(name)
    if old is not None and old != Resource(spec, origin=origin):
        raise RefusedError("it is there already, and is not the same")
    if old is None and isinstance(spec, TokenSpec) and is_previous(name):
        draft.put_token(name, Resource(spec, origin=origin))
    else:
        rules.put(draft, item.document, nameservers, imported=True)
    came = Counter[str]()
    if kind is Kind.HOST:
        for family in Family:
            came.update(_put_address(draft, RecordKey(name, family), item.addresses.get(family), exported))
    return Came(kind, old is None, *(came[what] for what in ("restored", "kept", "unusable", "unreachable")))


def _put_address(
    draft: Draft, record: RecordKey, address: Address | None, exported: datetime
) -> Sequence[str]:
    """Put one address into the draft; return what it counts as, nothing if it is there already."""
    entry = draft.state.addresses.get(record)
    if entry is None or entry.value.is_tombstone:
        if address is None:
            return ()
        content = (address.ip, address.previous, address.changed)
        draft.restore(record, *content, address.error)
        return ("restored", *_remarkable(address.ip))
    present = entry.value
    if address is not None and address.ip == present.ip:
        return ()
    if present.changed > exported:
        return ("kept",)
    since = present.changed.isoformat(timespec="seconds")
    raise RefusedError(
        f"its {record.type} is {present.ip} already, since {since}, before the export was made"
    )


def _remarkable(ip: str) -> Sequence[str]:
    """Say whether a client of today may not send the address: older versions took some that no host has."""
    address = ipaddress.ip_address(ip)
    if not is_usable(address):
        return ("unusable",)
    return () if is_reachable(address) else ("unreachable",)
