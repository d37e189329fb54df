"""Domain names: one canonical text per name.

The canonical text is the A-label form, lower case, without a trailing dot (RFC 5890, RFC 4343).
"""

import re
from collections.abc import Iterator

import idna

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
