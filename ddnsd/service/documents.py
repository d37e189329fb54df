"""Documents as users write them: (kind, name, spec) out of plain JSON values, and back.

The specs in `model.resources` declare what a document has, and `config.reader` reads them strictly. Here is
what a declaration cannot say: names, canonical texts, and which fields do not fit together.
"""

import contextlib
import ipaddress
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from enum import StrEnum
from functools import partial
from typing import Annotated, Any, NamedTuple, TypeVar

import msgspec

from ddnsd.config.loader import KeyPath, dotted
from ddnsd.config.reader import Problem, Reader, did_you_mean, message, shown
from ddnsd.model.addresses import Family
from ddnsd.model.names import InvalidNameError, parse_name
from ddnsd.model.note import Note, Parse
from ddnsd.model.records import Resource
from ddnsd.model.resources import (
    API_VERSION,
    SPECS,
    AccountSpec,
    HostSpec,
    Kind,
    Origin,
    Spec,
    TokenSpec,
    digest,
)

S = TypeVar("S", bound=msgspec.Struct)

MAX_NAME = 253  # characters (RFC 1035 §2.3.4)
MAX_WILDCARD_NAME = MAX_NAME - len("*.")
MAX_ZONE_NAME = MAX_NAME - 64  # a label before it, such as the fence's, and its dot

_FIELDS = ("apiVersion", "kind", "metadata", "spec", "status")
_MANAGED = "Kubernetes manages it: change it there with kubectl, and leave it out here"
_SECRETS = ("secret", "token", "password", "value", "key")
_NO_SECRETS = "a secret is stored nowhere: import it with `ddnsd token create NAME --secret-file FILE`"
_SHOWN = 80  # characters of a text that nobody has checked
_TOLD = 1000
# As Kubernetes names its objects (RFC 1123 subdomains).
_LABEL = r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?"
_OBJECT_NAME = rf"{_LABEL}(?:\.{_LABEL})*"
# With what `model.resources.qualified` puts before and behind it.
_STORED_NAME = re.compile(rf"(?P<origin>{_LABEL}:{_LABEL}:)?(?P<name>{_OBJECT_NAME})(?P<previous>:previous)?")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_SUBNET = re.compile(r"[0-9a-f]{1,12}")  # 48 bits: of a /16, shorter prefixes are delegated to nobody
_INTERFACE_BITS = 64  # RFC 4291 §2.5.1


class Reason(StrEnum):
    """Why one document is not accepted: a word for programs, such as the reason of a condition."""

    ACCOUNT_NOT_FOUND = "AccountNotFound"
    ZONE_NOT_FOUND = "ZoneNotFound"
    ZONE_APEX = "ZoneApex"
    UNKNOWN_NAMESERVER = "UnknownNameserver"
    INVALID = "Invalid"
    NAME_TAKEN = "NameTaken"
    SECRET_TAKEN = "SecretTaken"  # noqa: S105 - a word, not a secret
    TAKES_HOSTS_OVER = "TakesHostsOver"
    STILL_LEAVING = "StillLeaving"
    NAME_RESERVED = "NameReserved"
    NAME_NESTED = "NameNested"
    HAS_HOSTS = "HasHosts"


class InvalidDocumentError(ValueError):
    """Documents that cannot be accepted as they are, whatever else is done.

    `reason` is of a single document.
    """

    def __init__(self, *problems: Problem, reason: Reason = Reason.INVALID) -> None:
        self.problems = problems
        self.reason = reason
        super().__init__("; ".join(map(str, problems)))


class ProblemList:
    """Gathers the problems of many documents: all are counted, the first thousand are told."""

    def __init__(self) -> None:
        self._told: list[Problem] = []
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, *problems: Problem) -> None:
        """Note problems."""
        self._count += len(problems)
        self._told += problems[: _TOLD - len(self._told)]

    @property
    def told(self) -> tuple[Problem, ...]:
        """The first of them and, if there are more, how many."""
        more = self._count - len(self._told)
        return (*self._told, Problem("", f"and {more} more")) if more else tuple(self._told)

    def demand_none(self) -> None:
        """Check that there is none.

        Raises:
            InvalidDocumentError: there are some.
        """
        if self._told:
            raise InvalidDocumentError(*self.told)


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


def read_name(kind: Kind, text: object, *, stored: bool = False) -> str:
    """Return the canonical name of a resource: for a Zone or Host a DNS name in any spelling.

    What is `stored` may be named as no document of a user's is, as Kubernetes manages it.

    Raises:
        InvalidDocumentError: nothing of this kind can have the name.
    """
    try:
        if not isinstance(text, str):
            raise ValueError("write a text, in quotes if it looks like a number")  # noqa: TRY004, TRY301
        if kind in (Kind.ZONE, Kind.HOST):
            return _parse_dns_name(text, MAX_ZONE_NAME if kind is Kind.ZONE else MAX_NAME)
        return _parse_object_name(text, managed=stored, previous=kind is Kind.TOKEN)
    except ValueError as error:
        raise InvalidDocumentError(Problem("metadata.name", message(shown(text), str(error)))) from error


def _parse_object_name(text: str, *, managed: bool, previous: bool = False) -> str:
    """Return the name of an account or token; a token's former secret (`previous`) is a token, too."""
    found = _STORED_NAME.fullmatch(text)
    if found is None or len(found["name"]) > MAX_NAME:
        is_name = False
    else:
        is_name = (managed or not found["origin"]) and (previous or not found["previous"])
    if not is_name:
        raise ValueError(f"write lower-case letters, digits, '-' and '.', {MAX_NAME} at most")
    return text


def _parse_dns_name(text: str, most: int = MAX_NAME) -> str:
    try:
        name = parse_name(text)
    except InvalidNameError as error:
        raise ValueError("not a DNS name of letters, digits and hyphens") from error
    if len(name) > most:
        raise ValueError(f"leaves no room for the names in it: {most} characters at most")
    return name


def parse_suffix(text: str) -> str:
    """Return the canonical text of the lower part of a host's IPv6 address, whose prefix is zero.

    Raises:
        ValueError: it is none; the message has the remedy.
    """
    try:
        address = ipaddress.IPv6Address(text)
    except ValueError as error:
        raise ValueError('not an IPv6 address: write one such as "::1:2:3:4"') from error
    interface = int(address) % 2**_INTERFACE_BITS
    if not interface:
        raise ValueError('not an interface: write its bits, such as "::1:2:3:4"')
    if interface != int(address) or address.scope_id is not None:
        alone = ipaddress.IPv6Address(interface)
        raise ValueError(f'more than the last {_INTERFACE_BITS} bits: write "{alone}"')
    return str(address)


def parse_subnet(text: str) -> str:
    """Return the canonical text of a subnet's number: hexadecimal in lower case, without leading zeros.

    Raises:
        ValueError: it is none; the message has the remedy.
    """
    if not _SUBNET.fullmatch(text.lower()):
        raise ValueError('write 1 to 12 hexadecimal digits, such as "1f"')
    return f"{int(text, 16):x}"


def _parse_digest(text: str) -> str:
    found = text.strip().lower()
    if not _DIGEST.fullmatch(found):
        raise ValueError  # the field says what to write
    return found


# By the names that the notes in `model.resources` have for them.
_PARSERS: Mapping[str, Parse] = {
    "account": partial(_parse_object_name, managed=False),
    "host": _parse_dns_name,
    "suffix": parse_suffix,
    "subnet": parse_subnet,
    "digest": _parse_digest,
}
_STORED_PARSERS: Mapping[str, Parse] = {**_PARSERS, "account": partial(_parse_object_name, managed=True)}


def read_document(raw: object, *, stored: bool = False) -> Document:
    """Read one document, strictly; its `status` is ignored.

    One as it is `stored` may be managed by Kubernetes; one that a user wants may not.

    Raises:
        InvalidDocumentError: with all of its problems.
    """
    if not isinstance(raw, dict):
        raise InvalidDocumentError(Problem("", f"{shown(raw)}: write a document, a group of fields"))
    kind = _read_kind(raw)
    problems = list(_outer_problems(raw))
    name, origin, spec = "", None, None
    with gathered(problems):
        name, origin = _read_metadata(kind, raw.get("metadata"), stored=stored)
    with gathered(problems):
        spec = read_spec(kind, raw.get("spec"), stored=stored)
        problems += crowding(name, spec)
    if problems or spec is None:
        raise InvalidDocumentError(*problems)
    return Document(kind, name, spec, origin)


@contextlib.contextmanager
def gathered(problems: list[Problem]) -> Iterator[None]:
    """Add what is wrong with one part, and go on with the next."""
    try:
        yield
    except InvalidDocumentError as error:
        problems += error.problems


def read_spec(kind: Kind, raw: object, *, stored: bool = False) -> Spec:
    """Return the spec in its canonical form; None is an empty one.

    One as it is `stored` may refer to what Kubernetes manages.

    Raises:
        InvalidDocumentError: with all of its problems.
    """

    def unknown(word: str, known: Iterable[str]) -> str:
        is_secret = kind is Kind.TOKEN and word.lower() in _SECRETS
        return _NO_SECRETS if is_secret else did_you_mean(word, known)

    parsers = _STORED_PARSERS if stored else _PARSERS
    spec = read_struct(SPECS[kind], {} if raw is None else raw, "spec", unknown, parsers)
    if problems := tuple(contradictions(spec)):
        raise InvalidDocumentError(*problems)
    return spec


def read_struct(
    struct: type[S],
    raw: object,
    field: str,
    unknown: Callable[[str, Iterable[str]], str] = did_you_mean,
    parsers: Mapping[str, Parse] = _PARSERS,
) -> S:
    """Return what one field of a document says, strictly.

    Raises:
        InvalidDocumentError: with all of its problems.
    """
    problems: list[Problem] = []

    def report(path: KeyPath, value: str, remedy: str) -> None:
        problems.append(Problem(dotted(path), message(value, remedy)))

    found = Reader(report, unknown=unknown, parsers=parsers).read(struct, raw, (field,))
    if found is None:
        raise InvalidDocumentError(*problems)
    return found


def contradictions(spec: Spec) -> Iterator[Problem]:
    """Yield what fields of a spec contradict others of it."""
    if isinstance(spec, AccountSpec) and spec.suspended_until is not None and spec.status != "suspended":
        yield Problem("spec.suspendedUntil", "only with status: suspended; leave it out, or write that")
    if isinstance(spec, HostSpec):
        if spec.ipv6_subnet is not None and spec.ipv6_suffix is None:
            yield Problem("spec.ipv6Subnet", "only with ipv6Suffix; leave it out, or write that, too")
        if spec.ipv6_suffix is not None and Family.AAAA not in spec.families:
            yield Problem("spec.ipv6Suffix", "only with AAAA in families; leave it out, or add that")


def crowding(name: str, spec: Spec) -> Iterator[Problem]:
    """Yield what a spec asks for that the resource's name leaves no room for."""
    if isinstance(spec, HostSpec) and spec.wildcard and len(name) > MAX_WILDCARD_NAME:
        message = f"leaves no room for *. before it: {MAX_WILDCARD_NAME} characters at most with wildcard"
        yield Problem("metadata.name", f"{message}: write wildcard: false, or a shorter name")


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
        message = f"{expires.isoformat()} is in the past: write a later instant"
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


def write_spec(spec: Spec) -> dict[str, Any]:
    """Return the spec as it stands in a document: defaults written out, what is absent left out."""
    values: dict[str, Any] = msgspec.to_builtins(spec)
    return {
        key: list(value) if isinstance(value, tuple) else value
        for key, value in values.items()
        if value is not None
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
    remedy = f"not a kind; {did_you_mean(str(kind), known)}"
    raise InvalidDocumentError(Problem("kind", message(shown(kind), remedy)))


def _outer_problems(raw: Mapping[str, object]) -> Iterator[Problem]:
    version = raw.get("apiVersion")
    if version != API_VERSION:
        said = shown(version) if "apiVersion" in raw else "missing"
        yield Problem("apiVersion", f"{said}: write {API_VERSION}")
    for key in raw:
        if key not in _FIELDS:
            word = str(key)[:_SHOWN]
            yield Problem(word, f"unknown field; {did_you_mean(word, _FIELDS)}")


class _Metadata(msgspec.Struct, frozen=True):
    name: Annotated[str, Note(absent="it is what the resource is known by")]


class _StoredMetadata(_Metadata, frozen=True):
    source: str = ""
    namespace: str = ""


def _only_name(_word: str, _known: Iterable[str]) -> str:
    return "there is only `name`: remove it"


def _read_metadata(kind: Kind, metadata: object, *, stored: bool) -> tuple[str, Origin | None]:
    """Return the name, which is all that a user writes into metadata, and the origin."""
    if not isinstance(metadata, dict):
        raise InvalidDocumentError(Problem("metadata", "write {name: …}"))
    if "source" in metadata and not stored:
        raise InvalidDocumentError(Problem("metadata.source", _MANAGED))
    if not stored:
        return read_name(kind, read_struct(_Metadata, metadata, "metadata", _only_name).name), None
    known = read_struct(_StoredMetadata, metadata, "metadata", _only_name)
    origin = Origin(known.source, known.namespace) if known.source else None
    return read_name(kind, known.name, stored=True), origin
