"""What a declaration says of a value beyond its Python type and the bounds of `msgspec.Meta`."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

Parse = Callable[[str], object]
"""Makes a value out of a text; the message of its ValueError is the remedy."""


class Note(NamedTuple):
    """Stands in `Annotated`; several in one add up.

    `remedy` is what to write instead of a wrong value, `absent` what to do about a required one that is
    missing; without them, the reader says what the type allows. `parse` is a function, or the name of one
    that the caller of the reader has, as it knows more. `read` takes the file that a text names, and `finish`
    a whole list, and they raise as `parse` does. A `hidden` value is never shown, as nothing tells a
    secret there from what belongs there. `unit` is what a number counts. With `restart`, a setting takes
    effect when ddnsd starts, otherwise while it runs.
    """

    remedy: str = ""
    absent: str = ""
    parse: Parse | str | None = None
    read: Callable[[Path], object] | None = None
    finish: Callable[[tuple[Any, ...]], object] | None = None
    hidden: bool = False
    unit: str = ""
    restart: bool = False

    def over(self, below: "Note") -> "Note":
        """Return both together; where both say something, this one counts."""
        return below._replace(**{name: value for name, value in self._asdict().items() if value})
