"""Writing an archive: all of one revision, in slices, while the installation goes on changing."""

import heapq
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from datetime import datetime
from typing import Any

import msgspec

from ddnsd import __version__
from ddnsd.aio import Slice
from ddnsd.model.addresses import Challenge, Family
from ddnsd.model.records import Committed, Entry, Published, RecordKey, Resource
from ddnsd.model.resources import Kind, Spec
from ddnsd.model.state import State
from ddnsd.service.archive.header import END, FORMAT, Counts, Header, write_header
from ddnsd.service.archive.item import Address, write_item
from ddnsd.service.documents import document_of

_SHARE = 0.5  # of the event loop: somebody waits for it
_PART = 32_768  # bytes, at least, of one part of the stream
_SORTED_AT_ONCE = 4_000  # names
# What JSON may hold as it is and YAML 1.1 may not, or takes for the end of a line.
_NOT_YAML = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")


class Export:
    """What the installation holds at one revision.

    Making one copies references, not values: some 10 ms for 100,000 hosts with two addresses each.
    """

    def __init__(self, state: State, revision: int, now: datetime) -> None:
        """Take the state as it is now; `now` is in UTC."""
        self._tables: Mapping[Kind, dict[str, Entry[Resource[Spec]]]] = {
            kind: dict(state.resources(kind)) for kind in Kind
        }
        self._addresses: dict[RecordKey, Entry[Committed]] = dict(state.addresses)
        self._published: dict[RecordKey, Entry[Published]] = dict(state.published)
        self._installation = state.installation[""].value.id
        self._revision = revision
        self._now = now

    async def parts(self) -> AsyncIterator[bytes]:
        """Yield the archive's text, part by part; giving way to others in between."""
        slice = Slice(share=_SHARE)
        part = bytearray(yaml_of(write_header(await self._header(slice))))
        for kind, table in self._tables.items():
            for name in await _sorted(table, slice):
                addresses = dict(self._addresses_of(name)) if kind is Kind.HOST else {}
                part += yaml_of(write_item(document_of(kind, name, table[name].value), addresses))
                if len(part) >= _PART:
                    yield bytes(part)
                    part.clear()
                await slice.pause()
        yield bytes(part) + END

    async def _header(self, slice: Slice) -> Header:
        addresses, removals = 0, 0
        for record, entry in self._addresses.items():
            removals += entry.value.is_tombstone
            addresses += not entry.value.is_tombstone and record.type is not Challenge.TXT
            await slice.pause()
        return Header(
            format=FORMAT,
            installation=self._installation,
            revision=self._revision,
            time=self._now,
            version=__version__,
            counts=Counts(**{kind.plural: len(table) for kind, table in self._tables.items()}),
            addresses=addresses,
            removals=removals,
        )

    def _addresses_of(self, host: str) -> Iterator[tuple[Family, Address]]:
        for family in Family:
            entry = self._addresses.get(RecordKey(host, family))
            if entry is not None and not entry.value.is_tombstone:
                committed = entry.value
                error = self._error(RecordKey(host, family))
                yield family, Address(committed.ip, committed.previous, committed.changed, error)

    def _error(self, record: RecordKey) -> str:
        """Return why an address is not published if a name of it is somebody else's: so that stays."""
        entry = self._published.get(record)
        error = entry.value.error if entry else None
        return error.message if error is not None and error.is_name_in_use else ""


async def _sorted(names: Mapping[str, object], slice: Slice) -> Iterator[str]:
    """Return the names in order; sorting a hundred thousand at once would take too long."""
    unsorted = list(names)
    runs = []
    for start in range(0, len(unsorted), _SORTED_AT_ONCE):
        runs.append(sorted(unsorted[start : start + _SORTED_AT_ONCE]))
        await slice.pause()
    return heapq.merge(*runs)


def yaml_of(document: Mapping[str, Any]) -> bytes:
    """Return a document as YAML: a line for each of its fields, whose value is JSON."""
    lines = (f"{field}: {_json(value)}\n" for field, value in document.items())
    return ("---\n" + "".join(lines)).encode()


def _json(value: object) -> str:
    text = msgspec.json.format(msgspec.json.encode(value), indent=0).decode()
    return _NOT_YAML.sub(lambda found: f"\\u{ord(found[0]):04x}", text)
