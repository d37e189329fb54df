"""The complete set of one selection's objects, and what has gone from it, and how."""

from collections.abc import Iterable, Mapping
from enum import Enum
from typing import NamedTuple

from ddnsd.kube.api.objects import Event, EventKind, Key, Object


class Absence(Enum):
    """Why an object is no longer in the set."""

    DELETED = "deleted"
    """It was seen: somebody deleted it (or it no longer fits the selection's labels)."""

    VANISHED = "vanished"
    """It was missing in a list, after a time that nobody watched. Deleted then, or data were lost."""

    SWEPT = "swept"
    """It went with its CRD, or while its resource was not served, or is younger than the backup that the API
    server was restored from: nobody wished this object away."""


class Gone(NamedTuple):
    """An object that was in the set, as it was last, and why it is not."""

    object: Object
    why: Absence


class Replica:
    """What is known of the objects; changed by whole lists and by events."""

    def __init__(self) -> None:
        self.resource_version = ""
        self.objects: dict[Key, Object] = {}
        self.gone: dict[Key, Gone] = {}

    def replace(self, resource_version: str, objects: Iterable[Object], why: Absence) -> None:
        """Take a whole list; `why` is what holds for those that are missing in it."""
        before, self.objects = self.objects, {found.key: found for found in objects}
        for key in before.keys() - self.objects.keys():
            self.gone[key] = Gone(before[key], why)
        for key in self.gone.keys() & self.objects.keys():
            del self.gone[key]
        self.resource_version = resource_version

    def change(self, events: Iterable[Event], why: Absence) -> bool:
        """Take events, and say whether any was more than a bookmark; `why` is what holds for deletions."""
        changed = False
        for event in events:
            self.resource_version = event.object.metadata.resource_version
            if event.kind is EventKind.BOOKMARK:
                continue
            changed = True
            key = event.object.key
            if event.kind is EventKind.DELETED:
                self.objects.pop(key, None)
                self.gone[key] = Gone(event.object, why)
            else:
                self.objects[key] = event.object
                self.gone.pop(key, None)
        return changed

    def settle(self, gone: Mapping[Key, Gone]) -> None:
        """Forget what has gone, as long as it is still the same."""
        for key, one in gone.items():
            if self.gone.get(key) == one:
                del self.gone[key]
