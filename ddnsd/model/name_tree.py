"""A set of names, ordered by what lies below what."""

from collections.abc import Container, Iterator


class NameTree:
    """Names, each found from the name above it: what lies below a name is found without looking at others.

    Adding and removing a name costs its labels, whatever the order in which they come. Nothing in here
    depends on where zones begin, so that a zone that comes or goes costs nothing.
    """

    def __init__(self) -> None:
        self._below: dict[str, set[str]] = {}  # by the name above; "" is above the single labels
        self._also_above: set[str] = set()  # of the names, those that have names below them

    def add(self, name: str) -> None:
        """Add a name; one that is there already is no error."""
        if name in self._below:
            self._also_above.add(name)
        while name:
            above = name.partition(".")[2]
            siblings = self._below.get(above)
            if siblings is not None:
                siblings.add(name)
                return
            self._below[above] = {name}
            if above in self._below.get(above.partition(".")[2], ()):
                self._also_above.add(above)  # until now it had none below it
                return
            name = above

    def discard(self, name: str) -> None:
        """Remove a name; an absent one is no error."""
        if name in self._below:
            self._also_above.discard(name)
            return  # what leads to the names below it stays
        while name:
            above = name.partition(".")[2]
            siblings = self._below.get(above, set())
            siblings.discard(name)
            if siblings or above not in self._below:
                return
            del self._below[above]
            if above in self._also_above:
                self._also_above.discard(above)
                return
            name = above

    def within(self, top: str, cuts: Container[str]) -> Iterator[str]:
        """Yield `top` itself, if it is one of the names, and those below it, in no particular order.

        Names at or below one of the `cuts` are left out; `top` may be one of them.
        """
        if top in self._also_above or (
            top not in self._below and top in self._below.get(top.partition(".")[2], ())
        ):
            yield top
        waiting = [top]
        while waiting:
            for name in self._below.get(waiting.pop(), ()):
                if name in cuts:
                    continue
                if name not in self._below:
                    yield name
                    continue
                waiting.append(name)
                if name in self._also_above:
                    yield name
