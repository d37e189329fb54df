"""An installation's keys in etcd, and etcd's answers in the words of the interface."""

from ddnsd import etcd
from ddnsd.etcd.values import prefix_range
from ddnsd.store.interface import CLOCK, Event, KeyValue

SESSIONS = "sessions/"  # what the processes' session keys begin with


class Keyspace:
    """Keys of the store (text) under a prefix of etcd's (bytes, UTF-8)."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix.encode()
        self.clock = self.key(CLOCK)
        self.timeline = self.key(f"{CLOCK}/timeline")
        self.clocks = etcd.Range(*prefix_range(self.clock))  # both
        self._own = (self.timeline, self.key(SESSIONS))  # what the store shows nobody

    def key(self, name: str) -> bytes:
        """Return etcd's key, or prefix, of a key of the store."""
        return self._prefix + name.encode()

    def name(self, key: bytes) -> str:
        """Return the store's key. What is no UTF-8 is another program's: it is shown and never found."""
        return key.removeprefix(self._prefix).decode(errors="backslashreplace")

    def items(self, found: tuple[etcd.KeyValue, ...]) -> dict[str, KeyValue]:
        """Return the items by the store's keys, without the store's own."""
        return {self.name(one.key): item(one) for one in found if not one.key.startswith(self._own)}

    def events(self, found: tuple[etcd.Event, ...]) -> tuple[Event, ...]:
        """Return the events by the store's keys, without those of the store's own."""
        return tuple(
            Event(self.name(event.item.key), None if event.deleted else item(event.item))
            for event in found
            if not event.item.key.startswith(self._own)
        )


def item(found: etcd.KeyValue) -> KeyValue:
    """Return an item without its key."""
    return KeyValue(found.value, found.mod_revision, found.create_revision)
