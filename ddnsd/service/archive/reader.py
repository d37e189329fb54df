"""Reading an archive as it arrives: its text is never held as a whole, its documents are checked at once."""

from itertools import chain
from typing import NamedTuple

from ddnsd.aio import Slice
from ddnsd.config.loader import YamlError
from ddnsd.config.reader import Problem
from ddnsd.model.resources import Kind
from ddnsd.service.archive.header import END, Header, read_header
from ddnsd.service.archive.item import Item, read_item
from ddnsd.service.archive.stream import DocumentStream, TooLongError
from ddnsd.service.documents import InvalidDocumentError, ProblemList, title_of
from ddnsd.service.manifests import read_manifest

_ORDER = (Kind.ZONE, Kind.ACCOUNT, Kind.HOST, Kind.TOKEN)  # what is referred to comes first

_SHARE = 0.5  # of the event loop: somebody waits for it
_CUT_OFF = "the export was cut off after this: its last line is `...`; if it was edited, add that line"


class Archive(NamedTuple):
    """A whole archive; each item is right by itself. The items are in the order in which they can go in."""

    header: Header
    items: tuple[Item, ...]


class ArchiveReader:
    """Takes the bytes of an archive."""

    def __init__(self) -> None:
        self._stream = DocumentStream()
        self._slice = Slice(share=_SHARE)
        self._problems = ProblemList()
        self._place = 0  # of the newest document, from 1
        self._header: Header | None = None
        self._items: dict[Kind, dict[str, Item]] = {kind: {} for kind in _ORDER}
        self._refused = False  # it is not worth reading on

    async def feed(self, chunk: bytes) -> None:
        """Read a part; what is wrong with it is told at the end."""
        if self._refused:
            return
        try:
            for text in self._stream.feed(chunk):
                self._read(text)
                await self._slice.pause()
        except TooLongError as error:
            self._problems.add(Problem("", str(error), self._place + 1))
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
