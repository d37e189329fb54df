"""Single values: a plain value → the typed one, or a ValueError whose message is the remedy."""

import math
from pathlib import Path
from typing import Literal

from ddnsd.config.annotation import Bounds, FromFile, FromText, Unit
from ddnsd.config.schema import Shape


def read_value(form: Shape, raw: object, folder: Path) -> object:
    """Read a value of the given shape; relative paths start at the folder.

    Raises:
        ValueError: it is not such a value.
    """
    if form.kind is Literal:
        return _choice(form.parts, raw)
    if form.kind in (int, float):
        return _number(form, raw)
    if from_file := form.note(FromFile):
        return from_file.read(folder / _text(raw, "the path of a file"))
    if from_text := form.note(FromText):
        return from_text.parse(_text(raw, "a text"))
    if form.kind is Path:
        return folder / _text(raw, "a path")
    raise TypeError(f"no way to read a {form.kind}")


def _choice(words: tuple[object, ...], raw: object) -> object:
    if raw not in words:
        raise ValueError(f"write {' or '.join(map(str, words))}")
    return raw


def _number(form: Shape, raw: object) -> int | float:
    bounds = form.note(Bounds) or Bounds(-math.inf, math.inf)
    whole = form.kind is int
    number = isinstance(raw, int if whole else int | float)
    # "not within" rather than "outside": it catches NaN too
    if not (isinstance(raw, int | float) and number and bounds.least <= raw <= bounds.most):
        kind = "a whole number" if whole else "a number"
        unit = form.note(Unit)
        of_unit = f" of {unit}" if unit else ""
        raise ValueError(f"write {kind}{of_unit} from {bounds.least:g} to {bounds.most:.10g}")
    return raw if whole else float(raw)


def _text(raw: object, what: str) -> str:
    if not isinstance(raw, str) or not raw:
        raise ValueError(f"write {what}, in quotes if it looks like a number")
    return raw
