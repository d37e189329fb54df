"""What is wrong with a configuration: all of it at once, each with path, value and remedy."""

import difflib
from collections.abc import Iterable
from typing import NamedTuple

Path = tuple[str, ...]  # of keys, from the root: ("listen", "public")

_SHOWN = 60  # characters of a value


class Mistake(NamedTuple):
    """One thing to correct. `value` is what was written, ready to print; "" where it is not to be shown."""

    path: Path
    value: str
    remedy: str

    def __str__(self) -> str:
        place = ".".join(self.path)
        shown = f"{place}: {self.value}" if place and self.value else place or self.value
        return f"{shown}: {self.remedy}" if shown else self.remedy


class ConfigError(Exception):
    """The configuration has mistakes; its text lists them, one a line, and holds no secret."""

    def __init__(self, source: str, mistakes: tuple[Mistake, ...]) -> None:
        self.source = source
        self.mistakes = mistakes
        count = "1 mistake" if len(mistakes) == 1 else f"{len(mistakes)} mistakes"
        super().__init__("\n  ".join((f"{count} in {source}:", *map(str, mistakes))))


class SectionError(ValueError):
    """Settings that are right one by one do not fit together; paths are relative to their section."""

    def __init__(self, *mistakes: Mistake) -> None:
        self.mistakes = mistakes
        super().__init__("; ".join(map(str, mistakes)))


def shown(value: object) -> str:
    """Return a value as it stands in a message: on one line, and not too long."""
    if isinstance(value, dict):
        return "a group of keys"
    if isinstance(value, list):
        return "a list"
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return the remedy for an unknown word: the nearest known one, or all of them."""
    names = sorted(known)
    nearest = difflib.get_close_matches(word, names, n=1)
    return f"did you mean {nearest[0]}?" if nearest else f"known here: {', '.join(names) or 'none'}"
