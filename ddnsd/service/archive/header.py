"""The first document of an archive: what it is, and what follows."""

from datetime import UTC
from typing import Annotated, Any

import msgspec

from ddnsd.config.reader import Problem, shown
from ddnsd.model.resources import API_VERSION, Instant, Kind
from ddnsd.service.archive.stream import DocumentStream
from ddnsd.service.documents import InvalidDocumentError
from ddnsd.service.manifests import read_manifest

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


class Header(msgspec.Struct, frozen=True):
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


def write_header(header: Header) -> dict[str, Any]:
    """Return the header as a document."""
    metadata = {"name": header.installation}
    spec = msgspec.to_builtins(header)
    return {"apiVersion": API_VERSION, "kind": KIND, "metadata": metadata, "spec": spec}


def read_header(raw: object) -> Header:
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
        header = msgspec.convert(spec, Header)
    except msgspec.ValidationError as error:
        raise InvalidDocumentError(Problem("spec", f"not as it was written: {error}")) from error
    return msgspec.structs.replace(header, time=header.time.astimezone(UTC))


def header_in(text: bytes) -> Header:
    """Read the header out of the first bytes of an archive.

    Raises:
        InvalidDocumentError: as of `read_header`.
        YamlError: it is not even YAML.
    """
    stream = DocumentStream()
    first = next(stream.feed(text), None) or stream.finish()
    documents = read_manifest(first)
    return read_header(documents[0] if documents else None)
