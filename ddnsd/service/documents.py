"""Documents as users write them: (kind, name, spec) out of plain JSON values, and back."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from ..config.mistakes import did_you_mean
from ..model.resources import API_VERSION, Kind, Spec, TokenSpec
from ..model.tokens import digest
from .problems import InvalidDocumentError, Problem, shown
from .specs import read_name, read_spec, write_spec

_FIELDS = ("apiVersion", "kind", "metadata", "spec", "status")
_SHOWN = 80  # characters of a text that nobody has checked


class Document(NamedTuple):
    """One resource as somebody wants it, in canonical form."""

    kind: Kind
    name: str
    spec: Spec

    @property
    def title(self) -> str:
        """What messages call it."""
        return f"{self.kind} {self.name}"


def read_document(raw: object) -> Document:
    """Read one document, strictly; its `status` is ignored.

    Raises:
        InvalidDocumentError: with all of its problems.
    """
    if not isinstance(raw, dict):
        raise InvalidDocumentError(Problem("", f"{shown(raw)} is no document"))
    kind = _read_kind(raw)
    problems = list(_outer_problems(raw))
    name, spec = "", None
    try:
        name = _read_metadata(kind, raw.get("metadata"))
    except InvalidDocumentError as error:
        problems += error.problems
    try:
        spec = read_spec(kind, raw.get("spec"))
    except InvalidDocumentError as error:
        problems += error.problems
    if problems or spec is None:
        raise InvalidDocumentError(*problems)
    return Document(kind, name, spec)


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
    return {
        "apiVersion": API_VERSION,
        "kind": document.kind.value,
        "metadata": {"name": document.name},
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


def _read_metadata(kind: Kind, metadata: object) -> str:
    """Return the name, which is all that metadata holds."""
    if not isinstance(metadata, dict):
        raise InvalidDocumentError(Problem("metadata", "write {name: …}"))
    problems = [
        Problem(f"metadata.{str(key)[:_SHOWN]}", "unknown field; there is only `name`: remove it")
        for key in metadata
        if key != "name"
    ]
    if problems:
        raise InvalidDocumentError(*problems)
    if "name" not in metadata:
        raise InvalidDocumentError(Problem("metadata.name", "missing: it is what the resource is known by"))
    return read_name(kind, metadata["name"])
