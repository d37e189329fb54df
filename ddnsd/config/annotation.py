"""What the tree says of a value beyond its Python type: bounds, unit, and how a text is read."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple, Self


@dataclass(frozen=True, slots=True)
class Section:
    """A group of settings: each field of a subclass is one key."""

    def complete(self) -> Self:
        """Return the section with what its other settings imply filled in.

        Raises:
            SectionError: settings that are right one by one do not fit together.
        """
        return self


class Bounds(NamedTuple):
    """Least and most allowed: of a number itself, else of the count of entries."""

    least: float
    most: float


class Unit(StrEnum):
    """What a number counts."""

    SECONDS = "seconds"
    BYTES = "bytes"
    RECORDS = "records"


class Example(NamedTuple):
    """What to write where the value is required and missing."""

    text: str


@dataclass(frozen=True, slots=True)
class Restart:
    """The setting takes effect when ddnsd starts; all others take effect while it runs."""


RESTART = Restart()


class FromText(NamedTuple):
    """Reads a text; a ValueError's message is the remedy."""

    parse: Callable[[str], object]


class FromFile(NamedTuple):
    """Reads the file that a text names; the text itself might be a secret pasted by mistake.

    `hidden`: it is never shown, nor does `read` show it, as nothing tells such a secret from a name.
    """

    read: Callable[[Path], object]
    hidden: bool = False
