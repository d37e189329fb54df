"""The audit, read from the store page by page: no node keeps its entries in memory."""

from collections.abc import Iterable, Iterator

import msgspec
import structlog

from ddnsd.aio import Slice
from ddnsd.model.audit import AuditEntry, AuditItem
from ddnsd.service.registry.results import store_failures
from ddnsd.service.status import Page
from ddnsd.store import keys
from ddnsd.store.interface import KeyValue, Store

_log = structlog.get_logger(__name__)

_PAGE = 500  # entries read at once
_decode = msgspec.json.Decoder(AuditEntry).decode


class AuditLog:
    """The installation's audit."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def page(self, limit: int, cursor: str = "") -> Page[AuditItem]:
        """Return at most `limit` entries, those before the cursor.

        Raises:
            StoreFailedError: the store cannot be read now.
        """
        found, more = await self._read(limit, cursor)
        items = tuple(_item(id, entry) for id, entry in _entries(found))
        return Page(items, _id(found[-1][0]) if more else "")

    async def of_host(self, host: str) -> list[AuditItem]:
        """Return all entries that name a host, the newest first.

        Raises:
            StoreFailedError: the store cannot be read now.
        """
        items: list[AuditItem] = []
        cursor, more, slice, name = "", True, Slice(), host.encode()
        while more:
            found, more = await self._read(_PAGE, cursor)
            for id, entry in _entries(each for each in found if name in each[1].value):
                if entry.concerns(host):
                    items.append(_item(id, entry))
                await slice.pause()
            cursor = _id(found[-1][0]) if found else ""
        return items

    async def _read(self, limit: int, cursor: str) -> tuple[tuple[tuple[str, KeyValue], ...], bool]:
        prefix = keys.audit("")
        with store_failures("be read"):
            found = await self._store.page(prefix, limit, before=keys.audit(cursor) if cursor else "")
        return found.items, found.total > len(found.items)


def _id(key: str) -> str:
    return key.removeprefix(keys.audit(""))


def _entries(found: Iterable[tuple[str, KeyValue]]) -> Iterator[tuple[str, AuditEntry]]:
    """Yield what can be read; a later version's shape cannot be."""
    for key, item in found:
        try:
            yield _id(key), _decode(item.value)
        except msgspec.DecodeError as error:
            _log.warning("audit.unreadable", key=key, reason=str(error))


def _item(id: str, entry: AuditEntry) -> AuditItem:
    return AuditItem(
        *(id, entry.at, entry.by, entry.address, entry.way),
        *(entry.created, entry.changed, entry.deleted, entry.changes, entry.withdrawn),
    )
