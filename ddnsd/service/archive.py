"""The archive: what `ddnsd export` writes and `ddnsd import` reads (docs/admin/reference.md).

A stream of YAML documents, consistent at one revision: a header, then the zones, accounts, hosts with their
addresses, and tokens, which have digests only. It is written in slices, while the installation goes on
changing, and read as it arrives: its text is never held as a whole, and each document is checked at once.
"""

import contextlib
import heapq
import re
from collections.abc import AsyncIterator, Collection, Iterator, Mapping
from datetime import UTC, datetime
from itertools import chain
from typing import Annotated, Any, NamedTuple

import msgspec

from ddnsd import __version__
from ddnsd.aio import Slice
from ddnsd.config.loader import YamlError
from ddnsd.config.reader import Problem, shown
from ddnsd.model.addresses import Challenge, Family, InvalidAddressError, read_address
from ddnsd.model.note import Note, Parse
from ddnsd.model.records import Committed, Entry, Published, RecordKey, Resource, is_name_in_use
from ddnsd.model.resources import API_VERSION, HostSpec, Instant, Kind, Spec
from ddnsd.model.state import State
from ddnsd.service.documents import (
    Document,
    InvalidDocumentError,
    ProblemList,
    document_of,
    gathered,
    read_document,
    read_struct,
    title_of,
    write_document,
)
from ddnsd.service.manifests import read_manifest
from ddnsd.service.status import HostStatus


class ArchivedAddress(msgspec.Struct, frozen=True, omit_defaults=True):
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
    addresses: Mapping[Family, ArchivedAddress]


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


def write_item(document: Document, addresses: Mapping[Family, ArchivedAddress]) -> dict[str, Any]:
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


def _read_status(status: object, families: Collection[Family]) -> dict[Family, ArchivedAddress]:
    if not isinstance(status, dict):
        raise InvalidDocumentError(Problem("status", f"{shown(status)}: write a group of fields"))
    problems: list[Problem] = []
    addresses: dict[Family, ArchivedAddress] = {}
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


def _read_address(family: Family, raw: object) -> ArchivedAddress:
    parsers: Mapping[str, Parse] = {
        "ip": lambda text: _parse_ip(family, text),
        "previous": lambda text: text and _parse_ip(family, text, '; none is ""'),
    }
    found = read_struct(_Committed, raw, f"status.{family}", parsers=parsers)
    error = str(found.error)
    return ArchivedAddress(found.ip, found.previous, found.changed, error if is_name_in_use(error) else "")


def _parse_ip(family: Family, text: str, hint: str = "") -> str:
    with contextlib.suppress(InvalidAddressError):
        address = read_address(text)
        if address.family is family:
            return address.ip
    raise ValueError(f"not an address of family {family}{hint}")


# A line that begins a document (YAML 1.1 §9.2). No scalar can hold one.
_BEGIN = re.compile(rb"^---(?=[ \t\r\n])", re.MULTILINE)
_OVERLAP = len(b"\n--- ")  # of what was searched before that a marker may begin in

MAX_DOCUMENT = 8 << 20  # bytes


class DocumentStream:
    """Takes bytes, gives the text of each document once it is whole."""

    def __init__(self) -> None:
        self._rest = b""
        self._searched = 0

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """Yield the documents that this chunk completes. To be iterated to its end.

        Raises:
            InvalidDocumentError: one is longer than `MAX_DOCUMENT`, longer than any that makes sense.
        """
        text = self._rest + chunk
        begin = 0
        for marker in _BEGIN.finditer(text, max(self._searched - _OVERLAP, 0)):
            if marker.start() > begin:
                yield text[begin : marker.start()]
                begin = marker.start()
        self._rest = text[begin:]
        self._searched = len(self._rest)
        if len(self._rest) > MAX_DOCUMENT:
            raise InvalidDocumentError(Problem("", f"a document of more than {MAX_DOCUMENT} bytes"))

    def finish(self) -> bytes:
        """Return the last document."""
        rest, self._rest = self._rest, b""
        return rest


KIND = "Export"
FORMAT = 1
END = b"...\n"  # the archive's last line, YAML's end of a document: without it, it was cut off

Count = Annotated[int, msgspec.Meta(ge=0)]


class Counts(msgspec.Struct, frozen=True):
    """How many resources of each kind."""

    zones: Count = 0
    accounts: Count = 0
    hosts: Count = 0
    tokens: Count = 0

    def of(self, kind: Kind) -> int:
        """Return the number of a kind."""
        count: int = getattr(self, kind.plural)
        return count


class ArchiveHeader(msgspec.Struct, frozen=True):
    """Where an archive comes from, and what follows. A later format may have more fields.

    `removals` are withdrawn records that the leader had still to take from a nameserver; an
    archive does not hold them.
    """

    format: int
    installation: str
    revision: int
    time: Instant
    version: str  # of the ddnsd that wrote it
    counts: Counts
    addresses: Count
    removals: Count = 0


def write_header(header: ArchiveHeader) -> dict[str, Any]:
    """Return the header as a document."""
    metadata = {"name": header.installation}
    spec = msgspec.to_builtins(header)
    return {"apiVersion": API_VERSION, "kind": KIND, "metadata": metadata, "spec": spec}


def read_header(raw: object) -> ArchiveHeader:
    """Read the first document of an archive.

    Raises:
        InvalidDocumentError: it is none, or of a format that this version does not know.
    """
    if not isinstance(raw, dict) or raw.get("kind") != KIND:
        message = f"this is no export, which begins with kind: {KIND}; documents go in with `ddnsd apply`"
        raise InvalidDocumentError(Problem("kind", message))
    spec = raw.get("spec")
    format = spec.get("format") if isinstance(spec, dict) else None
    if isinstance(format, int) and format > FORMAT:
        message = f"{shown(format)} is of a later ddnsd, this one reads up to {FORMAT}: upgrade it first"
        raise InvalidDocumentError(Problem("spec.format", message))
    try:
        header = msgspec.convert(spec, ArchiveHeader)
    except msgspec.ValidationError as error:
        raise InvalidDocumentError(Problem("spec", f"not as it was written: {error}")) from error
    return msgspec.structs.replace(header, time=header.time.astimezone(UTC))


def header_in(text: bytes) -> ArchiveHeader:
    """Read the header out of the first bytes of an archive.

    Raises:
        InvalidDocumentError: as of `read_header`.
        YamlError: it is not even YAML.
    """
    stream = DocumentStream()
    first = next(stream.feed(text), None) or stream.finish()
    documents = read_manifest(first)
    return read_header(documents[0] if documents else None)


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

    async def _header(self, slice: Slice) -> ArchiveHeader:
        addresses, removals = 0, 0
        for record, entry in self._addresses.items():
            removals += entry.value.is_tombstone
            addresses += not entry.value.is_tombstone and record.type is not Challenge.TXT
            await slice.pause()
        return ArchiveHeader(
            format=FORMAT,
            installation=self._installation,
            revision=self._revision,
            time=self._now,
            version=__version__,
            counts=Counts(**{kind.plural: len(table) for kind, table in self._tables.items()}),
            addresses=addresses,
            removals=removals,
        )

    def _addresses_of(self, host: str) -> Iterator[tuple[Family, ArchivedAddress]]:
        for family in Family:
            entry = self._addresses.get(RecordKey(host, family))
            if entry is not None and not entry.value.is_tombstone:
                committed = entry.value
                error = self._error(RecordKey(host, family))
                yield family, ArchivedAddress(committed.ip, committed.previous, committed.changed, error)

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


ORDER = (Kind.ZONE, Kind.ACCOUNT, Kind.HOST, Kind.TOKEN)  # what is referred to comes first

# of the event loop: somebody waits for it
_CUT_OFF = "the export was cut off after this: its last line is `...`; if it was edited, add that line"


class Archive(NamedTuple):
    """A whole archive; each item is right by itself. The items are in the order in which they can go in."""

    header: ArchiveHeader
    items: tuple[Item, ...]


class ArchiveReader:
    """Takes the bytes of an archive."""

    def __init__(self) -> None:
        self._stream = DocumentStream()
        self._slice = Slice(share=_SHARE)
        self._problems = ProblemList()
        self._place = 0  # of the newest document, from 1
        self._header: ArchiveHeader | None = None
        self._items: dict[Kind, dict[str, Item]] = {kind: {} for kind in ORDER}
        self._refused = False  # it is not worth reading on

    async def feed(self, chunk: bytes) -> None:
        """Read a part; what is wrong with it is told at the end."""
        if self._refused:
            return
        try:
            for text in self._stream.feed(chunk):
                self._read(text)
                await self._slice.pause()
        except InvalidDocumentError as error:
            self._problems.add(*(problem.of(self._place + 1, "") for problem in error.problems))
            self._refused = True

    def finish(self) -> Archive:
        """Return the archive, after its last part.

        Raises:
            InvalidDocumentError: with the problems of all documents.
        """
        last = self._stream.finish()
        self._read(last)
        if not self._place:
            self._problems.add(Problem("", "there is no document in it"))
        elif not self._refused and last.rstrip().rpartition(b"\n")[2] != END.strip():
            self._problems.add(Problem("", _CUT_OFF, self._place))
        self._problems.demand_none()
        assert self._header is not None
        items = chain.from_iterable(items.values() for items in self._items.values())
        return Archive(self._header, tuple(items))

    def _read(self, text: bytes) -> None:
        """Read the text of one document; comments and white space alone are none."""
        if self._refused:
            return
        try:
            documents = read_manifest(text)
        except YamlError as error:
            self._place += 1
            self._problems.add(Problem("", f"no YAML: {error} (of this document)", self._place))
            return
        for raw in documents:
            self._place += 1
            try:
                self._take(raw)
            except InvalidDocumentError as error:
                self._problems.add(*(problem.of(self._place, title_of(raw)) for problem in error.problems))

    def _take(self, raw: object) -> None:
        if self._place == 1:
            self._refused = True
            self._header = read_header(raw)
            self._refused = False
            return
        item = read_item(raw, self._place)
        first = self._items[item.document.kind].setdefault(item.document.name, item)
        if first is not item:
            message = f"the same as document {first.place}: keep one"
            raise InvalidDocumentError(Problem("metadata.name", message))
