"""Documents as users write them: (kind, name, spec) out of plain JSON values, and back."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, NamedTuple

import msgspec

from ddnsd.config.reader import Problem, did_you_mean, shown
from ddnsd.model.records import Resource
from ddnsd.model.resources import API_VERSION, Kind, Origin, Spec, TokenSpec, digest
from ddnsd.service.contradictions import crowding
from ddnsd.service.problems import InvalidDocumentError
from ddnsd.service.specs import read_name, read_spec, write_spec

_FIELDS = ("apiVersion", "kind", "metadata", "spec", "status")
_ORIGIN = Origin.__struct_fields__
_MANAGED = "Kubernetes manages it: change it there with kubectl, and leave it out here"
_SHOWN = 80  # characters of a text that nobody has checked


class Document(NamedTuple):
    """One resource as somebody wants it, in canonical form; `origin` is None if by the admin API."""

    kind: Kind
    name: str
    spec: Spec
    origin: Origin | None = None

    @property
    def title(self) -> str:
        """What messages call it."""
        return f"{self.kind} {self.name}"


def document_of(kind: Kind, name: str, resource: Resource[Spec]) -> Document:
    """Return the document that a resource was written from."""
    return Document(kind, name, resource.spec, resource.origin)


def read_document(raw: object, *, stored: bool = False) -> Document:
    """Read one document, strictly; its `status` is ignored.

    One as it is `stored` may be managed by Kubernetes; one that a user wants may not.

    Raises:
        InvalidDocumentError: with all of its problems.
    """
    if not isinstance(raw, dict):
        raise InvalidDocumentError(Problem("", f"{shown(raw)} is no document"))
    kind = _read_kind(raw)
    problems = list(_outer_problems(raw))
    name, origin, spec = "", None, None
    try:
        name, origin = _read_metadata(kind, raw.get("metadata"), stored=stored)
    except InvalidDocumentError as error:
        problems += error.problems
    try:
        spec = read_spec(kind, raw.get("spec"), stored=stored)
    except InvalidDocumentError as error:
        problems += error.problems
    if spec is not None:
        problems += crowding(name, spec)
    if problems or spec is None:
        raise InvalidDocumentError(*problems)
    return Document(kind, name, spec, origin)


def read_new_token(raw: object, secret: str, now: datetime) -> tuple[Document, bool]:
    """Read a Token that may lack `sha256`; then it gets this secret's, and True is returned with it.

    Raises:
        InvalidDocumentError: with all of its problems; one is to have expired `now` already.
    """
    if not isinstance(raw, dict) or raw.get("kind") != Kind.TOKEN:
        raise InvalidDocumentError(Problem("kind", "only a Token has a secret: write kind: Token"))
    spec = raw.get("spec")
    made = False
    if isinstance(spec, dict) and "sha256" not in spec:
        raw, made = raw | {"spec": spec | {"sha256": digest(secret)}}, True
    document = read_document(raw)
    assert isinstance(document.spec, TokenSpec)
    expires = document.spec.expires
    if expires is not None and expires <= now:
        message = f"{expires.isoformat()} is over: write an instant to come"
        raise InvalidDocumentError(Problem("spec.expires", message))
    return document, made


def write_document(document: Document) -> dict[str, Any]:
    """Return the document as plain JSON values; reading them gives an equal one."""
    origin = msgspec.to_builtins(document.origin) if document.origin else {}
    return {
        "apiVersion": API_VERSION,
        "kind": document.kind.value,
        "metadata": {"name": document.name, **origin},
        "spec": write_spec(document.spec),
    }


def title_of(raw: object) -> str:
    """Return what messages call a document that may be unreadable: as much as can be said of it."""
    if not isinstance(raw, dict):
        return ""
    metadata = raw.get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    return " ".join(part[:_SHOWN] for part in (raw.get("kind"), name) if isinstance(part, str))


def _read_kind(raw: Mapping[str, object]) -> Kind:
    kind = raw.get("kind")
    known = [kind.value for kind in Kind]
    if isinstance(kind, str) and kind in known:
        return Kind(kind)
    if "kind" not in raw:
        raise InvalidDocumentError(Problem("kind", f"missing: write one of {', '.join(known)}"))
    raise InvalidDocumentError(Problem("kind", f"{shown(kind)} is no kind; {did_you_mean(str(kind), known)}"))


def _outer_problems(raw: Mapping[str, object]) -> Iterator[Problem]:
    version = raw.get("apiVersion")
    if version != API_VERSION:
        said = shown(version) if "apiVersion" in raw else "missing"
        yield Problem("apiVersion", f"{said}: write {API_VERSION}")
    for key in raw:
        if key not in _FIELDS:
            word = str(key)[:_SHOWN]
            yield Problem(word, f"unknown field; {did_you_mean(word, _FIELDS)}")


def _read_metadata(kind: Kind, metadata: object, *, stored: bool) -> tuple[str, Origin | None]:
    """Return the name, which is all that a user writes into metadata, and the origin."""
    if not isinstance(metadata, dict):
        raise InvalidDocumentError(Problem("metadata", "write {name: …}"))
    if "source" in metadata and not stored:
        raise InvalidDocumentError(Problem("metadata.source", _MANAGED))
    known = ("name", *(_ORIGIN if stored else ()))
    problems = [
        Problem(f"metadata.{str(key)[:_SHOWN]}", "unknown field; there is only `name`: remove it")
        for key in metadata
        if key not in known
    ]
    if problems:
        raise InvalidDocumentError(*problems)
    if "name" not in metadata:
        raise InvalidDocumentError(Problem("metadata.name", "missing: it is what the resource is known by"))
    return read_name(kind, metadata["name"], stored=stored), _read_origin(metadata)


def _read_origin(metadata: Mapping[str, object]) -> Origin | None:
    if "source" not in metadata:
        return None
    try:
        return msgspec.convert({key: metadata[key] for key in _ORIGIN if key in metadata}, Origin)
    except msgspec.ValidationError as error:
        raise InvalidDocumentError(Problem("metadata", "source and namespace are no texts")) from error
