"""Domain names: one canonical text for each, and the owner names of a host's RRsets in its zone.

The canonical text is the A-label form, lower case, without a trailing dot (RFC 5890, RFC 4343).
"""

import re
from collections.abc import Iterator

import idna

from ddnsd.model.addresses import Challenge, Family, RRType
from ddnsd.model.records import Published, RecordKey

_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_DOTS = re.compile(r"[.\u3002\uff0e\uff61]")  # full stops, as UTS #46 knows them
_INTERNATIONAL = re.compile(r"[^\x00-\x7f\u3002\uff0e\uff61]")
_HOSTNAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_MAX_LENGTH = 253  # RFC 1035 §2.3.4: 255 octets on the wire
_MAX_TEXT = 253  # code points; a name that needs more as U-labels has decomposed letters, and few have those
# IDNA takes 2 µs a code point and 7 µs a label, and 20 names may come in one call. A name with more of either
# can be written with A-labels.
_MAX_INTERNATIONAL = 64  # code points
_MAX_U_LABELS = 8


class InvalidNameError(ValueError):
    """The text cannot be a host name in the DNS."""


def parse_name(text: str) -> str:
    """Return the canonical text of a host name.

    Letters, digits and hyphens (RFC 1123 §2.1) in any case, U-labels or A-labels, with or without the
    trailing dot; at most 253 code points.

    Raises:
        InvalidNameError: no such name can exist.
    """
    name = text.removesuffix(".")
    if len(name) > _MAX_TEXT:
        raise InvalidNameError(f"longer than any name: {text[:80]!r}…")
    name = name.lower()
    if not name.isascii():
        name = _to_a_labels(text)
    if len(name) > _MAX_LENGTH or not _HOSTNAME.fullmatch(name):
        raise InvalidNameError(f"not a host name: {text[:80]!r}")
    return name


def _to_a_labels(text: str) -> str:
    letters = len(_INTERNATIONAL.findall(text))
    labels = sum(not label.isascii() for label in _DOTS.split(text))
    if letters > _MAX_INTERNATIONAL or labels > _MAX_U_LABELS:
        raise InvalidNameError(f"{letters} international characters, use A-labels: {text[:80]!r}…")
    try:
        return idna.encode(text, uts46=True, transitional=False).decode("ascii").removesuffix(".").lower()
    except UnicodeError as error:  # idna.IDNAError is one
        raise InvalidNameError(f"not an international host name: {text[:80]!r}: {error}") from error


def ancestors(name: str) -> Iterator[str]:
    """Yield the name itself, then each name above it, down to the single label."""
    while name:
        yield name
        _, _, name = name.partition(".")


def fits(name: str) -> bool:
    """Say whether a name that was put together of others is short enough for the DNS."""
    return len(name) <= _MAX_LENGTH


def label_count(name: str) -> int:
    """Return how many labels a canonical name has."""
    return name.count(".") + 1


def is_below(name: str, zone: str) -> bool:
    """Say whether the canonical name lies strictly below the zone's apex."""
    return name.endswith("." + zone)


_CHALLENGE = "_acme-challenge."  # RFC 8555 §8.4
_WILDCARD = "*."  # RFC 4592


def owner(record: RecordKey) -> str:
    """Return the name at which the record's RRset stands."""
    return _CHALLENGE + record.name if record.type is Challenge.TXT else record.name


def wildcard_owner(record: RecordKey) -> str:
    """Return the name at which the same RRset stands for all names below the host."""
    return _WILDCARD + record.name


def record_at(name: str, type: str) -> RecordKey | None:
    """Return the record whose RRset stands at an owner name, None where no host can have one.

    Both owner names of a wildcard host lead to the one record.
    """
    if type == Challenge.TXT:
        host = name.removeprefix(_CHALLENGE)
        return RecordKey(host, Challenge.TXT) if host != name else None
    if type in Family.__members__:
        return RecordKey(name.removeprefix(_WILDCARD), Family(type))
    return None


def ours(record: RecordKey, published: Published | None, nameserver: str) -> frozenset[str]:
    """Return the owner names at which what stands at the nameserver is ddnsd's own.

    Whatever else is noted: one that drifted, is refused now, or moves with its zone is ddnsd's all the same.
    """
    if published is None or not published.ip:
        return frozenset()
    names = (owner(record), wildcard_owner(record)) if published.wildcard else (owner(record),)
    if published.taking is None and not published.not_at:  # nearly always
        return frozenset(names)
    return frozenset(names).difference(_being_taken(published), published.not_at.get(nameserver, ()))


def in_doubt(published: Published | None, nameserver: str) -> tuple[str, ...]:
    """Return the owner names that an UPDATE without an answer may have taken at the nameserver.

    If one did, they hold the values of `taking`, or those of `ip`.
    """
    if published is None or published.nameserver != nameserver:
        return ()
    return _being_taken(published)


def _being_taken(published: Published) -> tuple[str, ...]:
    taking = published.taking
    return taking.names if taking is not None and published.revision < taking.revision else ()


def challenge_name(host: str) -> str:
    """Return the name at which a certificate authority looks for the host's challenges."""
    return owner(RecordKey(host, Challenge.TXT))


def parse_type(text: str) -> RRType:
    """Return the record type of this name.

    Raises:
        ValueError: a host has no such records.
    """
    return Challenge.TXT if text == Challenge.TXT else Family(text)
