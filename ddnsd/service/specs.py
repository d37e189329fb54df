"""A document's spec, read strictly: every field by itself, so that all mistakes are found at once."""

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from ddnsd.config.reader import Problem, did_you_mean, shown
from ddnsd.model.names import InvalidNameError, parse_name
from ddnsd.model.resources import MAX_EXPIRY, MAX_OVERLAP, MIN_EXPIRY, SPECS, Kind, Spec
from ddnsd.service.contradictions import MAX_NAME, contradictions
from ddnsd.service.problems import InvalidDocumentError
from ddnsd.service.suffixes import read_subnet, read_suffix

# What to write instead, by the field's name on the wire.
REMEDIES: Mapping[str, str] = {
    "nameserver": "write a name under `nameservers` in config.yaml",
    "fence": "write hidden or public",
    "ttl": "write whole seconds, from 1 to 2147483647",
    "enabled": "write true or false",
    "adopt": "write true or false",
    "nested": "write true or false",
    "reserved": "write a list of labels such as wpad, [] for none, or leave it out for ddnsd's own list",
    "disabled": "write true or false",
    "status": "write active, suspended or banned",
    "suspendedUntil": 'write an instant such as "2026-12-01T00:00:00Z"',
    "expires": 'write an instant such as "2027-11-01T00:00:00Z"',
    "account": "write the name of an Account",
    "families": "write a list of A and AAAA, at least one of them",
    "wildcard": "write true or false",
    "ipv6Suffix": 'write the last 64 bits of the host\'s address in quotes, such as "::1234:5678:9abc:def0"',
    "ipv6Subnet": 'quote it: it is hexadecimal, of 1 to 12 digits, such as "1f"',
    "expiresAfter": f"write whole seconds, from {MIN_EXPIRY} to {MAX_EXPIRY} (ten years)",
    "scopes": "write a list of address and txt, or leave it out for both",
    "hosts": "write a list of host names, or leave it out for all of the account's",
    "rotationOverlap": f"write whole seconds, from 0 to {MAX_OVERLAP} (30 days)",
    "sha256": "write the 64 hex digits of the secret's SHA-256; `ddnsd token create` makes both",
}
_ABSENT = {
    "sha256": "missing: create the token with `ddnsd token create`, or write its secret's SHA-256 here"
}
_SECRETS = ("secret", "token", "password", "value", "key")
_NO_SECRETS = "a secret is stored nowhere: import it with `ddnsd token create NAME --secret-file FILE`"
_HIDDEN = ("sha256",)  # somebody may have written the secret itself there
_MOST = 20  # wrong items of one list that are told
# As Kubernetes names its objects (RFC 1123 subdomains).
_LABEL = r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?"
_OBJECT_NAME = rf"{_LABEL}(?:\.{_LABEL})*"
# With what `model.origin` puts before and behind it.
_STORED_NAME = re.compile(rf"(?P<origin>{_LABEL}:{_LABEL}:)?(?P<name>{_OBJECT_NAME})(?P<previous>:previous)?")
MAX_ZONE_NAME = MAX_NAME - 64  # a label before it, such as the fence's, and its dot
_MAX_FIELD = 60  # characters shown of an unknown field's name


def read_spec(kind: Kind, raw: object, *, stored: bool = False) -> Spec:
    """Return the spec in its canonical form; None is an empty one.

    One as it is `stored` may refer to what Kubernetes manages.

    Raises:
        InvalidDocumentError: with all of its problems.
    """
    raw = {} if raw is None else raw
    if not isinstance(raw, dict):
        raise InvalidDocumentError(Problem("spec", f"{shown(raw)} is no group of fields"))
    fields = {field.encode_name: field for field in msgspec.structs.fields(SPECS[kind])}
    problems = [_unknown(kind, key, fields) for key in raw if key not in fields]
    values: dict[str, Any] = {}
    for key, field in fields.items():
        if key in raw:
            try:
                values[field.name] = _convert(key, raw[key], field.type, stored=stored)
            except InvalidDocumentError as error:
                problems += error.problems
        elif field.required:
            problems.append(Problem(f"spec.{key}", _ABSENT.get(key, f"missing: {REMEDIES[key]}")))
    if not problems:
        spec = SPECS[kind](**values)
        problems = list(contradictions(spec))
    if problems:
        raise InvalidDocumentError(*problems)
    return spec


def read_name(kind: Kind, text: object, *, stored: bool = False) -> str:
    """Return the canonical name of a resource: for a Zone or Host a DNS name in any spelling.

    What is `stored` may be named as no document of a user's is, as Kubernetes manages it.

    Raises:
        InvalidDocumentError: nothing of this kind can have the name.
    """
    try:
        return _read_name(kind, text, stored=stored)
    except ValueError as error:
        raise InvalidDocumentError(Problem("metadata.name", str(error))) from error


def _read_name(kind: Kind, text: object, *, stored: bool) -> str:
    if not isinstance(text, str):
        raise ValueError(f"{shown(text)} is no text: quote it")  # noqa: TRY004 - a mistake of the document
    if kind in (Kind.ZONE, Kind.HOST):
        return _read_dns_name(kind, text)
    if not _is_object_name(kind, text, stored=stored):
        raise ValueError(f"{shown(text)}: write lower-case letters, digits, '-' and '.', {MAX_NAME} at most")
    return text


def _is_object_name(kind: Kind, text: str, *, stored: bool) -> bool:
    """Say whether an account or token can have the name; a token's former secret is a token, too."""
    found = _STORED_NAME.fullmatch(text)
    if found is None or len(found["name"]) > MAX_NAME:
        return False
    return (stored or not found["origin"]) and (kind is Kind.TOKEN or not found["previous"])


def _read_dns_name(kind: Kind, text: str) -> str:
    try:
        name = parse_name(text)
    except InvalidNameError as error:
        raise ValueError(f"{shown(text)} is no DNS name of letters, digits and hyphens") from error
    if kind is Kind.ZONE and len(name) > MAX_ZONE_NAME:
        raise ValueError(
            f"{shown(text)} leaves no room for the names in it: {MAX_ZONE_NAME} characters at most"
        )
    return name


def _unknown(kind: Kind, key: object, fields: Mapping[str, object]) -> Problem:
    word = str(key)[:_MAX_FIELD]
    if kind is Kind.TOKEN and word.lower() in _SECRETS:
        return Problem(f"spec.{word}", f"unknown field; {_NO_SECRETS}")
    return Problem(f"spec.{word}", f"unknown field; {did_you_mean(word, fields)}")


def _convert(key: str, value: object, wanted: Any, *, stored: bool) -> Any:
    """Return one field's canonical value."""
    if key in _HIDDEN and isinstance(value, str):
        value = value.strip().lower()
    try:
        converted = msgspec.convert(value, wanted)
    except msgspec.ValidationError as error:
        raise InvalidDocumentError(*_mismatches(key, value, wanted)) from error
    try:
        return _canonical(key, converted, stored=stored)
    except (ValueError, OverflowError) as error:
        raise InvalidDocumentError(Problem(f"spec.{key}", str(error))) from error


def _mismatches(key: str, value: object, wanted: Any) -> list[Problem]:
    """Return what is wrong with a field: its wrong items where it is a list that has some."""
    path = f"spec.{key}"
    if key in _HIDDEN:
        return [Problem(path, f"not a SHA-256: {REMEDIES[key]}")]
    items = enumerate(value) if isinstance(value, list) else ()
    wrong = [(f"{path}[{at}]", item) for at, item in items if not _fits([item], wanted)]
    return [
        Problem(place, f"{shown(found)}: {REMEDIES[key]}")
        for place, found in wrong[:_MOST] or [(path, value)]
    ]


def _fits(value: object, wanted: Any) -> bool:
    try:
        msgspec.convert(value, wanted)
    except msgspec.ValidationError:
        return False
    return True


def _canonical(key: str, value: Any, *, stored: bool) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC)
    if key == "account":
        return _read_name(Kind.ACCOUNT, value, stored=stored)
    reader = _READERS.get(key)
    return reader(value) if reader is not None and value is not None else value


def _in_order(items: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(sorted(set(items)))


def _read_hosts(names: tuple[str, ...]) -> tuple[str, ...]:
    if not names:
        raise ValueError("an empty list allows nothing: leave it out for all hosts, or write disabled: true")
    return _in_order(tuple(_read_dns_name(Kind.HOST, name) for name in names))


# What makes a field's value canonical, by its name on the wire; they raise ValueError.
_READERS: Mapping[str, Callable[[Any], Any]] = {
    "families": _in_order,
    "scopes": _in_order,
    "reserved": _in_order,
    "hosts": _read_hosts,
    "ipv6Suffix": read_suffix,
    "ipv6Subnet": read_subnet,
}


def write_spec(spec: Spec) -> dict[str, Any]:
    """Return the spec as it stands in a document: defaults written out, what is absent left out."""
    values: dict[str, Any] = msgspec.to_builtins(spec)
    return {
        key: list(value) if isinstance(value, tuple) else value
        for key, value in values.items()
        if value is not None
    }
