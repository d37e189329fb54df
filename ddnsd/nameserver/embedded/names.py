"""Which names of a zone exist, and whose records answer for a name that does not (RFC 4592)."""

from collections import Counter
from itertools import takewhile

from ddnsd.model.names import ancestors

_WILDCARD = "*."  # RFC 4592 §2.1.1


class Names:
    """The names of a zone that have records, and those that exist because a name below them has."""

    def __init__(self, apex: str) -> None:
        """The apex exists whatever is added."""
        self._apex = apex
        self._below: Counter[str] = Counter()  # how many added names a name is, or has below it (§2.2.2)

    def __contains__(self, name: str) -> bool:
        """Say whether the name exists."""
        return name == self._apex or name in self._below

    def add(self, name: str) -> None:
        """Add a name of the zone that was not added."""
        self._below.update(self._line(name))

    def remove(self, name: str) -> None:
        """Remove a name that was added; those above it go with it, unless something else is below them."""
        line = self._line(name)
        self._below.subtract(line)
        for emptied in [each for each in line if not self._below[each]]:
            del self._below[emptied]

    def source(self, name: str) -> str | None:
        """Return the name whose records answer for one at or below the apex; None: there is no such name.

        A name that exists answers for itself, be it with nothing; for any other the wildcard right below
        the closest name above it that exists (§3.3.1).
        """
        if name in self:
            return name
        encloser = next(each for each in ancestors(name) if each in self)
        wildcard = _WILDCARD + encloser
        return wildcard if wildcard in self else None

    def _line(self, name: str) -> list[str]:
        """Return the name and those above it, up to the apex, which is not among them."""
        return list(takewhile(lambda each: each != self._apex, ancestors(name)))
